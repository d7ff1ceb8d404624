// Scaling channels by hand, and the ranges of inputs over several weights of both layouts.
#include <nn/reference.hpp>

#include <zeropoint/nn/channel_scale.hpp>

using test::matrix;
namespace zp = zeropoint;

TEST_CASE("rows or columns are multiplied and divided by their factor") {
  matrix m(2, 3);
  const auto fill = [&] {
    for (std::size_t i = 0; i < 6; ++i) m(i / 3, i % 3) = static_cast<float>(i + 1);
  };
  const auto is = [&](const std::vector<float>& expected) {
    std::vector<float> values;
    for (std::size_t i = 0; i < 6; ++i) values.push_back(m(i / 3, i % 3));
    return values == expected && m.values[3] == 0;  // nothing beside the columns
  };
  const std::vector<float> two{2, -4}, three{1, 2, 0.5f};
  fill();
  zp::multiply_channels(m.view(), zp::axis::rows, two);
  REQUIRE(is({2, 4, 6, -16, -20, -24}));
  zp::divide_channels(m.view(), zp::axis::rows, two);
  REQUIRE(is({1, 2, 3, 4, 5, 6}));
  zp::multiply_channels(m.view(), zp::axis::columns, three);
  REQUIRE(is({1, 4, 1.5f, 4, 10, 3}));
  zp::divide_channels(m.view(), zp::axis::columns, three);
  REQUIRE(is({1, 2, 3, 4, 5, 6}));
  std::vector<float> bias{3, 3, 3};
  zp::divide_channels(std::span<float>(bias), three);
  REQUIRE(bias == std::vector<float>{3, 1.5f, 6});
  zp::divide_channels(std::span<float>(), three);

  REQUIRE(test::error_of([&] { zp::multiply_channels(m.view(), zp::axis::rows, three); }) ==
          "channel_scale: 3 factors for 2 rows");
  REQUIRE(test::error_of([&] { zp::divide_channels(m.view(), zp::axis::columns, two); }) ==
          "channel_scale: 2 factors for 3 columns");
  REQUIRE(test::error_of([&] { zp::divide_channels(std::span<float>(bias), two); }) ==
          "channel_scale: 2 factors for 3 columns");
}

TEST_CASE("input_absmax: the largest |w| of an input over all weights, in both layouts") {
  const auto seed = test::seed(111);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  const matrix a = test::normal_matrix(g, 5, 21), b = test::normal_matrix(g, 40, 21);
  const matrix at = a.transposed(), bt = b.transposed();
  std::vector<float> expected(21, 0.0f);
  for (const matrix* m : {&a, &b}) {
    for (std::size_t i = 0; i < m->rows; ++i) {
      for (std::size_t j = 0; j < 21; ++j) {
        expected[j] = std::max(expected[j], std::fabs((*m)(i, j)));
      }
    }
  }
  const std::vector<zp::linear_weight> rows{{a.view()}, {b.view()}};
  const std::vector<zp::conv1d_weight> columns{{at.view()}, {bt.view()}};
  REQUIRE(zp::input_absmax(std::span<const zp::linear_weight>(rows)) == expected);
  REQUIRE(zp::input_absmax(std::span<const zp::conv1d_weight>(columns)) == expected);
  REQUIRE(zp::input_absmax(std::span<const zp::linear_weight>()).empty());
  REQUIRE(zp::input_absmax(rows[0]).size() == 21);
  const std::vector<zp::linear_weight> different{{a.view()}, {at.view()}};
  REQUIRE(test::error_of([&] {
            (void)zp::input_absmax(std::span<const zp::linear_weight>(different));
          }) == "input_absmax: a weight of 5 inputs beside one of 21");
}
