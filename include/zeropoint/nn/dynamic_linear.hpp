// W8A8, activations quantized on the fly: the scale of a row (per token) or of all rows of a call
// (per tensor) comes from the values themselves.
//
//   scale = absmax / 127 (symmetric), so nothing clips; affine uses minimum and maximum
//
// Per token, the result of a row does not depend on the rows beside it; per tensor it does.
#pragma once

#include <zeropoint/nn/integer_linear.hpp>

namespace zeropoint::inline ZP_BASELINE {

struct dynamic_linear_options {
  activation_granularity tokens = per_token;
  scheme activations = symmetric;  ///< with_bits(7): faster on AVX2 without VNNI (docs/kernels.md)
  weight_granularity granularity = per_output_channel;  ///< or per_tensor; not per_group
  scheme weights = symmetric;
  const kernels::kernel* kernel = &kernels::best();
};

class dynamic_linear : public integer_linear {
 public:
  /// w [out, in] or [in, out] by its type, bias [out] or empty. Throws `error` for a bias of another
  /// size, weights that are not finite or in groups, too many inputs for 32-bit sums, a kernel that
  /// does not run here.
  template <weight Weight>
  explicit dynamic_linear(const Weight& w, std::span<const float> bias = {},
                          const dynamic_linear_options& options = {})
      : dynamic_linear(quantized_weight(w, options.granularity, options.weights), bias, options) {}
  /// The same from codes that are ready; `granularity` and `weights` of the options are not used.
  explicit dynamic_linear(const quantized_weight& w, std::span<const float> bias = {},
                          const dynamic_linear_options& options = {})
      : integer_linear(w, bias, options.activations, *options.kernel), tokens_(options.tokens) {}

  /// y [m, out] from x [m, in]. In x, NaN counts as zero and an infinity as the end of the grid that
  /// the finite values of its row span; counts() tells of both.
  template <executor Executor = serial>
  void operator()(matrix_view<const float> x, matrix_view<float> y, const Executor& ex = {}) const {
    const block_shape block =
        tokens_.is_per_token() ? blocks_of(x, per_token) : blocks_of(x, per_tensor);
    run(x, y, block, nullptr, ex);
  }

  /// The twin (simulation.hpp).
  template <executor Executor = serial>
  void simulate(matrix_view<const float> x, const simulated& result,
                const Executor& ex = {}) const {
    simulate_dynamic(x, tokens_.is_per_token() ? 1 : x.rows(), result, ex);
  }
  template <executor Executor = serial>
  void simulate(matrix_view<const float> x, matrix_view<float> y, const Executor& ex = {}) const {
    simulate(x, simulated{y, {}}, ex);
  }

  [[nodiscard]] activation_granularity tokens() const noexcept { return tokens_; }

 private:
  activation_granularity tokens_;
};

}  // namespace zeropoint::inline ZP_BASELINE
