// SmoothQuant (arXiv 2211.10438): moves the difficulty from activations to weights, channel by
// channel, without changing the function.
//
//   s_j = max|X_j|^alpha / max|W_j|^(1 - alpha),   X' = X / s,   W' = W diag(s)
//
// X_j is an input channel over all tokens, W_j the same channel over all weights that read it (q, k
// and v together). X' is not computed: s is folded into what makes X, the gain and bias of the norm.
// That is only right where nothing else reads the norm's output. In a post-norm model (OPT-350m) the
// residual does: such a model cannot be smoothed this way, and the caller has to refuse it.
#pragma once

#include <zeropoint/nn/channel_scale.hpp>
#include <zeropoint/nn/static_linear.hpp>

#include <vector>

namespace zeropoint::inline ZP_BASELINE {

struct smoothing_options {
  double alpha = 0.5;                      ///< 0: all difficulty stays, 1: all moves to the weights
  float smallest = 1e-4f, largest = 1e4f;  ///< bounds of a factor
};

struct smoothing {
  std::vector<float> factors;  ///< s, one per input channel
  std::size_t dead = 0;        ///< channels whose activations or weights were all 0: factor 1
  std::size_t bounded = 0;     ///< factors that were cut to a bound
};

/// s from the largest |x| of every channel (column_absmax) and the largest |w| of every input
/// (input_absmax). A channel that was always 0 in calibration keeps factor 1: the formula's tiny s
/// would multiply the norm's gain by 1e5, and the channel may wake up later. Throws `error` for
/// spans of different lengths, ranges that are negative or not finite, alpha outside 0 .. 1.
[[nodiscard]] inline smoothing smoothing_factors(std::span<const float> activations,
                                                 std::span<const float> weights,
                                                 const smoothing_options& options = {}) {
  ZP_REQUIRE(activations.size() == weights.size(), "smooth: ", activations.size(),
             " channels of activations, ", weights.size(), " inputs of weights");
  ZP_REQUIRE(options.alpha >= 0 && options.alpha <= 1, "smooth: alpha ", options.alpha,
             ", expected 0 to 1");
  ZP_REQUIRE(
      options.smallest > 0 && options.smallest <= options.largest && std::isfinite(options.largest),
      "smooth: bounds ", options.smallest, " .. ", options.largest,
      ", expected 0 < smallest <= largest");
  smoothing result;
  result.factors.assign(activations.size(), 1.0f);
  for (std::size_t j = 0; j < activations.size(); ++j) {
    const double x = static_cast<double>(activations[j]), w = static_cast<double>(weights[j]);
    ZP_REQUIRE(x >= 0 && w >= 0 && std::isfinite(x) && std::isfinite(w), "smooth: channel ", j,
               " has ranges ", x, " and ", w, ", expected finite ones, not below 0");
    if (x == 0 || w == 0) {
      ++result.dead;
      continue;
    }
    const double s = std::pow(x, options.alpha) / std::pow(w, 1 - options.alpha);
    const double cut =
        std::clamp(s, static_cast<double>(options.smallest), static_cast<double>(options.largest));
    result.bounded += s == cut ? 0 : 1;
    result.factors[j] = static_cast<float>(cut);
  }
  return result;
}

// --- alpha, chosen per layer --------------------------------------------------------------------

struct alpha_search {
  double alpha = 0;             ///< the alpha with the least error, the smallest of equals
  smoothing best;               ///< its factors
  double error = 0;             ///< its error
  std::vector<double> errors;   ///< of alpha = i / steps
  double unsmoothed_error = 0;  ///< with all factors 1: not smoothing may be better
};

namespace detail {

/// A copy of the values of a weight with its inputs multiplied.
template <weight Weight>
class smoothed_weight {
 public:
  smoothed_weight(const Weight& w, std::span<const float> factors)
      : values_(w.values.size()), rows_(w.values.rows()), cols_(w.values.cols()) {
    for (std::size_t i = 0; i < rows_; ++i) {
      const std::span<const float> row = w.values.row(i);
      std::copy(row.begin(), row.end(), values_.begin() + i * cols_);
    }
    multiply_channels({values_.data(), rows_, cols_}, input_axis<Weight>, factors);
  }
  [[nodiscard]] Weight get() const { return {{values_.data(), rows_, cols_}}; }

