// Both ways against exact rational arithmetic in 128 bits, with golden values for the corners.
#include <zeropoint/math/requantize.hpp>

#include "math/reference.hpp"

namespace zp = zeropoint;

namespace {

using wide = __int128;
constexpr std::int32_t lowest = INT32_MIN, highest = INT32_MAX;
const zp::params s8{1, 0, -128, 127};
const zp::params all32{1, 0, lowest, highest};  // no clamp in the way

wide floor_div(wide a, wide b) {
  return a >= 0 ? a / b : -((-a + b - 1) / b);
}

/// floor(a b / 2^31 + 1/2) and then x / 2^right, ties away, as fractions.
std::int64_t fixed_reference(std::int64_t acc, zp::fixed_point m) {
  const int left = std::max(m.shift, 0), right = std::max(-m.shift, 0);
  const std::int64_t shifted =
      std::clamp<std::int64_t>(acc * (std::int64_t{1} << left), lowest, highest);
  const wide unit = wide{1} << 31;
  const wide high = floor_div(2 * wide{shifted} * m.mantissa + unit, 2 * unit);
  const wide divisor = wide{1} << right,
             magnitude = (2 * (high < 0 ? -high : high) + divisor) / (2 * divisor);
  return static_cast<std::int64_t>(high < 0 ? -magnitude : magnitude);
}

}  // namespace

TEST_CASE("to_fixed_point: mantissa in [2^30, 2^31) and the shift") {
  REQUIRE(zp::to_fixed_point(0.5) == zp::fixed_point{1 << 30, 0});
  REQUIRE(zp::to_fixed_point(0.25) == zp::fixed_point{1 << 30, -1});
  REQUIRE(zp::to_fixed_point(1.0) == zp::fixed_point{1 << 30, 1});
  REQUIRE(zp::to_fixed_point(0.0) == zp::fixed_point{0, 0});
  REQUIRE(zp::to_fixed_point(0x1p-33) == zp::fixed_point{0, 0});
  REQUIRE(zp::to_fixed_point(0x1p-32) == zp::fixed_point{1 << 30, -31});
  // A mantissa that rounds up to 2^31 is halved and the shift adjusted.
  REQUIRE(zp::to_fixed_point(std::nextafter(1.0, 0.0)) == zp::fixed_point{1 << 30, 1});
  // 0.0003 = 0.6144 * 2^-11; 0.6144 * 2^31 = 1319413953.3
  REQUIRE(zp::to_fixed_point(0.0003) == zp::fixed_point{1319413953, -11});
  for (const double bad : {-0.1, 0x1p30, std::nan(""), HUGE_VAL}) {
    REQUIRE_THROWS_AS(zp::to_fixed_point(bad), zp::error);
  }
}

TEST_CASE("doubling_high_product: ties go up, only -2^31 squared saturates") {
  STATIC_REQUIRE(zp::doubling_high_product(lowest, lowest) == highest);
  STATIC_REQUIRE(zp::doubling_high_product(lowest, highest) == -highest);
  STATIC_REQUIRE(zp::doubling_high_product(highest, highest) == highest - 1);
  STATIC_REQUIRE(zp::doubling_high_product(1, 1 << 30) == 1);    // 0.5
  STATIC_REQUIRE(zp::doubling_high_product(-1, 1 << 30) == 0);   // -0.5
  STATIC_REQUIRE(zp::doubling_high_product(-3, 1 << 30) == -1);  // -1.5
  STATIC_REQUIRE(zp::doubling_high_product(3, 1 << 30) == 2);    // 1.5
}

TEST_CASE("rounding_right_shift: ties go away from zero") {
  STATIC_REQUIRE(zp::rounding_right_shift(3, 1) == 2);
  STATIC_REQUIRE(zp::rounding_right_shift(-3, 1) == -2);
  STATIC_REQUIRE(zp::rounding_right_shift(5, 2) == 1);
  STATIC_REQUIRE(zp::rounding_right_shift(-6, 2) == -2);
  STATIC_REQUIRE(zp::rounding_right_shift(lowest, 31) == -1);
  STATIC_REQUIRE(zp::rounding_right_shift(highest, 31) == 1);
  STATIC_REQUIRE(zp::rounding_right_shift(highest, 0) == highest);
}

