// All 65,536 values both ways, every midpoint between neighbours, and millions of floats against a
// reference in double arithmetic that knows only what a format is: unit, largest value, ties to even.
#include <zeropoint/base/float16.hpp>

#include "support/test.hpp"

#include <bit>
#include <vector>

namespace zp = zeropoint;

namespace {

struct format {
  int mantissa, smallest_exponent;  // of normal numbers
  double largest;
};
constexpr format half{10, -14, 65504.0}, brain{7, -126, 0x1.fep127};

/// The magnitude that |x| rounds to: a multiple of its unit, found without touching bits of x.
double nearest(double x, const format& f) {
  int exponent = 0;
  std::frexp(x, &exponent);  // x = [0.5, 1) * 2^exponent
  const double unit = std::ldexp(1.0, std::max(exponent - 1, f.smallest_exponent) - f.mantissa);
  const double units = x / unit;  // exact: a power of two
  double whole = std::floor(units);
  const double rest = units - whole;
  if (rest > 0.5 || (rest == 0.5 && std::fmod(whole, 2.0) == 1.0)) whole += 1.0;
  const double rounded = whole * unit;
  return rounded > f.largest ? std::numeric_limits<double>::infinity() : rounded;
}

/// What the bits of a 16-bit float mean, from the definition.
double value(std::uint32_t bits, const format& f) {
  const std::uint32_t fraction = bits & ((1u << f.mantissa) - 1);
  const auto exponent = static_cast<int>((bits & 0x7fffu) >> f.mantissa);
  const int all_ones = (0x7fff >> f.mantissa);
  double magnitude = 0;
  if (exponent == all_ones) {
    magnitude = fraction == 0 ? std::numeric_limits<double>::infinity()
                              : std::numeric_limits<double>::quiet_NaN();
  } else if (exponent == 0) {
    magnitude = std::ldexp(fraction, f.smallest_exponent - f.mantissa);
  } else {
    magnitude =
        std::ldexp((1u << f.mantissa) + fraction, f.smallest_exponent - f.mantissa + exponent - 1);
  }
  return (bits & 0x8000u) != 0 ? -magnitude : magnitude;
}

/// Counts the disagreements with the reference for one finite float.
template <class To>
int wrong(float x, const format& f, To to16) {
  const double expected =
      std::copysign(nearest(std::fabs(static_cast<double>(x)), f), static_cast<double>(x));
  const double got = value(to16(x).bits, f);
  return got == expected && std::signbit(got) == std::signbit(x) ? 0 : 1;
}

template <class Type, class To>
void check_all_bits(const format& f, To to16) {
  int bad = 0;
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const Type h{static_cast<std::uint16_t>(bits)};
    const float x = zp::to_float(h);
    const double expected = value(bits, f);
    if (expected != expected) {
      const auto quiet = static_cast<std::uint16_t>(bits | 1u << (f.mantissa - 1));
      const auto xbits = std::bit_cast<std::uint32_t>(x);
      bad += x == x || (xbits & 0x00400000u) == 0 || to16(x).bits != quiet ? 1 : 0;
      continue;
    }
    bad += static_cast<double>(x) == expected && std::signbit(x) == ((bits & 0x8000u) != 0) ? 0 : 1;
    bad += to16(x).bits == bits ? 0 : 1;
  }
  REQUIRE(bad == 0);
}

/// Between every two neighbours: the midpoint, and the floats around it.
template <class Type, class To>
void check_midpoints(const format& f, To to16) {
  int bad = 0;
  const std::uint32_t infinity = 0x7fffu >> f.mantissa << f.mantissa;
  for (std::uint32_t bits = 0; bits < infinity; ++bits) {
    const double next =
        bits + 1 == infinity ? 2.0 * f.largest - value(bits - 1, f) : value(bits + 1, f);
    const auto middle = static_cast<float>((value(bits, f) + next) / 2);
    for (const float x : {middle, std::nextafter(middle, 0.0f), std::nextafter(middle, INFINITY)}) {
      bad += wrong(x, f, to16) + wrong(-x, f, to16);
    }
    // The tie itself, said in bits: the even one of the two.
    bad += to16(middle).bits == (bits % 2 == 0 ? bits : bits + 1) ? 0 : 1;
  }
  REQUIRE(bad == 0);
}

