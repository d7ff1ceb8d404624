// The integer product behind dynamic_linear and static_linear:
//
//   acc(i, j) = sum over k of (xq(i, k) - zx(i)) * (wq(j, k) - zw(j))             exact, int32
//   y(i, j)   = fma(float(acc(i, j)), scale_x(i) * scale_w(j), bias[j])           gemm/epilogue.hpp
#pragma once

#include <zeropoint/gemm/gemm.hpp>
#include <zeropoint/nn/activations.hpp>
#include <zeropoint/nn/simulation.hpp>
#include <zeropoint/nn/weight.hpp>

#include <optional>

namespace zeropoint::inline ZP_BASELINE {

/// What layers of integer activations share: the scheme of the activations, the counts of what they
/// did, and the float twin of a quantization that fits the values.
class integer_activations : public linear_base {
 public:
  /// The scheme of the activations.
  [[nodiscard]] const scheme& activations() const noexcept { return activations_; }

  /// Activations since construction or the last reset: how many, and how many were clipped, NaN or
  /// infinite. Any thread may ask while others run the layer; a call counts when it ends.
  [[nodiscard]] activation_counts counts() const { return counts_.read(); }
  void reset_counts() { counts_.reset(); }

 protected:
  integer_activations(const quantized_weight& w, std::span<const float> bias,
                      const scheme& activations)
      : linear_base(w, bias), activations_(activations) {}

  void count(const activation_counts& counts) const { counts_.merge(counts); }

  /// The twin's activations [m, in]: fake-quantized with params that fit each `height` rows of x.
  [[nodiscard]] aligned_buffer<float> fake_activations(matrix_view<const float> x,
                                                       std::size_t height) const {
    aligned_buffer<float> fake(x.size());
    for (std::size_t i = 0; i < x.rows(); i += height) {
      const matrix_view<const float> rows = x.rows_from(i, height);
      detail::fake_quantize(rows, detail::plain_fit(rows, activations_), fake.data() + i * in());
    }
    return fake;
  }

 private:
  scheme activations_;
  mutable detail::shared_counts<activation_counts> counts_;
};

/// Packed weights with their scales.
class integer_linear : public integer_activations {
 public:
  /// Bytes in memory: packed codes with padding and column sums, scales and zero points.
  [[nodiscard]] std::size_t weight_bytes() const noexcept {
    return weights_.bytes() + scales_.size() * sizeof(float) +
           zero_points_.size() * sizeof(std::int32_t);
  }
  [[nodiscard]] const kernels::kernel& kernel() const noexcept { return weights_.kernel(); }
  /// Code (out of the panels) and params of weight (j, k) of [out, in].
  [[nodiscard]] std::int32_t weight_code(std::size_t j, std::size_t k) const {
    return weights_.code(j, k);
  }
  [[nodiscard]] params weight_params(std::size_t j, std::size_t /*k*/) const {
    return {scales_[scales_.size() == 1 ? 0 : j],
            zero_points_.empty() ? 0 : zero_points_[zero_points_.size() == 1 ? 0 : j],
            weights().qmin(), weights().qmax()};
  }

  /// |layer - twin| <= rounding_units() * 2^-24 * magnitude (simulation.hpp). The layer rounds
  /// float(acc), the product of scales and the fma; the twin x', w' and the result: six times half
  /// an ulp, each of something not larger than the magnitude.
  [[nodiscard]] static constexpr double rounding_units() noexcept { return 6; }

 protected:
  integer_linear(const quantized_weight& w, std::span<const float> bias, const scheme& activations,
                 const kernels::kernel& kernel)
      : integer_activations(w, bias, activations),
        weights_(
            w.out(), w.in(), kernel, [&](std::size_t j, std::size_t k) { return w.code(j, k); },
            declared_codes(activations, kernel)),
        scales_(w.scales().begin(), w.scales().end()),
        zero_points_(w.zero_points().begin(), w.zero_points().end()) {
    ZP_REQUIRE(!w.is_grouped(),
               "linear: groups along the inputs have no common scale to take out of an integer "
               "sum; use weight_only_linear, or per_output_channel");
    if (scales_.empty()) scales_.push_back(1.0f);  // no weights at all
    const std::int32_t x_max = activations.is_symmetric() ? 128 : 255;
    const std::int32_t w_max = zero_points_.empty() ? 128 : 255;
    ZP_REQUIRE(in() <= max_depth(x_max, w_max), "linear: ", in(), " inputs, at most ",
               max_depth(x_max, w_max), " products of ", x_max, " * ", w_max, " fit 32 bits");
  }

