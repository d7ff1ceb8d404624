// The float twin of a quantized layer: fake quantization (quantize, then dequantize) of what the
// layer quantizes, and a plain product of the floats that come out:
//
//   y(i, j) = float(sum over k of double(x'(i, k)) * double(w'(j, k)) + bias[j])
//
// Summed in double, in ascending k, so that a comparison with the layer measures the integer path
// and not the summation of floats. Slow and obvious on purpose.
#pragma once

#include <zeropoint/base/executor.hpp>
#include <zeropoint/base/matrix_view.hpp>

#include <cmath>
#include <vector>

namespace zeropoint::inline ZP_BASELINE {

/// What a twin computes. `magnitude` is the sum of |x' w'| plus |bias|: the scale of rounding
/// errors, which parity.hpp multiplies by a layer's rounding_units().
struct simulated {
  matrix_view<float> y;          ///< [m, out]
  matrix_view<float> magnitude;  ///< [m, out], or empty when not wanted
};

namespace detail {

/// `weights(j, into)` writes w'(j, 0 .. in) of output j.
template <class Weights, executor Executor>
void simulate_product(matrix_view<const float> x, std::span<const float> bias, Weights&& weights,
                      const simulated& result, const Executor& ex) {
  const std::size_t in = x.cols(), out = result.y.cols();
  ZP_REQUIRE(result.magnitude.data() == nullptr ||
                 (result.magnitude.rows() == x.rows() && result.magnitude.cols() == out),
             "simulate: magnitude is ", result.magnitude.rows(), " x ", result.magnitude.cols(),
             ", expected ", x.rows(), " x ", out);
  ex(out, [&](std::size_t j) {
    std::vector<float> w(in);
    weights(j, std::span<float>(w));
    const double b = bias.empty() ? 0.0 : static_cast<double>(bias[j]);
    for (std::size_t i = 0; i < x.rows(); ++i) {
      const float* row = x.data() + i * x.stride();
      double sum = 0, magnitude = 0;
      for (std::size_t k = 0; k < in; ++k) {
        const double product = static_cast<double>(row[k]) * static_cast<double>(w[k]);
        sum += product;
        magnitude += std::fabs(product);
      }
      result.y(i, j) = static_cast<float>(sum + b);
      if (result.magnitude.data() != nullptr) {
        result.magnitude(i, j) = static_cast<float>(magnitude + std::fabs(b));
      }
    }
  });
}

}  // namespace detail
}  // namespace zeropoint::inline ZP_BASELINE
