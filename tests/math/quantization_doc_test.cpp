// Every worked number of docs/quantization.md.
#include <zeropoint/gemm/gemm.hpp>
#include <zeropoint/math/quantize.hpp>

#include "support/test.hpp"

#include <vector>

namespace zp = zeropoint;

TEST_CASE("section 2: narrow never clips, absmax / 127.5 does for 88 % of the mantissas") {
  std::size_t clipped = 0, narrow = 0, count = 0;
  for (std::uint32_t mantissa = 0; mantissa < 1u << 23; ++mantissa, ++count) {
    const float x = std::bit_cast<float>(0x3f800000u | mantissa);
    clipped += std::nearbyint(x / (x / 127.5f)) > 127 ? 1u : 0u;
    const zp::params p = zp::fit({-x, x}, zp::symmetric);
    narrow += std::nearbyint(x / p.scale) != 127 || std::nearbyint(-x / p.scale) != -127 ? 1u : 0u;
  }
  REQUIRE(count == 8388608);
  CHECK(clipped == 7348289);
  CHECK(narrow == 0);
  CHECK(2 * 127 * 127 == 32258);
}

TEST_CASE("section 3: the range -1 .. 2 in eight signed affine bits") {
  const zp::params p = zp::fit({-1, 2}, zp::affine);
  CHECK(p.scale == Approx(0.0117647).epsilon(1e-6));
  CHECK(p.zero_point == -43);
  CHECK(zp::quantize(0.0f, p) == -43);
  CHECK(zp::dequantize(-43, p) == 0.0f);
  CHECK(zp::quantize(2.0f, p) == 127);
  CHECK(zp::quantize(-1.0f, p) == -128);
  CHECK(zp::quantize(0.5f, p) == -1);
  CHECK(zp::dequantize(-1, p) == Approx(0.494).margin(5e-4));
  const zp::params relu = zp::fit({0, 6}, zp::symmetric);
  CHECK(zp::quantize(6.0f, relu) - zp::quantize(0.0f, relu) + 1 == 128);
}

TEST_CASE("section 4: ties, division, and where the zero point is added") {
  const zp::params one{1.0f, 0, -128, 127};
  CHECK(zp::quantize(2.5f, one) == 2);
  CHECK(zp::quantize(2.5f, one, zp::rounding<zp::ties_away>{}) == 3);
  const zp::params pair{0.00214854861f, 0, -128, 127};
  const zp::params wide{0.00214854861f, 0, -127, 128};
  CHECK(zp::quantize(0.273939937f, pair) == 127);
  CHECK(zp::quantize(0.273939937f, wide, zp::rounding<zp::ties_to_even, zp::reciprocal>{}) == 128);
  CHECK(zp::quantize(2.5f, zp::params{1.0f, 1, -128, 127}) == 3);
  CHECK(std::nearbyint(2.5f + 1.0f) == 4);
  for (const zp::value_range range :
       {zp::value_range{-1, 2}, {-3e-5f, 1e-5f}, {0, 6}, {-1e8f, 7}}) {
    for (const zp::scheme s : {zp::symmetric, zp::symmetric_full, zp::affine}) {
      const zp::params p = zp::fit(range, s);
      for (int q = p.qmin; q <= p.qmax; ++q) REQUIRE(zp::quantize(zp::dequantize(q, p), p) == q);
    }
  }
}

TEST_CASE("section 5: SQNR is 52.9 dB less the crest factor") {
  const auto seed = test::seed(5);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  CHECK(10 * std::log10(12.0 * 127 * 127) == Approx(52.9).margin(0.05));
  std::vector<float> x(1 << 20);
  const auto sqnr = [](const std::vector<float>& values, std::size_t rows) {
    const zp::matrix_view<const float> m(values.data(), rows, values.size() / rows);
    return zp::quantize<std::int8_t>(m, zp::per_row, zp::symmetric).statistics.sqnr_db();
  };
  for (float& v : x) v = test::uniform(g, -1, 1);
  CHECK(sqnr(x, 1) == Approx(48.1).margin(0.1));
  for (float& v : x) v = test::normal(g);
  CHECK(sqnr({x.begin(), x.begin() + 768 * 1024}, 1024) == Approx(43).margin(0.7));

  // One channel of 256 is a hundred times the others: nothing clips, the others keep five codes.
  for (std::size_t i = 0; i < x.size(); i += 256) x[i] *= 100;
  const zp::matrix_view<const float> m(x.data(), x.size() / 256, 256);
  const auto [q, damage] = zp::quantize<std::int8_t>(m, zp::per_tensor, zp::symmetric);
  CHECK(damage.clipped() == 0);
  int largest = 0;
  for (std::size_t i = 0; i < m.rows(); ++i) {
    for (std::size_t j = 1; j < 256; ++j)
      largest = std::max(largest, std::abs(int{q.values()(i, j)}));
  }
  CHECK(largest <= 2);
}

TEST_CASE("section 7: how deep a sum may be") {
  CHECK(zp::max_depth(128, 128) == 131071);
  CHECK(zp::max_depth(255, 128) == 65793);
  CHECK(255 * 127 + 255 * 127 == 64770);
}
