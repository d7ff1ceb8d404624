// W4A8: 4-bit weights in groups along the inputs, activations quantized to int8 on the fly, per token:
//
//   y(i, j) = fma(total, scale_x(i), bias[j]),   total = sum over groups g, each step an fma, of
//             scale_w(j, g) * (sum over k in g of xq(i, k) * (wq(j, k) - zw(j, g)))    exact, int32
//
// About half the bytes of int8 weights, which is what counts where memory is the limit (one token),
// and products of integers where it is not. ggml's Q4_0 (groups of 32, float16 scales) computes the
// same sums, with a scale of the activations for each group.
#pragma once

#include <zeropoint/gemm/int4.hpp>
#include <zeropoint/nn/integer_linear.hpp>

namespace zeropoint::inline ZP_BASELINE {

struct int4_linear_options {
  weight_granularity granularity = per_group{32};  ///< groups of a multiple of 32, or one a row
  scheme weights = symmetric.with_bits(4);         ///< 2 to 4 bits, signed
  /// Round the scales to float16 before quantizing with them: 4.5 bits a weight for groups of 32
  /// instead of 5. A scale is off by at most 2^-11 of itself, so nothing clips that did not before.
  bool half_scales = true;
  const kernels::kernel* kernel = &kernels::best();
};

class int4_linear : public integer_activations {
 public:
  /// w [out, in] or [in, out] by its type, bias [out] or empty. Throws `error` for a bias of another
  /// size, weights that are not finite, or so large that a scale exceeds float16 where it should be
  /// one, groups that are no multiple of 32, a kernel that does not run here.
  template <weight Weight>
  explicit int4_linear(const Weight& w, std::span<const float> bias = {},
                       const int4_linear_options& options = {})
      : int4_linear(quantize_weight(w, options), bias, options) {}
  /// The same from codes that are ready, with their scales as they are; of the options only the
  /// kernel is used.
  explicit int4_linear(const quantized_weight& w, std::span<const float> bias = {},
                       const int4_linear_options& options = {})
      : integer_activations(w, bias, symmetric),
        weights_(
            w.out(), w.in(), std::max<std::size_t>(std::min(w.group_size(), w.in()), 1),
            [&](std::size_t j, std::size_t k) { return w.code(j, k); },
            [&](std::size_t j, std::size_t g) { return w.params_at(j, g * w.group_size()); },
            *options.kernel),
        shift_(w.kind().qmin() < 0 ? 8 : 0) {}

  /// y [m, out] from x [m, in]. In x, NaN counts as zero and an infinity as the end of the grid that
  /// the finite values of its row span; counts() tells of both.
  template <executor Executor = serial>
  void operator()(matrix_view<const float> x, matrix_view<float> y, const Executor& ex = {}) const {
    require_shapes(x, y);
    if (y.empty()) return;
    detail::activation_codes<std::int8_t> q(x, x.rows(), activations());
    count(q.template fill<true>(x, blocks_of(x, per_token), activations(), ex));
    gemm(matrix_view<const std::int8_t>(q.codes), weights_,
         int4_dequantization{q.scales.span(), bias()}, y, ex);
  }

  /// The twin (simulation.hpp).
  template <executor Executor = serial>
  void simulate(matrix_view<const float> x, const simulated& result,
                const Executor& ex = {}) const {
    require_shapes(x, result.y);
    const aligned_buffer<float> fake = fake_activations(x, 1);
    detail::simulate_product(
        {fake.data(), x.rows(), x.cols()}, bias(),
        [&](std::size_t j, std::span<float> w) {
          for (std::size_t k = 0; k < w.size(); ++k)
            w[k] = dequantize(weight_code(j, k), weight_params(j, k));
        },
        result, ex);
  }
  template <executor Executor = serial>
  void simulate(matrix_view<const float> x, matrix_view<float> y, const Executor& ex = {}) const {
    simulate(x, simulated{y, {}}, ex);
  }
  /// |layer - twin| <= rounding_units() * 2^-24 * magnitude (simulation.hpp). The layer rounds an
  /// fma per group, float(acc) (exact up to groups of 8,192) and the last fma; the twin x', w' and
  /// the result.
  [[nodiscard]] double rounding_units() const noexcept {
    return static_cast<double>(weights_.groups()) + 5;
  }

  /// Code and params of weight (j, k) of [out, in], out of the panels.
  [[nodiscard]] std::int32_t weight_code(std::size_t j, std::size_t k) const noexcept {
    return weights_.code(j, k) - shift_;
  }
  [[nodiscard]] params weight_params(std::size_t j, std::size_t k) const noexcept {
    const params p = weights_.params_at(j, k / weights_.group());
    return {p.scale, p.zero_point - shift_, weights().qmin(), weights().qmax()};
  }
  [[nodiscard]] static constexpr activation_granularity tokens() noexcept { return per_token; }
  /// Bytes in memory: nibbles, scales and zero points with the padding of the panels.
  [[nodiscard]] std::size_t weight_bytes() const noexcept { return weights_.bytes(); }
  [[nodiscard]] const kernels::kernel& kernel() const noexcept { return weights_.kernel(); }

 private:
  template <weight Weight>
  [[nodiscard]] static quantized_weight quantize_weight(const Weight& w,
                                                        const int4_linear_options& o) {
    return o.half_scales ? quantized_weight::with_half_scales(w, o.granularity, o.weights)
                         : quantized_weight(w, o.granularity, o.weights);
  }

  packed_int4_weights weights_;
  std::int32_t shift_;  ///< of the packed codes against the scheme's
};

}  // namespace zeropoint::inline ZP_BASELINE