template <class To>
void check_floats(const format& f, To to16, std::uint64_t seed) {
  test::generator g(test::seed(seed));
  INFO(test::seed_text(test::seed(seed)));
  int bad = 0;
  for (int i = 0; i < 2'000'000; ++i) {
    const auto x = std::bit_cast<float>(static_cast<std::uint32_t>(g()));
    if (std::isfinite(x)) bad += wrong(x, f, to16);
    const float y = std::ldexp(test::uniform(g, -2, 2), static_cast<int>(g() % 44) - 26);
    bad += wrong(y, f, to16);  // within and just outside the range of half
  }
  REQUIRE(bad == 0);
}

const auto to_half = [](float x) { return zp::to_float16(x); };
const auto to_brain = [](float x) { return zp::to_bfloat16(x); };

}  // namespace

TEST_CASE("float16: all 65,536 values are exact and come back") {
  check_all_bits<zp::float16>(half, to_half);
}
TEST_CASE("bfloat16: all 65,536 values are exact and come back") {
  check_all_bits<zp::bfloat16>(brain, to_brain);
}
TEST_CASE("float16: every midpoint goes to the even neighbour") {
  check_midpoints<zp::float16>(half, to_half);
}
TEST_CASE("bfloat16: every midpoint goes to the even neighbour") {
  check_midpoints<zp::bfloat16>(brain, to_brain);
}
TEST_CASE("float16 and bfloat16: millions of floats round as the definition says") {
  check_floats(half, to_half, 161);
  check_floats(brain, to_brain, 162);
}

TEST_CASE("float16: the corners by name") {
  STATIC_REQUIRE(zp::to_float16(1.0f).bits == 0x3c00);
  STATIC_REQUIRE(zp::to_float16(-2.0f).bits == 0xc000);
  STATIC_REQUIRE(zp::to_float16(65519.996f).bits == 0x7bff);  // rounds down to 65504
  STATIC_REQUIRE(zp::to_float16(65520.0f).bits == 0x7c00);    // half way to 65536: infinity
  STATIC_REQUIRE(zp::to_float16(0x1p-24f).bits == 0x0001);
  STATIC_REQUIRE(zp::to_float16(0x1p-25f).bits == 0x0000);  // tie, zero is even
  STATIC_REQUIRE(zp::to_float16(0x1.8p-24f).bits == 0x0002);
  STATIC_REQUIRE(zp::to_float16(-0.0f).bits == 0x8000);
  STATIC_REQUIRE(zp::to_bfloat16(1.00390625f).bits == 0x3f80);  // 1 + 2^-8: tie to even
  STATIC_REQUIRE(zp::to_bfloat16(std::numeric_limits<float>::max()).bits == 0x7f80);
  const float signalling = std::bit_cast<float>(0xff800001u);
  REQUIRE(zp::to_float16(signalling).bits == 0xfe00);
  REQUIRE(zp::to_bfloat16(signalling).bits == 0xffc0);
}

TEST_CASE("float16: rows are the values one by one, at every length") {
  test::generator g(test::seed(163));
  INFO(test::seed_text(test::seed(163)));
  for (std::size_t n = 0; n < 68; ++n) {
    std::vector<float> x(n + 1);
    for (float& v : x) v = std::bit_cast<float>(static_cast<std::uint32_t>(g()));
    const std::span<const float> from = std::span<const float>(x).subspan(1);
    std::vector<zp::float16> h(n);
    std::vector<zp::bfloat16> b(n);
    std::vector<float> back(n);
    zp::to_float16(from, std::span(h));
    zp::to_bfloat16(from, std::span(b));
    zp::to_float(std::span<const zp::float16>(h), std::span(back));
    for (std::size_t i = 0; i < n; ++i) {
      REQUIRE(h[i] == zp::to_float16(from[i]));
      REQUIRE(b[i] == zp::to_bfloat16(from[i]));
      REQUIRE(std::bit_cast<std::uint32_t>(back[i]) ==
              std::bit_cast<std::uint32_t>(zp::to_float(h[i])));
    }
  }
  std::vector<float> short_row(3);
  std::vector<zp::float16> four(4);
  REQUIRE_THROWS_AS(zp::to_float16(std::span<const float>(short_row), std::span(four)), zp::error);
}
