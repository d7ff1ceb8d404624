// Whole matrices: what may be quantized how, static params, quantize_into and what is refused.
#include <zeropoint/math/quantize.hpp>

#include "math/reference.hpp"

namespace zp = zeropoint;
using view = zp::matrix_view<const float>;
using test::backwards;
using test::nasty_matrix;

// A bare matrix has no output channel and no K; a weight has both.
static_assert(!zp::quantizable<view, zp::per_output_channel_t>);
static_assert(!zp::quantizable<zp::matrix_view<float>, zp::per_output_channel_t>);
static_assert(!zp::quantizable<view, zp::per_group>);
static_assert(zp::quantizable<view, zp::per_tensor_t>);
static_assert(zp::quantizable<view, zp::per_channel_t<zp::axis::columns>>);
static_assert(zp::quantizable<zp::linear_weight, zp::per_output_channel_t>);
static_assert(zp::quantizable<zp::conv1d_weight, zp::per_output_channel_t>);
static_assert(zp::quantizable<zp::conv1d_weight, zp::per_group>);

template <class Source>
concept quantizes_per_output_channel = requires(const Source& source) {
  zp::quantize<std::int8_t>(source, zp::per_output_channel, zp::symmetric);
};
static_assert(!quantizes_per_output_channel<view>);
static_assert(quantizes_per_output_channel<zp::linear_weight>);

namespace {

const std::vector<zp::scheme> schemes{zp::symmetric, zp::symmetric_full, zp::affine,
                                      zp::symmetric.with_bits(4), zp::affine.with_bits(3)};

}  // namespace

TEST_CASE("matrices without a row, a column or a number") {
  const view none;
  const auto [q, damage] = zp::quantize<std::int8_t>(none, zp::per_tensor, zp::symmetric);
  REQUIRE(q.bytes() == 0);
  REQUIRE(damage == zp::quantization_statistics{});
  const std::vector<float> x(12, std::numeric_limits<float>::quiet_NaN());
  REQUIRE(zp::quantize<std::int8_t>(view(x.data(), 0, 4), zp::per_row, zp::affine)
              .matrix.scales()
              .empty());
  REQUIRE(zp::quantize<std::int8_t>(zp::linear_weight{view(x.data(), 3, 0)}, zp::per_group{8},
                                    zp::affine)
              .matrix.scales()
              .empty());
  for (const zp::scheme& s : schemes) {
    const auto [nothing, lost] = zp::quantize<std::int8_t>(view(x.data(), 3, 4), zp::per_row, s);
    REQUIRE(lost.nan == 12);
    for (std::size_t i = 0; i < 3; ++i) {
      REQUIRE(nothing.params_at(i, 0).scale == 1);
      REQUIRE(nothing.values()(i, 0) == nothing.params_at(i, 0).zero_point);
    }
  }
}

TEST_CASE("static params: one, or a table") {
  test::generator g(test::seed(53));
  INFO(test::seed_text(test::seed(53)));
  const nasty_matrix m(g, 40, 90, 8);
  const view x = m.get();
  for (const zp::params& p : {zp::fit({-10, 10}, zp::symmetric), zp::fit({-3, 10}, zp::affine),
                              zp::fit({-1, 1}, zp::symmetric.with_bits(4))}) {
    const auto [q, damage] = zp::quantize<std::int8_t>(x, p, backwards{});
    test::naive_statistics naive;
    for (std::size_t i = 0; i < x.rows(); ++i) {
      for (std::size_t j = 0; j < x.cols(); ++j) {
        naive.add(x(i, j), p);
        if (q.values()(i, j) != test::code(x(i, j), p)) FAIL("code (" << i << ", " << j << ")");
      }
    }
    REQUIRE(naive.agrees(damage));
    REQUIRE(q.params_at(39, 89) == p);
    REQUIRE(q.block() == zp::block_shape{40, 90});

    std::vector<std::int8_t> codes(x.size());
    const zp::range_counts counts =
        zp::quantize_into(x, p, zp::matrix_view<std::int8_t>(codes.data(), 40, 90), backwards{});
    REQUIRE(counts == zp::range_counts{damage.count, damage.clipped_low, damage.clipped_high,
                                       damage.nan, damage.infinite});
    REQUIRE(std::equal(codes.begin(), codes.end(), q.values().data()));
  }
  const auto fitted =
      zp::quantize<std::uint8_t>(x, zp::per_column, zp::affine, zp::serial{}, zp::no_statistics);
  const auto again = zp::quantize<std::uint8_t>(x, fitted.table(), zp::serial{}, zp::no_statistics);
  REQUIRE(
      std::equal(fitted.values().data(), fitted.values().data() + x.size(), again.values().data()));
  REQUIRE_THROWS_AS(zp::quantize<std::uint8_t>(x.rows_from(0, 39), fitted.table()), zp::error);
  REQUIRE_THROWS_AS(zp::quantize<std::int8_t>(x, fitted.table()), zp::error);
  REQUIRE_THROWS_AS(zp::quantize<std::int8_t>(x, zp::params{1, 0, -100, 100}), zp::error);
  REQUIRE_THROWS_AS(zp::quantize<std::int8_t>(x, zp::params{1, 128, 0, 255}), zp::error);
  REQUIRE_THROWS_AS(zp::quantize<std::int8_t>(x, zp::params{0, 0, -127, 127}), zp::error);
}

