// The SIMD row loops against the scalar definitions: the same bits for millions of values, every
// tail length, any alignment, and not one byte outside the row.
#include <zeropoint/math/elementwise.hpp>
#include <zeropoint/math/quantize.hpp>

#include "math/reference.hpp"
#include "support/guarded.hpp"

namespace zp = zeropoint;
namespace ew = zeropoint::elementwise;

namespace {

float plain_absmax(std::span<const float> x) {
  float m = 0;
  for (float v : x) m = std::isfinite(v) ? std::fmax(m, std::fabs(v)) : m;
  return m;
}
zp::value_range plain_min_max(std::span<const float> x) {
  zp::value_range r{INFINITY, -INFINITY};
  for (float v : x) {
    if (!std::isfinite(v)) continue;
    r.min = v < r.min ? v : r.min;
    r.max = v > r.max ? v : r.max;
  }
  return {r.min == 0 ? 0.0f : r.min, r.max == 0 ? 0.0f : r.max};
}
bool same_bits(float a, float b) {
  return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
}

template <class Rounding, class T>
long differences(const std::vector<float>& x, const zp::params& p) {
  const zp::quantizer<Rounding> q(p);
  std::vector<T> codes(x.size());
  ew::quantize_row(x.data(), x.size(), q, codes.data());
  long bad = 0;
  for (std::size_t i = 0; i < x.size(); ++i) bad += codes[i] == q(x[i]) ? 0 : 1;
  return bad;
}

}  // namespace

