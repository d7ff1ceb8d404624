// The block shapes of every granularity, and the way back to floats.
#include <zeropoint/math/quantize.hpp>
#include <zeropoint/math/quantized_matrix.hpp>

#include "math/reference.hpp"

namespace zp = zeropoint;
using view = zp::matrix_view<const float>;

TEST_CASE("blocks_of: which elements share one params") {
  const std::vector<float> x(5 * 7);
  const view m(x.data(), 5, 7);
  const zp::linear_weight linear{m};
  const zp::conv1d_weight conv{m};
  REQUIRE(zp::blocks_of(m, zp::per_tensor) == zp::block_shape{5, 7});
  REQUIRE(zp::blocks_of(m, zp::per_row) == zp::block_shape{1, 7});
  REQUIRE(zp::blocks_of(m, zp::per_token) == zp::block_shape{1, 7});
  REQUIRE(zp::blocks_of(m, zp::per_column) == zp::block_shape{5, 1});
  REQUIRE(zp::blocks_of(linear, zp::per_output_channel) == zp::block_shape{1, 7});
  REQUIRE(zp::blocks_of(conv, zp::per_output_channel) == zp::block_shape{5, 1});
  REQUIRE(zp::blocks_of(linear, zp::per_group{3}) == zp::block_shape{1, 3});
  REQUIRE(zp::blocks_of(conv, zp::per_group{3}) == zp::block_shape{3, 1});
  REQUIRE(zp::blocks_of(conv, zp::per_tensor) == zp::block_shape{5, 7});
  REQUIRE(zp::blocks_of(linear, zp::per_column) == zp::block_shape{5, 1});
  REQUIRE(zp::blocks_of(view(), zp::per_tensor) == zp::block_shape{1, 1});
  REQUIRE((linear.out() == 5 && linear.in() == 7 && conv.out() == 7 && conv.in() == 5));
}

TEST_CASE("params_table numbers blocks row by row, ragged at the edges") {
  zp::params_table t(5, 7, {2, 3}, zp::affine);
  REQUIRE(t.blocks_down() == 3);
  REQUIRE(t.blocks_across() == 3);
  REQUIRE(t.count() == 9);
  REQUIRE(t.index(0, 0) == 0);
  REQUIRE(t.index(1, 5) == 1);
  REQUIRE(t.index(4, 6) == 8);
  const zp::params p = zp::fit({-1, 3}, zp::affine);
  t.set(8, p);
  REQUIRE(t[8] == p);
  REQUIRE(t[7] == zp::params{1, 0, -128, 127});
  REQUIRE_THROWS_AS(t.set(9, p), zp::error);
  REQUIRE_THROWS_AS(t.set(0, zp::fit({-1, 3}, zp::symmetric)), zp::error);
  REQUIRE_THROWS_AS(t.set(0, zp::params{0, 0, -128, 127}), zp::error);
  REQUIRE_THROWS_AS(t.set(0, zp::params{1, 200, -128, 127}), zp::error);
  REQUIRE(t[0] == zp::params{1, 0, -128, 127});
  zp::params_table symmetric(5, 7, {5, 7}, zp::symmetric);
  REQUIRE(symmetric.zero_points().empty());
  REQUIRE_THROWS_AS(symmetric.set(0, zp::params{1, 3, -127, 127}), zp::error);
  REQUIRE(zp::params_table(5, 7, {5, 7}, zp::symmetric.as_unsigned()).zero_points()[0] == 128);
  REQUIRE_THROWS_AS(zp::params_table(5, 7, {0, 1}, zp::symmetric), zp::error);
  REQUIRE_THROWS_AS(zp::params_table(SIZE_MAX / 2, 3, {1, 1}, zp::symmetric), zp::error);
}

TEST_CASE("storage and scheme must agree") {
  const zp::params_table s(2, 2, {2, 2}, zp::symmetric), u(2, 2, {2, 2}, zp::affine.as_unsigned());
  REQUIRE_THROWS_AS(zp::quantized_matrix<std::uint8_t>(s), zp::error);
  REQUIRE_THROWS_AS(zp::quantized_matrix<std::int8_t>(u), zp::error);
  REQUIRE(zp::quantized_matrix<std::int8_t>(s).bytes() == 4 + 4);
  REQUIRE(zp::quantized_matrix<std::uint8_t>(u).bytes() == 4 + 4 + 4);
}

TEST_CASE(
    "dequantize of a matrix is dequantize of its elements, and quantizes back to the same codes") {
  test::generator g(test::seed(61));
  INFO(test::seed_text(test::seed(61)));
  for (const auto& [rows, cols] :
       std::vector<std::pair<std::size_t, std::size_t>>{{1, 1}, {7, 150}, {150, 7}, {64, 64}}) {
    std::vector<float> x(rows * cols);
    for (float& v : x) v = test::normal(g);
    const view m(x.data(), rows, cols);
    const auto check = [&, rows = rows, cols = cols](const auto& q) {
      std::vector<float> y(rows * (cols + 3), -77.0f);
      q.dequantize(zp::matrix_view<float>(y.data(), rows, cols, cols + 3));
      const zp::aligned_buffer<float> owned = q.dequantize();
      for (std::size_t i = 0; i < rows; ++i) {
        for (std::size_t j = 0; j < cols; ++j) {
          const zp::params p = q.params_at(i, j);
          const float expected = zp::dequantize(q.values()(i, j), p);
          if (y[i * (cols + 3) + j] != expected || owned[i * cols + j] != expected) return false;
          if (zp::quantize(expected, p) != q.values()(i, j)) return false;
          if (std::fabs(expected - x[i * cols + j]) > 0.50007f * p.scale) return false;
        }
        for (std::size_t j = cols; j < cols + 3; ++j) {
          if (y[i * (cols + 3) + j] != -77.0f) return false;  // the gap between rows
        }
      }
      return true;
    };
    for (const zp::scheme& s : {zp::symmetric, zp::affine, zp::affine.with_bits(4)}) {
      REQUIRE(check(zp::quantize<std::int8_t>(m, zp::per_tensor, s).matrix));
      REQUIRE(check(zp::quantize<std::int8_t>(m, zp::per_row, s).matrix));
      REQUIRE(check(zp::quantize<std::uint8_t>(m, zp::per_column, s).matrix));
      REQUIRE(check(zp::quantize<std::uint8_t>(zp::linear_weight{m}, zp::per_group{32}, s).matrix));
      REQUIRE(check(zp::quantize<std::int8_t>(zp::conv1d_weight{m}, zp::per_group{32}, s).matrix));
    }
  }
  const auto q = zp::quantize<std::int8_t>(view(), zp::per_tensor, zp::symmetric).matrix;
  std::vector<float> y(4);
  REQUIRE_THROWS_AS(q.dequantize(zp::matrix_view<float>(y.data(), 2, 2)), zp::error);
}