TEST_CASE("fixed point requantization equals exact arithmetic") {
  test::generator g(test::seed(91));
  INFO(test::seed_text(test::seed(91)));
  long bad = 0;
  for (int i = 0; i < 300'000; ++i) {
    const double multiplier = std::ldexp(0.5 + 0.5 * static_cast<double>(g() >> 11) * 0x1p-53,
                                         static_cast<int>(g() % 40) - 33);
    const zp::fixed_point m = zp::to_fixed_point(multiplier);
    const auto acc = static_cast<std::int32_t>(static_cast<std::int32_t>(g()) >> g() % 31);
    for (const std::int32_t a :
         {acc, lowest, highest, 0, 1, -1, 1 << (g() % 31), -(1 << (g() % 31))}) {
      bad += zp::requantize(a, m, all32) == fixed_reference(a, m) ? 0 : 1;
    }
  }
  REQUIRE(bad == 0);
}

TEST_CASE("float requantization is the float product, rounded to even and clamped") {
  test::generator g(test::seed(92));
  INFO(test::seed_text(test::seed(92)));
  long bad = 0, ties = 0;
  for (int i = 0; i < 1'000'000; ++i) {
    const float multiplier =
        i % 4 == 0 ? std::ldexp(1.0f, -static_cast<int>(g() % 16))
                   : std::ldexp(test::uniform(g, 0.5f, 1.0f), -static_cast<int>(g() % 24));
    const auto acc = static_cast<std::int32_t>(static_cast<std::int32_t>(g()) >> g() % 31);
    const zp::params out{1, static_cast<std::int32_t>(g() % 256) - 128, -128, 127};
    const float product = static_cast<float>(acc) * multiplier;
    ties += std::fabs(product - std::trunc(product)) == 0.5f ? 1 : 0;
    const double code = std::nearbyint(static_cast<double>(product)) + out.zero_point;
    const auto expected = static_cast<std::int32_t>(std::fmin(std::fmax(code, -128.0), 127.0));
    bad += zp::requantize(acc, multiplier, out) == expected ? 0 : 1;
  }
  REQUIRE(ties > 1000);
  REQUIRE(bad == 0);
  REQUIRE(zp::requantize(5, 0.5f, s8) == 2);
  REQUIRE(zp::requantize(7, 0.5f, s8) == 4);
  REQUIRE(zp::requantize(lowest, 1.0f, s8) == -128);
  REQUIRE(zp::requantize(highest, 1.0f, s8) == 127);
}

TEST_CASE("the two ways differ by one, rarely") {
  test::generator g(test::seed(93));
  INFO(test::seed_text(test::seed(93)));
  long different = 0;
  for (int i = 0; i < 1'000'000; ++i) {
    const float multiplier = std::ldexp(test::uniform(g, 0.5f, 1.0f), -10);
    const auto acc = static_cast<std::int32_t>(g() % 200001) - 100000;
    const int difference =
        zp::requantize(acc, multiplier, s8) -
        zp::requantize(acc, zp::to_fixed_point(static_cast<double>(multiplier)), s8);
    REQUIRE(std::abs(difference) <= 1);
    different += difference != 0 ? 1 : 0;
  }
  REQUIRE(different > 0);
  REQUIRE(different < 1000);
}

TEST_CASE("requantize_row is requantize, one after another") {
  test::generator g(test::seed(94));
  INFO(test::seed_text(test::seed(94)));
  const zp::params u8{1, 100, 0, 255};
  for (std::size_t n = 0; n < 68; ++n) {
    std::vector<std::int32_t> acc(n);
    for (std::int32_t& a : acc) a = static_cast<std::int32_t>(g()) >> 12;
    std::vector<std::int8_t> codes(n);
    std::vector<std::uint8_t> fixed(n);
    const zp::fixed_point m = zp::to_fixed_point(0.0003);
    zp::requantize_row(std::span<const std::int32_t>(acc), 0.0003f, s8, std::span(codes));
    zp::requantize_row(std::span<const std::int32_t>(acc), m, u8, std::span(fixed));
    for (std::size_t i = 0; i < n; ++i) {
      REQUIRE(int{codes[i]} == zp::requantize(acc[i], 0.0003f, s8));
      REQUIRE(int{fixed[i]} == zp::requantize(acc[i], m, u8));
    }
  }
  std::vector<std::int32_t> acc(3);
  std::vector<std::int8_t> codes(3);
  REQUIRE_THROWS_AS(
      zp::requantize_row(std::span<const std::int32_t>(acc), 1.0f, u8, std::span(codes)),
      zp::error);
  REQUIRE_THROWS_AS(
      zp::requantize_row(std::span<const std::int32_t>(acc).first(2), 1.0f, s8, std::span(codes)),
      zp::error);
}