TEST_CASE("quantize_row is the quantizer, for millions of values of every policy") {
  test::generator g(test::seed(41));
  INFO(test::seed_text(test::seed(41)));
  using even_reciprocal = zp::rounding<zp::ties_to_even, zp::reciprocal>;
  using away_divide = zp::rounding<zp::ties_away, zp::divide>;
  using away_reciprocal = zp::rounding<zp::ties_away, zp::reciprocal>;
  long bad = 0;
  for (const float scale : {0.25f, 0.0078125f, 0.013f, 3e-37f, 1e30f}) {
    const std::vector<float> x = test::nasty(g, 100'003, scale, 3);
    for (const zp::params& p : {zp::params{scale, 0, -127, 127}, zp::params{scale, -101, -128, 127},
                                zp::params{scale, 0, -8, 7}, zp::params{scale, 127, -128, 127}}) {
      bad += differences<zp::rounding<>, std::int8_t>(x, p);
      bad += differences<even_reciprocal, std::int8_t>(x, p);
      bad += differences<away_divide, std::int8_t>(x, p);
      bad += differences<away_reciprocal, std::int8_t>(x, p);
    }
    bad += differences<zp::rounding<>, std::uint8_t>(x, {scale, 131, 0, 255});
    bad += differences<zp::rounding<>, std::uint8_t>(x, {scale, 0, 0, 15});
  }
  REQUIRE(bad == 0);
}

TEST_CASE("quantize_row is the definition itself: nearbyint of the quotient, then the clamp") {
  test::generator g(test::seed(42));
  INFO(test::seed_text(test::seed(42)));
  long bad = 0;
  for (int round = 0; round < 20; ++round) {
    const float scale = std::ldexp(test::uniform(g, 0.5f, 1.0f), static_cast<int>(g() % 60) - 30);
    const zp::params p{round % 2 == 0 ? scale : std::ldexp(1.0f, round - 10),
                       static_cast<std::int32_t>(g() % 256) - 128, -128, 127};
    const std::vector<float> x = test::nasty(g, 100'000, p.scale, 4);
    std::vector<std::int8_t> codes(x.size());
    zp::quantize_row(std::span<const float>(x), p, std::span(codes));
    for (std::size_t i = 0; i < x.size(); ++i) bad += codes[i] == test::code(x[i], p) ? 0 : 1;
  }
  REQUIRE(bad == 0);
}

TEST_CASE("rows of every length touch nothing outside") {
  test::generator g(test::seed(43));
  INFO(test::seed_text(test::seed(43)));
  const zp::params p{0.25f, 5, -128, 127};
  const zp::quantizer<> q(p);
  for (std::size_t n = 0; n <= 67 * 2; ++n) {
    for (const bool front : {false, true}) {
      const std::vector<float> x = test::nasty(g, n, 0.25f, 4);
      const test::guarded<float> in(n, front), out(n, front);
      const test::guarded<std::int8_t> codes(n, front), counted(n, front);
      std::copy(x.begin(), x.end(), in.data());
      const std::span<const float> row(in.data(), n);
      ew::quantize_row(in.data(), n, q, codes.data());
      zp::statistics_accumulator damage;
      ew::quantize_row(in.data(), n, q, counted.data(), damage);
      ew::dequantize_row(codes.data(), n, p.scale, p.zero_point, out.data());
      bool good = damage.result().count == n && ew::absmax(row) == plain_absmax(x) &&
                  ew::min_max(row) == plain_min_max(x);
      std::uint64_t strange = 0;
      for (std::size_t i = 0; i < n; ++i) {
        good = good && codes[i] == q(x[i]) && counted[i] == codes[i];
        good = good && same_bits(out[i], zp::dequantize(codes[i], p));
        strange += std::isfinite(x[i]) ? 0 : 1;
      }
      REQUIRE(good);
      REQUIRE(ew::count_non_finite(row) == strange);
    }
  }
}

TEST_CASE("unaligned rows give the same codes, and neighbours are left alone") {
  test::generator g(test::seed(44));
  INFO(test::seed_text(test::seed(44)));
  const std::vector<float> x = test::nasty(g, 300, 0.5f, 6);
  const zp::quantizer<> q(zp::params{0.5f, 0, -127, 127});
  for (std::size_t offset = 0; offset < 17; ++offset) {
    for (const std::size_t n :
         {std::size_t{1}, std::size_t{63}, std::size_t{64}, std::size_t{200}}) {
      std::vector<std::int8_t> codes(400, 99);
      ew::quantize_row(x.data() + offset, n, q, codes.data() + offset);
      for (std::size_t i = 0; i < codes.size(); ++i) {
        const bool inside = i >= offset && i < offset + n;
        REQUIRE(static_cast<int>(codes[i]) == (inside ? q(x[i]) : 99));
      }
    }
  }
}

TEST_CASE("dequantize_row is dequantize") {
  test::generator g(test::seed(45));
  INFO(test::seed_text(test::seed(45)));
  for (int i = 0; i < 200; ++i) {
    const zp::params p{
        std::bit_cast<float>(static_cast<std::uint32_t>(g() % 0x7e000000u + 0x800000u)),
        static_cast<std::int32_t>(g() % 256), 0, 255};
    std::vector<std::uint8_t> codes(g() % 1000);
    for (std::uint8_t& c : codes) c = test::integer<std::uint8_t>(g);
    std::vector<float> x(codes.size());
    zp::dequantize_row(std::span<const std::uint8_t>(codes), p, std::span(x));
    for (std::size_t k = 0; k < x.size(); ++k) {
      if (!same_bits(x[k], zp::dequantize(codes[k], p))) FAIL("code " << int{codes[k]});
    }
  }
}

TEST_CASE("ranges skip what is not finite") {
  const float nan = std::numeric_limits<float>::quiet_NaN(),
              inf = std::numeric_limits<float>::infinity();
  const std::vector<float> strange(70, nan), mixed{nan, -inf, -3, inf, 2, nan},
      zeros{-0.0f, 0.0f, -0.0f};
  REQUIRE(ew::absmax(strange) == 0);
  REQUIRE(ew::min_max(strange) == zp::value_range{inf, -inf});
  REQUIRE(ew::absmax({}) == 0);
  REQUIRE(ew::min_max({}) == zp::value_range{inf, -inf});
  REQUIRE(ew::absmax(mixed) == 3);
  REQUIRE(ew::min_max(mixed) == zp::value_range{-3, 2});
  REQUIRE(same_bits(ew::min_max(zeros).min, 0.0f));
  REQUIRE(same_bits(ew::min_max(zeros).max, 0.0f));
  REQUIRE(same_bits(ew::absmax(zeros), 0.0f));
  const std::vector<float> tiny{std::numeric_limits<float>::denorm_min(), -0.0f};
  REQUIRE(ew::absmax(tiny) == std::numeric_limits<float>::denorm_min());
  const std::vector<float> huge{std::numeric_limits<float>::max(), inf};
  REQUIRE(ew::absmax(huge) == std::numeric_limits<float>::max());
}

TEST_CASE("column ranges are the ranges of the columns") {
  test::generator g(test::seed(46));
  INFO(test::seed_text(test::seed(46)));
  for (const std::size_t cols : {1u, 3u, 4u, 15u, 16u, 17u, 50u}) {
    const std::size_t rows = 40;
    const std::vector<float> x = test::nasty(g, rows * cols, 1.0f, 5);
    std::vector<float> largest(cols, 0.0f), low(cols, INFINITY), high(cols, -INFINITY);
    for (std::size_t i = 0; i < rows; ++i) {
      const std::span<const float> row(x.data() + i * cols, cols);
      ew::absmax_columns(row, largest);
      ew::min_max_columns(row, low, high);
    }
    for (std::size_t j = 0; j < cols; ++j) {
      std::vector<float> column;
      for (std::size_t i = 0; i < rows; ++i) column.push_back(x[i * cols + j]);
      REQUIRE(largest[j] == plain_absmax(column));
      REQUIRE(zp::value_range{low[j], high[j]} == plain_min_max(column));
    }
  }
}
