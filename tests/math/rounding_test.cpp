// The rounding policies against the C library, over every float that can matter at a tie.
#include <zeropoint/math/quantize.hpp>
#include <zeropoint/math/rounding.hpp>

#include "support/test.hpp"

#include <bit>
#include <climits>

namespace zp = zeropoint;

namespace {

/// All floats of magnitude below 512 whose low mantissa bits are 0, +-1 around a coarse grid, plus
/// the neighbours of every multiple of 1/2.
template <class F>
void for_tie_candidates(F f) {
  for (int half = -1024; half <= 1024; ++half) {
    float below = 0.5f * static_cast<float>(half), above = below;
    f(below);
    for (int step = 0; step < 40; ++step) {
      below = std::nextafter(below, -INFINITY);
      above = std::nextafter(above, INFINITY);
      f(below);
      f(above);
    }
  }
  for (std::uint32_t bits = 0; bits < 0x44000000u; bits += 1021) {
    f(std::bit_cast<float>(bits));
    f(std::bit_cast<float>(bits | 0x80000000u));
  }
}

}  // namespace

TEST_CASE("ties_to_even is nearbyint, ties_away is round") {
  long bad = 0;
  for_tie_candidates([&](float t) {
    bad += zp::ties_to_even::nearest(t) == std::nearbyint(t) ? 0 : 1;
    bad += zp::ties_away::nearest(t) == std::round(t) ? 0 : 1;
  });
  REQUIRE(bad == 0);
  STATIC_REQUIRE(zp::ties_to_even::nearest(2.5f) == 2.0f);
  STATIC_REQUIRE(zp::ties_away::nearest(2.5f) == 3.0f);
  STATIC_REQUIRE(zp::ties_away::nearest(0.49999997f) == 0.0f);
}

TEST_CASE("division and reciprocal are two policies: the pair of FBGEMM's header") {
  const zp::params p{0.00214854861f, 0, -128, 127};
  const float x = 0.273939937f;
  // 127.499992 -> 127 and 127.5 -> 128 (clamped to 127 in int8, so look at the steps).
  const zp::params wide{0.00214854861f, 0, 0, 255};
  REQUIRE(zp::quantize(x, wide) == 127);
  REQUIRE(zp::quantize(x, wide, zp::rounding<zp::ties_to_even, zp::reciprocal>{}) == 128);
  // In int8 the code is the same, but only one of the two has clipped.
  const zp::quantizer<> divide(p);
  const zp::quantizer<zp::rounding<zp::ties_to_even, zp::reciprocal>> multiply(p);
  REQUIRE(divide(x) == 127);
  REQUIRE(multiply(x) == 127);
  REQUIRE_FALSE(divide.scaled(x) > divide.high_edge());
  REQUIRE(multiply.scaled(x) > multiply.high_edge());
}

TEMPLATE_TEST_CASE("quantizer: the edges are the last floats that round onto the grid", "",
                   zp::ties_to_even, zp::ties_away) {
  const auto c_library = [](float t) {
    return std::is_same_v<TestType, zp::ties_to_even> ? std::nearbyint(t) : std::round(t);
  };
  for (std::int32_t limit = 0; limit <= 255; ++limit) {
    // A grid of `limit` steps above zero, and its mirror image.
    const zp::quantizer<zp::rounding<TestType>> up(zp::params{1.0f, 0, 0, limit});
    const zp::quantizer<zp::rounding<TestType>> down(zp::params{1.0f, 0, -limit, 0});
    const auto end = static_cast<float>(limit);
    REQUIRE(c_library(up.high_edge()) == end);
    REQUIRE(c_library(std::nextafter(up.high_edge(), INFINITY)) == end + 1);
    REQUIRE(c_library(down.low_edge()) == -end);
    REQUIRE(c_library(std::nextafter(down.low_edge(), -INFINITY)) == -end - 1);
  }
}

TEST_CASE("quantizer: NaN is real zero, infinities are the ends, both signs of zero are zero") {
  const float nan = std::numeric_limits<float>::quiet_NaN(),
              inf = std::numeric_limits<float>::infinity();
  for (const zp::params& p : {zp::params{0.5f, 0, -127, 127}, zp::params{1e-30f, 100, -128, 127},
                              zp::params{3e37f, 0, 0, 255}, zp::params{1.0f, 7, 0, 15}}) {
    REQUIRE(zp::quantize(nan, p) == p.zero_point);
    REQUIRE(zp::quantize(-nan, p) == p.zero_point);
    REQUIRE(zp::quantize(inf, p) == p.qmax);
    REQUIRE(zp::quantize(-inf, p) == p.qmin);
    REQUIRE(zp::quantize(0.0f, p) == p.zero_point);
    REQUIRE(zp::quantize(-0.0f, p) == p.zero_point);
    REQUIRE(zp::quantize(std::numeric_limits<float>::max(), p) <= p.qmax);
  }
  STATIC_REQUIRE(zp::quantize(0.37f, zp::params{0.01f, 0, -127, 127}) == 37);
  STATIC_REQUIRE(zp::dequantize(-3, zp::params{0.5f, 1, -127, 127}) == -2.0f);
}

TEST_CASE("quantizer: bad params are refused") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const zp::params& p : {zp::params{0.0f, 0, -127, 127}, zp::params{-1.0f, 0, -127, 127},
                              zp::params{nan, 0, -127, 127}, zp::params{INFINITY, 0, -127, 127},
                              zp::params{1e-39f, 0, -127, 127}, zp::params{1.0f, 128, -127, 127},
                              zp::params{1.0f, -128, -127, 127}, zp::params{1.0f, 0, -128, 128},
                              zp::params{1.0f, 0, 5, -5}, zp::params{1.0f, 0, INT_MIN, INT_MAX},
                              zp::params{1.0f, 1000, 900, 1100}}) {
    REQUIRE_THROWS_AS(zp::quantizer<>(p), zp::error);
  }
}

TEST_CASE("saturate holds what fits and stops at the ends") {
  STATIC_REQUIRE(zp::saturate<std::int8_t>(-129) == -128);
  STATIC_REQUIRE(zp::saturate<std::int8_t>(128) == 127);
  STATIC_REQUIRE(zp::saturate<std::uint8_t>(-1) == 0);
  STATIC_REQUIRE(zp::saturate<std::uint8_t>(256) == 255);
  STATIC_REQUIRE(zp::saturate<std::int32_t>(INT64_MAX) == INT32_MAX);
  STATIC_REQUIRE(zp::saturate<std::int32_t>(INT64_MIN) == INT32_MIN);
  for (int v = -128; v < 128; ++v) REQUIRE(zp::saturate<std::int8_t>(v) == v);
}

TEST_CASE("the step of a code is undone exactly: quantize(dequantize(q)) == q") {
  int bad = 0;
  for (std::uint32_t mantissa = 0; mantissa < 1u << 23; mantissa += 104729) {
    for (const std::uint32_t exponent : {1u, 60u, 120u, 127u, 200u, 245u}) {
      const float scale = std::bit_cast<float>(exponent << 23 | mantissa);
      for (const zp::params& p : {zp::params{scale, 0, -128, 127}, zp::params{scale, 37, 0, 255}}) {
        const zp::quantizer<> divide(p);
        const zp::quantizer<zp::rounding<zp::ties_away, zp::reciprocal>> multiply(p);
        for (std::int32_t code = p.qmin; code <= p.qmax; ++code) {
          const float x = zp::dequantize(code, p);
          bad += divide(x) == code && multiply(x) == code ? 0 : 1;
        }
      }
    }
  }
  REQUIRE(bad == 0);
}
