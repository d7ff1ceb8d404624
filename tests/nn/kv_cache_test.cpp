// The cache against its formula: codes and scales by plain loops, errors within half a step, and no
// dependence on how tokens arrive.
#include <nn/reference.hpp>

#include <zeropoint/nn/kv_cache.hpp>

using test::matrix;
namespace zp = zeropoint;

namespace {

constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();
constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float largest = std::numeric_limits<float>::max();

matrix dequantized(const zp::cached_rows& rows) {
  matrix x(rows.rows(), rows.width());
  rows.dequantize(x.view());
  return x;
}

}  // namespace

TEST_CASE("Codes and scales of the cache are those of the formula, errors at most half a step") {
  const auto seed = test::seed(41);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  for (const std::size_t width : {1u, 7u, 64u, 96u}) {
    const matrix x = test::normal_matrix(g, 33, width, 5);
    zp::cached_rows rows(width);
    rows.append(x.view());
    const auto expected = test::code_in_blocks(x, 1, width, zp::symmetric);
    const matrix back = dequantized(rows);
    double error = 0;
    for (std::size_t i = 0; i < x.rows; ++i) {
      REQUIRE(rows.scales()[i] == expected.by[i * width].scale);
      for (std::size_t j = 0; j < width; ++j) {
        REQUIRE(rows.codes()(i, j) == expected.code[i * width + j]);
        REQUIRE(back(i, j) == rows.scales()[i] * static_cast<float>(rows.codes()(i, j)));
        const double e = static_cast<double>(x(i, j)) - static_cast<double>(back(i, j));
        REQUIRE(std::fabs(e) <= 0.50001 * static_cast<double>(rows.scales()[i]));
        error += e * e;
      }
    }
    REQUIRE(rows.statistics().count == 33 * width);
    REQUIRE(rows.statistics().clipped() == 0);
    // Statistics multiply in double, the cache comes back in float.
    REQUIRE(rows.statistics().error() == Approx(error).epsilon(1e-4).margin(1e-10));
  }
}

TEST_CASE("The cache does not depend on how tokens arrive, and never changes one that is there") {
  const auto seed = test::seed(42);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  const matrix k = test::normal_matrix(g, 20, 24), v = test::normal_matrix(g, 20, 24, 30);
  zp::kv_cache together(24), apart(24);
  together.append(k.view(), v.view());
  for (std::size_t first = 0; first < 20;) {
    const std::size_t count = std::min<std::size_t>(1 + first % 3, 20 - first);
    apart.append(k.view().rows_from(first, count), v.view().rows_from(first, count));
    first += count;
    for (std::size_t i = 0; i < first; ++i) {
      REQUIRE(apart.keys.scales()[i] == together.keys.scales()[i]);
      const auto a = apart.values.codes().row(i), b = together.values.codes().row(i);
      REQUIRE(std::equal(a.begin(), a.end(), b.begin()));
    }
  }
  REQUIRE(test::same_bits(dequantized(apart.keys), dequantized(together.keys)));
  REQUIRE(test::same_bits(dequantized(apart.values), dequantized(together.values)));
  REQUIRE(apart.keys.statistics() == together.keys.statistics());
  REQUIRE(apart.values.statistics() == together.values.statistics());
  REQUIRE(apart.tokens() == 20);
  REQUIRE(apart.bytes() == 2 * 20 * (24 + 4));
}

TEST_CASE("Odd values have a defined code, -128 never occurs, and what is lost is counted") {
  matrix x(7, 3);
  const float rows[7][3] = {{0, -0.0f, 0},       {not_a_number, 2, -4},
                            {infinity, 2, -4},   {-infinity, not_a_number, not_a_number},
                            {1e38f, -1e38f, 1},  {largest, -largest, 0},
                            {1e-42f, -1e-44f, 0}};
  const std::int8_t codes[7][3] = {{0, 0, 0},      {0, 64, -127},  {127, 64, -127}, {-127, 0, 0},
                                   {127, -127, 0}, {127, -127, 0}, {0, 0, 0}};
  for (std::size_t i = 0; i < 7; ++i) std::copy(rows[i], rows[i] + 3, &x(i, 0));
  zp::cached_rows cache(3);
  cache.append(x.view());
  for (std::size_t i = 0; i < 7; ++i) {
    for (std::size_t j = 0; j < 3; ++j) {
      CAPTURE(i, j);
      REQUIRE(cache.codes()(i, j) == codes[i][j]);
    }
  }
  REQUIRE(cache.scales()[0] == 1);
  REQUIRE(cache.scales()[3] == 1);
  REQUIRE(cache.scales()[6] == std::numeric_limits<float>::min());
  REQUIRE(cache.statistics().nan == 3);
  REQUIRE(cache.statistics().infinite == 2);
  REQUIRE(cache.statistics().underflow == 3);
  const matrix back = dequantized(cache);
  for (std::size_t i = 0; i < 7; ++i) {
    for (std::size_t j = 0; j < 3; ++j) REQUIRE(std::isfinite(back(i, j)));
  }
}

TEST_CASE("An empty cache is fine, wrong shapes leave it as it was") {
  zp::kv_cache cache(4);
  cache.append(matrix(0, 4).view(), matrix(0, 4).view());
  REQUIRE(cache.tokens() == 0);
  REQUIRE(cache.bytes() == 0);
  REQUIRE(test::contains(
      test::error_of([&] { cache.append(matrix(2, 4).view(), matrix(3, 4).view()); }),
      "keys of 2 x 4, values of 3 x 4"));
  REQUIRE(test::contains(
      test::error_of([&] { cache.append(matrix(2, 5).view(), matrix(2, 5).view()); }),
      "rows of 5 values, expected 4"));
  REQUIRE(cache.tokens() == 0);
  cache.append(matrix(1, 4, 2.0f).view(), matrix(1, 4).view());
  matrix small(2, 4);
  REQUIRE(test::contains(test::error_of([&] { cache.keys.dequantize(small.view()); }),
                         "1 x 4 values into 2 x 4"));
}

TEST_CASE("Any rows come back by themselves, and reserved ones move nothing") {
  test::generator g(test::seed(58));
  zp::kv_cache cache(5);
  cache.reserve(9);
  const matrix x = test::normal_matrix(g, 9, 5);
  cache.append({x.view().data(), 1, 5}, {x.view().data(), 1, 5});
  const auto* const where = cache.keys.codes().data();
  for (std::size_t i = 1; i < 9; ++i)
    cache.append(x.view().rows_from(i, 1), x.view().rows_from(i, 1));
  CHECK(cache.keys.codes().data() == where);
  matrix all(9, 5);
  cache.keys.dequantize(all.view());
  for (std::size_t first = 0; first <= 9; ++first) {
    matrix some(9 - first, 5);
    cache.keys.dequantize_from(first, some.view());
    for (std::size_t i = 0; i < some.rows; ++i) {
      for (std::size_t c = 0; c < 5; ++c) CHECK(some(i, c) == all(first + i, c));
    }
  }
  matrix two(2, 5);
  CHECK_THROWS_AS(cache.keys.dequantize_from(8, two.view()), zp::error);
  CHECK_THROWS_AS(cache.keys.dequantize_from(10, two.view()), zp::error);
  CHECK_THROWS_AS(cache.keys.dequantize(two.view()), zp::error);
}
