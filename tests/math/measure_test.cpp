// measure() must give the statistics of quantize() for the codes of quantize(), bit for bit, and
// plain sums for any others.
#include <nn/reference.hpp>

#include <zeropoint/math/measure.hpp>

using test::matrix;
namespace zp = zeropoint;

TEST_CASE("measure gives what quantize gave") {
  const auto seed = test::seed(141);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  matrix x = test::normal_matrix(g, 7, 211);
  x(0, 3) = std::numeric_limits<float>::quiet_NaN();
  x(2, 210) = std::numeric_limits<float>::infinity();
  x(3, 0) = 1e38f, x(4, 1) = 1e-44f;
  for (const zp::scheme& s : {zp::symmetric, zp::affine, zp::symmetric.with_bits(3)}) {
    const auto check = [&](const auto& granularity) {
      const auto [codes, damage] =
          zp::quantize<std::int8_t>(zp::linear_weight{x.view()}, granularity, s);
      REQUIRE(zp::measure(x.view(), codes) == damage);
    };
    check(zp::per_tensor);
    check(zp::per_output_channel);
    check(zp::per_group{64});
    check(zp::per_group{50});
  }
}

TEST_CASE("measure counts what codes cost that nobody rounded to") {
  const matrix x(2, 70, 1.0f);
  auto codes = zp::quantize<std::int8_t>(x.view(), zp::params{0.5f, 0, -3, 3}, zp::serial{},
                                         zp::no_statistics);
  REQUIRE(zp::measure(x.view(), codes).error() == 0);
  for (std::size_t j = 0; j < 70; ++j) codes.values()(1, j) = -1;  // -0.5 instead of 1
  const auto damage = zp::measure(x.view(), codes);
  REQUIRE(damage.rounding_error == 70 * 2.25);
  REQUIRE(damage.clipped() == 0);
  REQUIRE(damage.max_error == 1.5);
  REQUIRE((damage.levels.size() == 2 && damage.levels.contains(2) && damage.levels.contains(-1)));

  const auto columns = zp::quantize<std::int8_t>(x.view(), zp::per_column, zp::symmetric,
                                                 zp::serial{}, zp::no_statistics);
  REQUIRE(test::contains(test::error_of([&] { (void)zp::measure(x.view(), columns); }),
                         "blocks of 2 x 1"));
  REQUIRE(test::contains(test::error_of([&] { (void)zp::measure(matrix(2, 71).view(), codes); }),
                         "2 x 71 values"));
  REQUIRE(zp::measure(matrix(0, 5).view(), zp::quantized_matrix<std::int8_t>(
                                               zp::params_table(0, 5, {1, 5}, zp::symmetric))) ==
          zp::quantization_statistics{});
}
