// Compiled twice, as plain() and wide(), with two values of -march.
#include "product_unit.hpp"

#include <zeropoint/gemm/gemm.hpp>
#include <zeropoint/math/quantize.hpp>

#include <bit>
#include <vector>

namespace zp = zeropoint;

namespace {

constexpr std::size_t m = 13, n = 101, k = 67;

std::uint64_t mix(std::uint64_t hash, std::uint64_t value) {
  return (hash ^ value) * 0x9E3779B97F4A7C15u + (hash >> 29);
}

/// Pseudo-random codes from a linear congruential generator: no library code in the inputs.
template <class T>
std::vector<T> codes(std::size_t count, std::uint32_t seed) {
  std::vector<T> values(count);
  for (T& value : values) {
    seed = seed * 1664525u + 1013904223u;
    value = static_cast<T>(seed >> 24);
  }
  return values;
}

}  // namespace

product_report product_units::ZP_UNIT() {
  const auto a = codes<std::uint8_t>(m * k, 1);
  const auto w = codes<std::int8_t>(n * k, 2);
  std::vector<float> row_scales(m), column_scales(n), bias(n);
  for (std::size_t i = 0; i < m; ++i) row_scales[i] = 0.01f / static_cast<float>(i + 3);
  for (std::size_t j = 0; j < n; ++j) column_scales[j] = 0.1f / static_cast<float>(j + 7);
  for (std::size_t j = 0; j < n; ++j) bias[j] = 1.0f / static_cast<float>(j + 1);
  const std::vector<std::int32_t> row_zeros{131}, column_zeros{-5};

  product_report report{zp::baseline_name, reinterpret_cast<const void*>(&zp::kernels::choose), 0,
                        0};
  for (const auto* kernel : zp::kernels::all()) {
    if (!zp::kernels::runs_here(*kernel)) continue;
    const auto packed = zp::pack(zp::matrix_view<const std::int8_t>(w.data(), n, k), *kernel);
    const zp::matrix_view<const std::uint8_t> rows(a.data(), m, k);
    std::vector<std::int32_t> c(m * n);
    std::vector<float> y(m * n);
    zp::gemm(rows, packed, zp::zero_points{row_zeros, column_zeros},
             zp::matrix_view<std::int32_t>(c.data(), m, n));
    zp::gemm(rows, packed,
             zp::dequantization{row_scales, column_scales, bias, row_zeros, column_zeros},
             zp::matrix_view<float>(y.data(), m, n));
    for (const auto value : c) {
      report.integers = mix(report.integers, static_cast<std::uint32_t>(value));
    }
    for (const auto value : y) {
      report.floats = mix(report.floats, std::bit_cast<std::uint32_t>(value));
    }
  }
  // Rows, through whatever loops this processor has.
  const zp::matrix_view<const float> x(bias.data(), 1, n);
  const auto [q, damage] = zp::quantize<std::int8_t>(x, zp::per_token, zp::symmetric);
  std::vector<float> back(n);
  q.dequantize(zp::matrix_view<float>(back.data(), 1, n));
  for (const auto value : back)
    report.floats = mix(report.floats, std::bit_cast<std::uint32_t>(value));
  report.floats = mix(report.floats, std::bit_cast<std::uint64_t>(damage.rounding_error));
  return report;
}
