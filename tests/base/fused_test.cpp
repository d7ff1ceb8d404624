// fused(): one rounding, as std::fma has it, from the processor's instruction and from doubles.
#include <support/test.hpp>

#include <zeropoint/base/fused.hpp>

#include <bit>
#include <cmath>
#include <vector>

namespace zp = zeropoint;

namespace {

/// Of four sums how many differ from std::fma; NaNs count as equal.
std::size_t wrong(const float (&a)[4], const float (&b)[4], const float (&c)[4]) {
  const zp::float_quad x = {a[0], a[1], a[2], a[3]}, y = {b[0], b[1], b[2], b[3]},
                       z = {c[0], c[1], c[2], c[3]};
  const zp::float_quad one = zp::fused(x, y, z), two = zp::fused_in_double(x, y, z);
  std::size_t count = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    const float expected = std::fma(a[i], b[i], c[i]);
    for (const float v : {one[i], two[i]}) {
      const bool both_nan = std::isnan(v) && std::isnan(expected);
      count += both_nan || std::bit_cast<std::uint32_t>(v) == std::bit_cast<std::uint32_t>(expected)
                   ? 0u
                   : 1u;
    }
  }
  return count;
}

}  // namespace

TEST_CASE("fused rounds once: special values against each other") {
  const float inf = std::numeric_limits<float>::infinity();
  std::vector<float> values = {0.0f,      1.0f,        3.0f,     1.0f + 0x1p-23f, 0x1p-149f,
                               0x1p-126f, 0x1.8p-127f, 0x1p-75f, 1 + 0x1p-12f,    0x1.fffffep127f,
                               inf,       0x1p100f};
  for (std::size_t i = 0, n = values.size(); i < n; ++i) values.push_back(-values[i]);
  values.push_back(std::numeric_limits<float>::quiet_NaN());
  std::size_t count = 0;
  for (const float a : values) {
    for (const float b : values) {
      for (const float c : values) {
        count += wrong({a, b, c, a}, {b, c, a, c}, {c, a, b, b});
      }
    }
  }
  REQUIRE(count == 0);
}

TEST_CASE("fused rounds once: sums near ties, where rounding twice goes wrong") {
  const auto seed = test::seed(41);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  std::size_t count = 0, twice = 0;
  for (int i = 0; i < 200'000; ++i) {
    float a[4], b[4], c[4];
    for (std::size_t j = 0; j < 4; ++j) {
      // a * b is half a step of c but for a part of 2^-46, which a double next to c does not hold.
      const int exponent = static_cast<int>(g() % 60) - (i % 2 == 0 ? 30 : 120);
      const float tiny = std::ldexp(static_cast<float>(g() % 3), -23);
      c[j] = std::ldexp(1 + std::ldexp(static_cast<float>(g() % (1u << 23)), -23), exponent);
      a[j] = std::ldexp(1 + tiny, exponent / 2 - 12);
      b[j] = std::ldexp(1 - tiny, exponent - exponent / 2 - 12);
      if (g() % 2 == 0) a[j] = -a[j];
      if (g() % 2 == 0) c[j] = -c[j];
      const double sum =
          static_cast<double>(a[j]) * static_cast<double>(b[j]) + static_cast<double>(c[j]);
      twice += static_cast<float>(sum) != std::fma(a[j], b[j], c[j]) ? 1u : 0u;
    }
    count += wrong(a, b, c);
  }
  REQUIRE(count == 0);
  REQUIRE(twice > 100);  // the test has such sums
}

TEST_CASE("fused rounds once: any bits") {
  const auto seed = test::seed(42);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  std::size_t count = 0;
  for (int i = 0; i < 200'000; ++i) {
    float v[3][4];
    for (auto& row : v) {
      for (float& x : row) x = std::bit_cast<float>(static_cast<std::uint32_t>(g()));
    }
    if (i % 2 == 0) {  // of the magnitude of the product
      for (std::size_t j = 0; j < 4; ++j) v[2][j] = v[0][j] * v[1][j] * (i % 4 == 0 ? 1.5f : -1.0f);
    }
    count += wrong(v[0], v[1], v[2]);
  }
  REQUIRE(count == 0);
}
