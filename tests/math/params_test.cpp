// fit() for every scheme and width: nothing clips, zero stays exact, no input gives a bad scale.
#include <zeropoint/math/params.hpp>
#include <zeropoint/math/quantize.hpp>

#include "support/test.hpp"

#include <bit>
#include <vector>

namespace zp = zeropoint;

namespace {

constexpr float smallest = std::numeric_limits<float>::min();
constexpr float largest = std::numeric_limits<float>::max();
constexpr float denormal = std::numeric_limits<float>::denorm_min();

const std::vector<zp::scheme>& all_schemes() {
  static const std::vector<zp::scheme> all = [] {
    std::vector<zp::scheme> s;
    for (const zp::scheme& base : {zp::symmetric, zp::symmetric_full, zp::affine}) {
      for (int bits = 2; bits <= 8; ++bits) {
        s.push_back(base.with_bits(bits));
        s.push_back(base.with_bits(bits).as_unsigned());
      }
    }
    return s;
  }();
  return all;
}

template <class F>
bool throws(F f) {
  try {
    f();
  } catch (const zp::error&) {
    return true;
  }
  return false;
}

}  // namespace

TEST_CASE("scheme: the codes of the table") {
  struct row {
    zp::scheme s;
    std::int32_t qmin, qmax, middle;
  };
  for (const row& r :
       {row{zp::symmetric, -127, 127, 0}, row{zp::symmetric.as_unsigned(), 1, 255, 128},
        row{zp::symmetric_full, -128, 127, 0}, row{zp::symmetric_full.as_unsigned(), 0, 255, 128},
        row{zp::affine, -128, 127, 0}, row{zp::affine.as_unsigned(), 0, 255, 128},
        row{zp::symmetric.with_bits(4), -7, 7, 0},
        row{zp::affine.with_bits(4).as_unsigned(), 0, 15, 8},
        row{zp::symmetric.with_bits(2), -1, 1, 0},
        row{zp::symmetric_full.with_bits(2), -2, 1, 0}}) {
    REQUIRE(r.s.qmin() == r.qmin);
    REQUIRE(r.s.qmax() == r.qmax);
    REQUIRE(r.s.middle() == r.middle);
  }
  STATIC_REQUIRE(zp::symmetric.with_bits(4).qmax() == 7);
  REQUIRE_THROWS_AS(zp::symmetric.with_bits(1), zp::error);
  REQUIRE_THROWS_AS(zp::symmetric.with_bits(9), zp::error);
}

TEST_CASE("fit: the extreme maps to exactly +-127 and nothing clips, for millions of mantissas") {
  int bad = 0;
  const auto check = [&](float x) {
    const zp::params p = zp::fit({-x, x}, zp::symmetric);
    const zp::quantizer<> divide(p);
    const zp::quantizer<zp::rounding<zp::ties_to_even, zp::reciprocal>> multiply(p);
    bad += divide(x) == 127 && divide(-x) == -127 && divide.scaled(x) <= divide.high_edge() ? 0 : 1;
    bad += multiply(x) == 127 && multiply(-x) == -127 && multiply.scaled(x) <= multiply.high_edge()
               ? 0
               : 1;
  };
  // Every fifth of the 2^23 mantissas, at an exponent that varies over the normal range.
  for (std::uint32_t mantissa = 0; mantissa < 1u << 23; mantissa += 5) {
    const std::uint32_t exponent = 8 + mantissa % 246;  // absmax / 127 stays normal
    check(std::bit_cast<float>(exponent << 23 | mantissa));
  }
  check(largest);
  REQUIRE(bad == 0);
}

