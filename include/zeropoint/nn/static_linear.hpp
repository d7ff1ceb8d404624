// W8A8 with one scale for all activations, fixed beforehand from the range that an observer saw on
// calibration data. What falls outside that grid later is clipped, and counted while the layer
// runs: counts() is how a deployed model notices that its inputs have moved.
//
// Static layers can be chained without floats in between:
//
//   fc1.to_codes(x, fc2.activation_params(), activation_function::gelu_tanh, codes);
//   fc2.from_codes(codes, y);      // the bits of fc2(gelu(fc1(x)))
#pragma once

#include <zeropoint/nn/integer_linear.hpp>

namespace zeropoint::inline ZP_BASELINE {

struct static_linear_options {
  scheme activations = symmetric;
  weight_granularity granularity = per_output_channel;  ///< or per_tensor; not per_group
  scheme weights = symmetric;
  const kernels::kernel* kernel = &kernels::best();
};

class static_linear : public integer_linear {
 public:
  /// w [out, in] or [in, out] by its type, bias [out] or empty, `range` of the activations in real
  /// units (an observer's range()). Throws `error` for a range that is not finite, a bias of another
  /// size, weights that are not finite or in groups, too many inputs for 32-bit sums, a kernel that
  /// does not run here.
  template <weight Weight>
  static_linear(const Weight& w, std::span<const float> bias, value_range range,
                const static_linear_options& options = {})
      : static_linear(quantized_weight(w, options.granularity, options.weights), bias, range,
                      options) {}
  /// The same from codes that are ready; `granularity` and `weights` of the options are not used.
  static_linear(const quantized_weight& w, std::span<const float> bias, value_range range,
                const static_linear_options& options = {})
      : integer_linear(w, bias, options.activations, *options.kernel),
        params_(fit(range, options.activations)) {}

  /// y [m, out] from x [m, in]. In x, NaN counts as zero and an infinity as the end of the grid.
  template <executor Executor = serial>
  void operator()(matrix_view<const float> x, matrix_view<float> y, const Executor& ex = {}) const {
    run(x, y, blocks_of(x, per_tensor), &params_, ex);
  }

  /// codes [m, out] = quantize(f(y), next): what a static layer with those activation_params() makes of
  /// f(y). Returns what that clipped, NaN or infinite; counts() here is about x, as ever. Throws `error`
  /// for shapes that do not match and where Q cannot hold the codes of `next`.
  template <code8 Q, executor Executor = serial>
  range_counts to_codes(matrix_view<const float> x, const params& next, activation_function f,
                        matrix_view<Q> codes, const Executor& ex = {}) const {
    require_columns(x.cols(), codes.cols(), x.rows(), codes.rows());
    return run_to_codes(x, params_, next, f, codes, ex);
  }
  /// y [m, out] from codes [m, in] of activation_params(), clipped and counted by whoever made them.
  /// Throws `error` for shapes that do not match, where Q is not the type of those codes, and where
  /// a code lies outside a grid of fewer than 8 bits; y is as it was then.
  template <code8 Q, executor Executor = serial>
  void from_codes(matrix_view<const Q> codes, matrix_view<float> y, const Executor& ex = {}) const {
    require_columns(codes.cols(), y.cols(), codes.rows(), y.rows());
    ZP_REQUIRE(std::is_unsigned_v<Q> != activations().is_signed,
               "linear: ", std::is_unsigned_v<Q> ? "unsigned" : "signed",
               " codes, the layer's are ", params_.qmin, " .. ", params_.qmax);
    multiply(codes, params_, y, ex);
  }

  /// The twin (simulation.hpp). It counts nothing.
  template <executor Executor = serial>
  void simulate(matrix_view<const float> x, const simulated& result,
                const Executor& ex = {}) const {
    require_shapes(x, result.y);
    aligned_buffer<float> fake(x.size());
    detail::fake_quantize(x, params_, fake.data());
    simulate_weights({fake.data(), x.rows(), x.cols()}, result, ex);
  }
  template <executor Executor = serial>
  void simulate(matrix_view<const float> x, matrix_view<float> y, const Executor& ex = {}) const {
    simulate(x, simulated{y, {}}, ex);
  }

  /// Scale and zero point of the activations.
  [[nodiscard]] const params& activation_params() const noexcept { return params_; }

 private:
  params params_;
};

}  // namespace zeropoint::inline ZP_BASELINE