  /// Quantizes x, with params that fit it or with those given, and multiplies. Returns what this
  /// call added to counts(). Kernels of unsigned rows get codes of the unsigned twin of a symmetric
  /// scheme, 2^(bits-1) higher around a zero point that is as much higher: the same integers, and no
  /// second pass over the rows to shift them.
  template <executor Executor>
  activation_counts run(matrix_view<const float> x, matrix_view<float> y, block_shape block,
                        const params* fixed, const Executor& ex) const {
    require_shapes(x, y);
    if (y.empty()) return {};
    return quantized(x, block, fixed, ex, [&](auto codes, const dequantization& d) {
      detail::multiply(codes, weights_, d, y, ex, nullptr, detail::codes_from::layer);
    });
  }
  /// The same with fixed params, and f and the params of the layer that follows behind it.
  template <code8 Q, executor Executor>
  range_counts run_to_codes(matrix_view<const float> x, const params& fixed, const params& next,
                            activation_function f, matrix_view<Q> to, const Executor& ex) const {
    range_counts counts;
    if (to.empty()) return counts;
    quantized(x, blocks_of(x, per_tensor), &fixed, ex, [&](auto codes, dequantization d) {
      d.activation = f;
      const detail::code_writer writer(detail::row_quantizer<Q>(0, 0, next, rounding<>{}));
      detail::multiply(codes, weights_, d, to, ex, &writer, detail::codes_from::layer);
      counts = writer.counts(to.size());
    });
    return counts;
  }
  /// y [m, out] from codes [m, in] of p. A grid of fewer than 8 bits is checked with every kernel,
  /// though few rely on it: what is refused does not depend on the machine.
  template <code8 Q, executor Executor>
  void multiply(matrix_view<const Q> codes, const params& p, matrix_view<float> y,
                const Executor& ex) const {
    if (activations().bits < 8) detail::require_within(codes, {p.qmin, p.qmax});
    detail::multiply(codes, weights_, dequantized({&p.scale, 1}, {&p.zero_point, 1}), y, ex,
                     nullptr, detail::codes_from::layer);
  }

 private:
  /// What packing may rely on. With 7 bits or fewer all of int8 has a certificate: 127 * 256 fits 16
  /// bits (gemm/overflow_certificate.hpp). Eight bits would win 254 for 255, which nothing needs.
  [[nodiscard]] static std::optional<code_range> declared_codes(const scheme& activations,
                                                                const kernels::kernel& kernel) {
    if (activations.bits == 8 || (!kernel.needs_certificate && kernel.if_certified == nullptr)) {
      return {};
    }
    return code_range{activations.qmin(), activations.qmax()};
  }
  [[nodiscard]] dequantization dequantized(std::span<const float> row_scales,
                                           std::span<const std::int32_t> row_zero_points) const {
    return {.row_scales = row_scales,
            .column_scales = scales_,
            .bias = bias(),
            .row_zero_points = row_zero_points,
            .column_zero_points = zero_points_};
  }

  /// Calls product(codes of x, what makes reals of their sums).
  template <executor Executor, class Product>
  activation_counts quantized(matrix_view<const float> x, block_shape block, const params* fixed,
                              const Executor& ex, Product&& product) const {
    const scheme& s = activations();
    if (!s.is_signed) return quantized<std::uint8_t>(x, block, s, fixed, ex, product);
    if (!s.is_symmetric() || kernel().a != kernels::operand::u8 || weights_.activations()) {
      return quantized<std::int8_t>(x, block, s, fixed, ex, product);
    }
    const scheme twin = s.as_unsigned();
    if (fixed == nullptr) return quantized<std::uint8_t>(x, block, twin, nullptr, ex, product);
    const params p{fixed->scale, twin.middle(), twin.qmin(), twin.qmax()};
    return quantized<std::uint8_t>(x, block, twin, &p, ex, product);
  }
  template <class T, executor Executor, class Product>
  activation_counts quantized(matrix_view<const float> x, block_shape block, const scheme& s,
                              const params* fixed, const Executor& ex, Product& product) const {
    const std::size_t blocks = (x.rows() + block.rows - 1) / block.rows;
    detail::activation_codes<T> q(x, blocks, s);
    activation_counts counts;
    if (fixed != nullptr) {
      q.scales.fill(fixed->scale);
      q.zero_points.fill(fixed->zero_point);
      counts = q.template fill<false>(x, block, s, ex);
    } else {
      counts = q.template fill<true>(x, block, s, ex);
    }
    count(counts);
    const std::span<const std::int32_t> zeros = q.zero_points.span();
    const bool one_zero = s.is_symmetric() && !zeros.empty();
    product(matrix_view<const T>(q.codes),
            dequantized(q.scales.span(), one_zero ? zeros.first(1) : zeros));
    return counts;
  }

 protected:
  /// The twin of run() with params that fit each `height` rows of x.
  template <executor Executor>
  void simulate_dynamic(matrix_view<const float> x, std::size_t height, const simulated& result,
                        const Executor& ex) const {
    require_shapes(x, result.y);
    const aligned_buffer<float> fake = fake_activations(x, height);
    simulate_weights({fake.data(), x.rows(), x.cols()}, result, ex);
  }
  /// The twin's product of fake-quantized activations [m, in].
  template <executor Executor>
  void simulate_weights(matrix_view<const float> x, const simulated& result,
                        const Executor& ex) const {
    detail::simulate_product(
        x, bias(),
        [&](std::size_t j, std::span<float> w) {
          for (std::size_t k = 0; k < w.size(); ++k) {
            w[k] = dequantize(weight_code(j, k), weight_params(j, k));
          }
        },
        result, ex);
  }

 private:
  packed_weights weights_;
  std::vector<float> scales_;              ///< 1 or out
  std::vector<std::int32_t> zero_points_;  ///< none, 1 or out
};

}  // namespace zeropoint::inline ZP_BASELINE
