// A layer behind a division of its inputs:
//
//   y = layer(x / s)        for codes of W diag(s), where 1 / s cannot be folded into what makes x
//
// Costs one pass over x. awq.hpp and smooth.hpp say where such s come from.
#pragma once

#include <zeropoint/base/scratch.hpp>
#include <zeropoint/nn/simulation.hpp>

#include <utility>

namespace zeropoint::inline ZP_BASELINE {

/// Layer is weight_only_linear, dynamic_linear or static_linear.
template <class Layer>
class scaled_linear {
 public:
  /// Throws `error` unless there is one positive, finite factor per input.
  scaled_linear(Layer layer, std::span<const float> factors)
      : layer_(std::move(layer)), factors_(factors.begin(), factors.end()) {
    ZP_REQUIRE(factors.size() == layer_.in(), "scaled_linear: ", factors.size(),
               " factors, the layer has ", layer_.in(), " inputs");
    for (const float f : factors_) {
      ZP_REQUIRE(f > 0 && f - f == 0, "scaled_linear: factor ", f,
                 ", expected positive finite ones");
    }
  }

  [[nodiscard]] std::size_t in() const noexcept { return layer_.in(); }
  [[nodiscard]] std::size_t out() const noexcept { return layer_.out(); }
  [[nodiscard]] const Layer& layer() const noexcept { return layer_; }
  [[nodiscard]] std::span<const float> factors() const noexcept { return factors_; }
  /// Bytes in a file: the layer's, and a float per factor.
  [[nodiscard]] std::size_t stored_bytes() const noexcept {
    return layer_.stored_bytes() + factors_.size() * sizeof(float);
  }

  /// y [m, out] from x [m, in].
  template <executor Executor = serial>
  void operator()(matrix_view<const float> x, matrix_view<float> y, const Executor& ex = {}) const {
    detail::row_scratch memory(x.size() * sizeof(float));
    layer_(divide(x, memory.as<float>(), ex), y, ex);
  }
  /// The twin divides the same way: the layer's, on the same floats.
  template <executor Executor = serial>
  void simulate(matrix_view<const float> x, const simulated& result,
                const Executor& ex = {}) const {
    detail::row_scratch memory(x.size() * sizeof(float));
    layer_.simulate(divide(x, memory.as<float>(), ex), result, ex);
  }
  template <executor Executor = serial>
  void simulate(matrix_view<const float> x, matrix_view<float> y, const Executor& ex = {}) const {
    simulate(x, simulated{y, {}}, ex);
  }
  [[nodiscard]] double rounding_units() const noexcept { return layer_.rounding_units(); }

 private:
  /// [m, in] without a stride.
  template <class Executor>
  [[nodiscard]] matrix_view<const float> divide(matrix_view<const float> x, float* divided,
                                                const Executor& ex) const {
    ZP_REQUIRE(x.cols() == in(), "scaled_linear: x has ", x.cols(), " columns, the layer has ",
               in(), " inputs");
    ex(x.rows(), [&](std::size_t i) {
      const float* from = x.data() + i * x.stride();
      float* to = divided + i * in();
      for (std::size_t k = 0; k < in(); ++k) to[k] = from[k] / factors_[k];
    });
    return {divided, x.rows(), in()};
  }

  Layer layer_;
  std::vector<float> factors_;
};

}  // namespace zeropoint::inline ZP_BASELINE
