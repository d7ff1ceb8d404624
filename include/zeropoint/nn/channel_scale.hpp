// Scaling the channels between two linear maps without changing what they compute:
//
//   y = W x = (W diag(f)) (x / f)        columns of W times f, whatever makes x divided by f
//
// What smooth.hpp and equalize.hpp fold into weights, biases and norms.
#pragma once

#include <zeropoint/math/observer.hpp>
#include <zeropoint/math/quantized_matrix.hpp>

#include <vector>

namespace zeropoint::inline ZP_BASELINE {

namespace detail {
template <class F>
void for_each_channel(matrix_view<float> m, axis along, std::span<const float> factors, F&& f) {
  const std::size_t channels = along == axis::rows ? m.rows() : m.cols();
  ZP_REQUIRE(channels == factors.size(), "channel_scale: ", factors.size(), " factors for ",
             channels, along == axis::rows ? " rows" : " columns");
  for (std::size_t i = 0; i < m.rows(); ++i) {
    for (std::size_t j = 0; j < m.cols(); ++j) f(m(i, j), factors[along == axis::rows ? i : j]);
  }
}
}  // namespace detail

/// Every row or every column of m times its factor.
inline void multiply_channels(matrix_view<float> m, axis along, std::span<const float> factors) {
  detail::for_each_channel(m, along, factors, [](float& v, float f) { v *= f; });
}
/// Every row or every column of m divided by its factor.
inline void divide_channels(matrix_view<float> m, axis along, std::span<const float> factors) {
  detail::for_each_channel(m, along, factors, [](float& v, float f) { v /= f; });
}
/// values[j] /= factors[j]: the gain or bias of a norm, the bias of a layer. May be empty.
inline void divide_channels(std::span<float> values, std::span<const float> factors) {
  if (!values.empty()) divide_channels({values.data(), 1, values.size()}, axis::columns, factors);
}

/// The axis of a weight that its inputs lie along: columns of [out, in], rows of [in, out].
template <weight Weight>
inline constexpr axis input_axis = Weight::output == axis::rows ? axis::columns : axis::rows;

/// The largest finite |w| of every input over all weights that share it. Throws `error` when their
/// numbers of inputs differ.
template <weight Weight>
[[nodiscard]] std::vector<float> input_absmax(std::span<const Weight> weights) {
  std::vector<float> most(weights.empty() ? 0 : weights[0].in(), 0.0f);
  for (const Weight& w : weights) {
    ZP_REQUIRE(w.in() == most.size(), "input_absmax: a weight of ", w.in(),
               " inputs beside one of ", most.size());
    for (std::size_t i = 0; i < w.values.rows(); ++i) {
      if constexpr (Weight::output == axis::rows) {
        elementwise::absmax_columns(w.values.row(i), std::span<float>(most));
      } else {
        most[i] = std::max(most[i], elementwise::absmax(w.values.row(i)));
      }
    }
  }
  return most;
}
template <weight Weight>
[[nodiscard]] std::vector<float> input_absmax(const Weight& w) {
  return input_absmax(std::span<const Weight>(&w, 1));
}

}  // namespace zeropoint::inline ZP_BASELINE