TEST_CASE("fit: symmetric schemes of every width clip nothing") {
  test::generator g(test::seed(21));
  INFO(test::seed_text(test::seed(21)));
  int bad = 0;
  for (int i = 0; i < 20000; ++i) {
    const float low = test::normal(g) * std::ldexp(1.0f, static_cast<int>(g() % 200) - 100);
    const float high = test::normal(g) * std::ldexp(1.0f, static_cast<int>(g() % 200) - 100);
    const zp::value_range range{std::min(low, high), std::max(low, high)};
    for (const zp::scheme& s : all_schemes()) {
      const zp::params p = zp::fit(range, s);
      const zp::quantizer<> q(p);
      // Zero is a code of its own, exactly.
      bad += q(0.0f) == p.zero_point && zp::dequantize(p.zero_point, p) == 0.0f ? 0 : 1;
      bad += p.qmin == s.qmin() && p.qmax == s.qmax() ? 0 : 1;
      bad += p.scale >= smallest && std::isfinite(1.0f / p.scale) ? 0 : 1;
      if (s.is_symmetric()) {
        bad += p.zero_point == s.middle() ? 0 : 1;
        bad += q.scaled(range.min) >= q.low_edge() && q.scaled(range.max) <= q.high_edge() ? 0 : 1;
      } else {
        // The ends of an affine range are never further than half a step (and the float division)
        // from the grid.
        const auto error = [&](float x) {
          return std::fabs(static_cast<double>(x) -
                           static_cast<double>(p.scale) * (q(x) - p.zero_point));
        };
        bad +=
            error(range.min) <= 0.50006 * p.scale && error(range.max) <= 0.50006 * p.scale ? 0 : 1;
      }
    }
  }
  REQUIRE(bad == 0);
}

TEST_CASE("fit: affine in double, as the formula says") {
  const zp::params p = zp::fit({-1.0f, 3.0f}, zp::affine.as_unsigned());
  REQUIRE(p == zp::params{static_cast<float>(4.0 / 255.0), 64, 0, 255});
  // A range on one side of zero is widened to it.
  REQUIRE(zp::fit({2.0f, 5.1f}, zp::affine.as_unsigned()) ==
          zp::params{static_cast<float>(static_cast<double>(5.1f) / 255), 0, 0, 255});
  REQUIRE(zp::fit({-5.1f, -2.0f}, zp::affine) ==
          zp::params{static_cast<float>(static_cast<double>(5.1f) / 255), 127, -128, 127});
  REQUIRE(zp::fit({-2.0f, 1.0f}, zp::symmetric_full).scale == 2.0f / 128);
  REQUIRE(zp::fit({-1.0f, 2.0f}, zp::symmetric_full).scale == 2.0f / 127);
}

TEST_CASE("fit: zero ranges, denormals, the largest floats") {
  for (const zp::scheme& s : all_schemes()) {
    const zp::params zero = zp::fit({0.0f, -0.0f}, s);
    REQUIRE(zero.scale == 1.0f);
    REQUIRE(zp::quantize(0.0f, zero) == zero.zero_point);
    if (s.is_signed) REQUIRE(zero.zero_point == 0);
    for (const float tiny : {denormal, 100 * denormal, smallest, 10 * smallest}) {
      for (const zp::value_range r :
           {zp::value_range{-tiny, tiny}, zp::value_range{0, tiny}, zp::value_range{-tiny, 0}}) {
        const zp::params p = zp::fit(r, s);
        REQUIRE(p.scale >= smallest);
        REQUIRE(zp::dequantize(zp::quantize(0.0f, p), p) == 0.0f);
        REQUIRE(std::isfinite(zp::dequantize(zp::quantize(tiny, p), p)));
      }
    }
    for (const zp::value_range r : {zp::value_range{-largest, largest}, zp::value_range{0, largest},
                                    zp::value_range{-largest, 0}, zp::value_range{-largest, 1}}) {
      const zp::params p = zp::fit(r, s);
      const zp::value_range ends = p.representable();
      REQUIRE((std::isfinite(ends.min) && std::isfinite(ends.max)));
      REQUIRE(std::isfinite(zp::dequantize(zp::quantize(r.max, p), p)));
      REQUIRE(std::isfinite(zp::dequantize(zp::quantize(r.min, p), p)));
    }
  }
}

TEST_CASE("fit: says no to what is no range") {
  const float nan = std::numeric_limits<float>::quiet_NaN(),
              inf = std::numeric_limits<float>::infinity();
  for (const zp::value_range r :
       {zp::value_range{nan, 1}, zp::value_range{0, nan}, zp::value_range{-inf, 0},
        zp::value_range{0, inf}, zp::value_range{1, -1}, zp::value_range{inf, -inf}}) {
    for (const zp::scheme& s : all_schemes()) {
      if (!throws([&] { (void)zp::fit(r, s); })) FAIL("no error for " << r.min << " .. " << r.max);
    }
  }
  REQUIRE_THROWS_AS(zp::fit({-1, 1}, zp::scheme{zp::symmetry::full, 9, true}), zp::error);
  REQUIRE_THROWS_AS(zp::fit({-1, 1}, zp::scheme{zp::symmetry::full, 1, true}), zp::error);
}
