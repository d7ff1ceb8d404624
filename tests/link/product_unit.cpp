// Compiled twice, as plain() and wide(), with two values of -march.
#include "product_unit.hpp"

#include <zeropoint/gemm/int4.hpp>
#include <zeropoint/math/quantize.hpp>
#include <zeropoint/nn/weight_only.hpp>

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

/// A hash of everything that was added.
class digest {
 public:
  explicit digest(std::uint64_t& hash) : hash_(hash) {}
  template <class T>
  void add(const std::vector<T>& values) {
    for (const T value : values) add(value);
  }
  void add(float value) { hash_ = mix(hash_, std::bit_cast<std::uint32_t>(value)); }
  void add(double value) { hash_ = mix(hash_, std::bit_cast<std::uint64_t>(value)); }
  template <std::integral T>
  void add(T value) {
    hash_ = mix(hash_, static_cast<std::uint64_t>(value));
  }

 private:
  std::uint64_t& hash_;
};

struct problem {
  std::vector<std::uint8_t> a = codes<std::uint8_t>(m * k, 1);
  std::vector<std::int8_t> w = codes<std::int8_t>(n * k, 2);
  std::vector<float> row_scales, column_scales, bias;
  std::vector<std::int32_t> row_zeros{131}, column_zeros{-5};

  problem() : row_scales(m), column_scales(n), bias(n) {
    for (std::size_t i = 0; i < m; ++i) row_scales[i] = 0.01f / static_cast<float>(i + 3);
    for (std::size_t j = 0; j < n; ++j) column_scales[j] = 0.1f / static_cast<float>(j + 7);
    for (std::size_t j = 0; j < n; ++j) bias[j] = 1.0f / static_cast<float>(j + 1);
  }
  [[nodiscard]] zp::dequantization to_real(zp::activation_function f) const {
    return {row_scales, column_scales, bias, row_zeros, column_zeros, f};
  }
};

void bytes_by(const zp::kernels::kernel& kernel, const problem& p, product_report& report) {
  const auto packed = zp::pack(zp::matrix_view<const std::int8_t>(p.w.data(), n, k), kernel);
  const zp::matrix_view<const std::uint8_t> rows(p.a.data(), m, k);
  std::vector<std::int32_t> c(m * n);
  std::vector<float> y(m * n);
  zp::gemm(rows, packed, zp::zero_points{p.row_zeros, p.column_zeros},
           zp::matrix_view<std::int32_t>(c.data(), m, n));
  digest(report.integers).add(c);
  using enum zp::activation_function;
  for (const auto f : {none, relu, gelu_tanh, silu}) {
    zp::gemm(rows, packed, p.to_real(f), zp::matrix_view<float>(y.data(), m, n));
    digest(f == none ? report.floats : report.activations).add(y);
    std::vector<std::int8_t> q(m * n);
    std::vector<std::uint8_t> u(m * n);
    const auto of_q = zp::gemm(rows, packed, p.to_real(f), zp::params{0.01f, -3, -128, 127},
                               zp::matrix_view<std::int8_t>(q.data(), m, n));
    const auto of_u = zp::gemm(rows, packed, p.to_real(f), zp::params{0.02f, 90, 0, 255},
                               zp::matrix_view<std::uint8_t>(u.data(), m, n));
    digest to(report.codes);
    to.add(q);
    to.add(u);
    for (const auto& r : {of_q, of_u}) to.add(r.clipped_low), to.add(r.clipped_high);
  }
}

void nibbles_by(const zp::kernels::kernel& kernel, const problem& p, product_report& report) {
  const auto a = codes<std::int8_t>(m * k, 3);
  for (const float scale : {0.125f, 0.1f}) {  // a float16 number, and none
    const zp::packed_int4_weights w(
        n, k, 32, [&](std::size_t j, std::size_t i) { return p.w[j * k + i] & 15; },
        [&](std::size_t j, std::size_t g) {
          return zp::params{scale * static_cast<float>(1 + (j + g) % 3),
                            static_cast<std::int32_t>((j + g) % 16), 0, 15};
        },
        kernel);
    std::vector<float> y(m * n);
    zp::gemm(zp::matrix_view<const std::int8_t>(a.data(), m, k), w,
             zp::int4_dequantization{p.row_scales, p.bias, zp::activation_function::gelu_tanh},
             zp::matrix_view<float>(y.data(), m, n));
    digest(report.int4).add(y);
  }
}

void floats_by(const zp::kernels::kernel& kernel, product_report& report) {
  std::vector<float> w(n * k), x(m * k), y(m * n);
  const auto wide = codes<std::int8_t>(n * k, 4), narrow = codes<std::int8_t>(m * k, 5);
  for (std::size_t i = 0; i < w.size(); ++i) w[i] = 0.003f * static_cast<float>(wide[i] + 9);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = 0.7f * static_cast<float>(narrow[i]);
  for (const bool affine : {false, true}) {
    const zp::weight_only_linear layer(
        zp::linear_weight{zp::matrix_view<const float>(w.data(), n, k)}, {},
        {.granularity = zp::per_group{32},
         .weights = affine ? zp::affine : zp::symmetric,
         .kernel = &kernel});
    for (const std::size_t rows : {std::size_t{1}, m}) {
      layer(zp::matrix_view<const float>(x.data(), rows, k),
            zp::matrix_view<float>(y.data(), rows, n));
      digest(report.weight_only).add(y);
    }
  }
}

/// Whatever row loops this processor has.
void rows_of(const problem& p, product_report& report) {
  const zp::matrix_view<const float> x(p.bias.data(), 1, n);
  const auto [q, damage] = zp::quantize<std::int8_t>(x, zp::per_token, zp::symmetric);
  std::vector<float> back(n);
  q.dequantize(zp::matrix_view<float>(back.data(), 1, n));
  digest to(report.rows);
  to.add(back);
  to.add(damage.rounding_error);
}

}  // namespace

product_report product_units::ZP_UNIT() {
  const problem p;
  product_report report{
      zp::baseline_name, reinterpret_cast<const void*>(&zp::kernels::choose), 0, 0, 0, 0, 0, 0, 0};
  for (const auto* kernel : zp::kernels::all()) {
    if (!zp::kernels::runs_here(*kernel)) continue;
    bytes_by(*kernel, p, report);
    nibbles_by(*kernel, p, report);
    floats_by(*kernel, report);
  }
  rows_of(p, report);
  return report;
}