TEST_CASE("quantize_into is quantize without the matrix; a token does not see its batch mates") {
  test::generator g(test::seed(54));
  INFO(test::seed_text(test::seed(54)));
  const nasty_matrix m(g, 9, 200, 30);
  const view x = m.get();
  std::vector<std::uint8_t> codes(x.size()), one(x.cols());
  std::vector<float> scales(9), scale(1);
  std::vector<std::int32_t> zeros(9), zero(1);
  zp::quantize_into(x, zp::per_token, zp::affine,
                    zp::matrix_view<std::uint8_t>(codes.data(), 9, 200), std::span(scales),
                    std::span(zeros), backwards{});
  const auto [q, damage] = zp::quantize<std::uint8_t>(x, zp::per_token, zp::affine);
  REQUIRE(std::equal(codes.begin(), codes.end(), q.values().data()));
  REQUIRE(std::equal(scales.begin(), scales.end(), q.scales().begin()));
  REQUIRE(std::equal(zeros.begin(), zeros.end(), q.zero_points().begin()));
  for (std::size_t i = 0; i < 9; ++i) {
    zp::quantize_into(x.rows_from(i, 1), zp::per_token, zp::affine,
                      zp::matrix_view<std::uint8_t>(one.data(), 1, 200), std::span(scale),
                      std::span(zero));
    REQUIRE(scale[0] == scales[i]);
    REQUIRE(zero[0] == zeros[i]);
    REQUIRE(std::equal(one.begin(), one.end(), q.values().row(i).begin()));
  }
  // Symmetric and signed: no zero points wanted, none needed.
  std::vector<std::int8_t> s8(x.size());
  zp::quantize_into(x, zp::per_tensor, zp::symmetric,
                    zp::matrix_view<std::int8_t>(s8.data(), 9, 200), std::span(scale), {});
  REQUIRE(scale[0] ==
          zp::quantize<std::int8_t>(x, zp::per_tensor, zp::symmetric).matrix.scales()[0]);
}

TEST_CASE("quantize says no to sizes and types that do not fit") {
  std::vector<float> x(12), scales(3);
  std::vector<std::int32_t> zeros(3);
  std::vector<std::int8_t> codes(12);
  const view m(x.data(), 3, 4);
  const zp::matrix_view<std::int8_t> into(codes.data(), 3, 4);
  const auto all = std::span(scales);
  REQUIRE_THROWS_AS(zp::quantize_into(m, zp::per_row, zp::symmetric,
                                      zp::matrix_view<std::int8_t>(codes.data(), 4, 3), all, {}),
                    zp::error);
  REQUIRE_THROWS_AS(zp::quantize_into(m, zp::per_row, zp::symmetric, into, all.first(2), {}),
                    zp::error);
  REQUIRE_THROWS_AS(zp::quantize_into(m, zp::per_row, zp::affine, into, all, {}), zp::error);
  REQUIRE_THROWS_AS(
      zp::quantize_into(m, zp::per_row, zp::affine, into, all, std::span(zeros).first(1)),
      zp::error);
  REQUIRE_THROWS_AS(zp::quantize<std::int8_t>(m, zp::per_row, zp::symmetric.as_unsigned()),
                    zp::error);
  REQUIRE_THROWS_AS(
      zp::quantize<std::int8_t>(m, zp::per_row, zp::scheme{zp::symmetry::narrow, 9, true}),
      zp::error);
  REQUIRE_THROWS_AS(
      zp::quantize<std::int8_t>(zp::linear_weight{m}, zp::per_group{0}, zp::symmetric), zp::error);
  const zp::params u8 = zp::fit({0, 1}, zp::affine.as_unsigned());
  REQUIRE_THROWS_AS(zp::quantize_row(std::span<const float>(x), u8, std::span(codes)), zp::error);
  REQUIRE_THROWS_AS(
      zp::quantize_row(std::span<const float>(x).first(11), zp::params{}, std::span(codes)),
      zp::error);
  REQUIRE_THROWS_AS(zp::quantize_into(m, u8, into), zp::error);
  REQUIRE_THROWS_AS(
      zp::dequantize_row(std::span<const std::int8_t>(codes), zp::params{}, std::span(x).first(11)),
      zp::error);
}

TEST_CASE("rounding policies reach the matrix") {
  // Scale 2^-3: 0.1875 / 0.125 = 1.5 and 0.3125 / 0.125 = 2.5 are ties.
  const std::vector<float> x{0.1875f, 0.3125f, -0.3125f, 15.875f};
  const view m(x.data(), 1, 4);
  const auto even = zp::quantize<std::int8_t>(m, zp::per_row, zp::symmetric).matrix;
  const auto away = zp::quantize<std::int8_t>(m, zp::per_row, zp::symmetric, zp::serial{},
                                              zp::no_statistics, zp::rounding<zp::ties_away>{});
  REQUIRE(even.scales()[0] == 0.125f);
  REQUIRE(std::vector<int>(even.values().data(), even.values().data() + 4) ==
          std::vector<int>{2, 2, -2, 127});
  REQUIRE(std::vector<int>(away.values().data(), away.values().data() + 4) ==
          std::vector<int>{2, 3, -3, 127});
}