 private:
  aligned_buffer<float> values_;
  std::size_t rows_, cols_;
};

/// sum |y - layer(x / s)|^2 over all layers, each a static_linear of a smoothed weight.
template <weight Weight, class Executor>
[[nodiscard]] double smoothed_error(matrix_view<const float> x, std::span<const Weight> weights,
                                    std::span<const aligned_buffer<float>> references,
                                    std::span<const float> absmax, std::span<const float> factors,
                                    const Executor& ex) {
  aligned_buffer<float> smoothed(x.size());
  float most = 0;
  for (std::size_t j = 0; j < x.cols(); ++j) {
    most = std::max(most, absmax[j] / factors[j]);
    for (std::size_t i = 0; i < x.rows(); ++i) smoothed[i * x.cols() + j] = x(i, j) / factors[j];
  }
  double error = 0;
  for (std::size_t l = 0; l < weights.size(); ++l) {
    const smoothed_weight<Weight> w(weights[l], factors);
    const static_linear layer(w.get(), {}, {-most, most});
    aligned_buffer<float> y(references[l].size());
    layer({smoothed.data(), x.rows(), x.cols()}, {y.data(), x.rows(), layer.out()}, ex);
    for (std::size_t i = 0; i < y.size(); ++i) {
      const double e = static_cast<double>(references[l][i]) - static_cast<double>(y[i]);
      error += e * e;
    }
  }
  return error;
}

}  // namespace detail

/// The alpha among 0, 1/steps, ..., 1 that costs the outputs of all weights together the least:
///
///   error = sum |x W^T - Q(x / s) Q(W diag(s))^T|^2 / sum |x W^T|^2
///
/// Q of activations is per tensor, static, symmetric int8 over the smoothed calibration range
/// max_j(absmax[j] / s_j); Q of weights per output, symmetric int8. x [n, in] are samples, absmax
/// [in] the calibrated ranges (of all data, not only of x). Costs a product in double and steps + 2
/// integer products per weight. Throws `error` for shapes that do not match, no rows, samples that
/// are not finite, steps below 1.
template <weight Weight, executor Executor = serial>
[[nodiscard]] alpha_search search_alpha(matrix_view<const float> x, std::span<const float> absmax,
                                        std::span<const Weight> weights, int steps = 20,
                                        const Executor& ex = {}) {
  ZP_REQUIRE(x.cols() == absmax.size(), "search_alpha: samples of ", x.cols(), " channels, ",
             absmax.size(), " ranges");
  ZP_REQUIRE(x.rows() > 0 && steps >= 1, "search_alpha: ", x.rows(), " samples and ", steps,
             " steps, expected at least 1 of each");
  for (std::size_t i = 0; i < x.rows(); ++i) {
    ZP_REQUIRE(elementwise::count_non_finite(x.row(i)) == 0, "search_alpha: sample ", i, " of ",
               x.rows(), " is not finite");
  }
  const std::vector<float> input = input_absmax(weights);
  ZP_REQUIRE(weights.empty() || input.size() == x.cols(), "search_alpha: samples of ", x.cols(),
             " channels, weights of ", input.size(), " inputs");
  std::vector<aligned_buffer<float>> references;
  double signal = 0;
  for (const Weight& w : weights) {
    aligned_buffer<float>& y = references.emplace_back(x.rows() * w.out());
    const auto row = [&](std::size_t j, std::span<float> into) {
      for (std::size_t k = 0; k < into.size(); ++k) {
        into[k] = Weight::output == axis::rows ? w.values(j, k) : w.values(k, j);
      }
    };
    detail::simulate_product(x, {}, row, simulated{{y.data(), x.rows(), w.out()}, {}}, ex);
    for (const float v : y) signal += static_cast<double>(v) * static_cast<double>(v);
  }
  const auto error_of = [&](std::span<const float> factors) {
    const double e = detail::smoothed_error(
        x, weights, std::span<const aligned_buffer<float>>(references), absmax, factors, ex);
    return signal > 0 ? e / signal : e;
  };
  alpha_search result;
  result.unsmoothed_error = error_of(std::vector<float>(x.cols(), 1.0f));
  for (int i = 0; i <= steps; ++i) {
    const double alpha = static_cast<double>(i) / steps;
    smoothing s = smoothing_factors(absmax, input, {.alpha = alpha});
    result.errors.push_back(error_of(s.factors));
    if (i > 0 && result.errors.back() >= result.error) continue;
    result.alpha = alpha;
    result.error = result.errors.back();
    result.best = std::move(s);
  }
  return result;
}

}  // namespace zeropoint::inline ZP_BASELINE
