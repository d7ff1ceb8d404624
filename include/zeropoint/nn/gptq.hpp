// GPTQ (Frantar et al., arXiv 2210.17323): weights are coded one input after the other, and what
// rounding one of them did to the outputs is made up for by those that are still floats.
//
//   minimise (w - q)^T H (w - q) for every output,   H = G / mean(diag G) + damping * 1
//   for each input j:  q_j = quantize(w'_j),   w'_later += (w_j - q_j) * M(j, later)
//
// The paper takes e = (w'_j - q_j) / U_jj and w'_later -= e * U(j, later) with H^-1 = U^T U. Here
// H = M D M^T with M unit upper triangular: the same codes, without an inverse. The proof is that
// sum D_j (w'_j - q_j)^2 is the error either way, and each step makes its term smallest. Before its
// turn comes, though, w'_j is a partial sum and not the paper's (fit_group makes up for that).
//
// Codes lie in [qmin, qmax] of the scheme and zero points are what they are. (AutoGPTQ's first file
// format stores zero - 1; readers that forget it are off by a whole step.)
#pragma once

#include <zeropoint/math/measure.hpp>
#include <zeropoint/nn/gram.hpp>
#include <zeropoint/nn/weight.hpp>

namespace zeropoint::inline ZP_BASELINE {

struct gptq_options {
  scheme weights = symmetric.with_bits(4);
  weight_granularity granularity = per_output_channel;
  /// Code inputs in descending order of their energy instead of their own.
  bool act_order = false;
  /// Fit the grids of groups to the weights as they come, as every act_order has to: a group whose
  /// members come up at different times has no moment at which to fit it. Otherwise the grid of a
  /// group is fitted when its first weight is reached, to what the weights are by then.
  bool static_groups = false;
  /// Share of the mean diagonal that is added to it. 0: the paper's 0.01, raised tenfold while H is
  /// not positive definite or its condition is above max_condition.
  double damping = 0;
  double max_condition = 1e6;
  /// Outputs for which the codes turned out worse than round-to-nearest take those instead.
  bool keep_nearest_if_better = true;
};

struct gptq_report {
  double damping = 0;            ///< used, as a share of the mean diagonal
  double condition = 1;          ///< estimate for the damped H
  std::size_t dead_inputs = 0;   ///< always zero: their weights are rounded to nearest
  std::size_t kept_nearest = 0;  ///< outputs that took the codes of round-to-nearest
  double nearest_error = 0;      ///< squared output error, sum over rows and outputs: of rounding
  double error = 0;              ///< ... and of these codes; without damping
};

struct gptq_result {
  quantized_matrix<std::int8_t> codes;  ///< [out, in]
  quantization_statistics statistics;
  gptq_report report;
};

namespace detail {

/// H in the order in which inputs are coded, the first one last, as its unit lower factor.
struct gptq_factor {
  std::vector<std::size_t> input;  ///< of each position; coding goes from the last to position 0
  lower_triangle feedback;         ///< M^T with both axes reversed; its diagonal is not used
  double damping = 0, condition = 1;
};

[[nodiscard]] inline std::vector<std::size_t> coding_order(const gram_matrix& g, bool act_order) {
  std::vector<std::size_t> order(g.in());
  std::iota(order.begin(), order.end(), std::size_t{0});
  if (act_order) {
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return g(a, a) > g(b, b); });
  }
  std::reverse(order.begin(), order.end());
  return order;
}

template <class Executor>
[[nodiscard]] gptq_factor factorize(const gram_matrix& g, const gptq_options& options,
                                    const Executor& ex) {
  const std::size_t n = g.in();
  gptq_factor f{coding_order(g, options.act_order), {}, options.damping, 1};
  double mean = 0;
  for (std::size_t j = 0; j < n; ++j) mean += g(j, j) / static_cast<double>(n);
  if (options.damping == 0) f.damping = 0.01;
  for (;; f.damping *= 10) {
    f.feedback = lower_triangle(n);
    for (std::size_t i = 0; i < n; ++i) {
      double* row = f.feedback.row(i);
      for (std::size_t k = 0; k <= i; ++k) {
        row[k] = mean == 0 ? 0.0 : g(f.input[i], f.input[k]) / mean;
      }
      // A dead input is alone in its row: any number works. The paper's 1 is that of the mean here.
      row[i] = (g.is_dead(f.input[i]) ? 1.0 : row[i]) + f.damping;
    }
    const bool definite = cholesky(f.feedback, ex);
    f.condition =
        definite ? condition_estimate(f.feedback) : std::numeric_limits<double>::infinity();
    if (definite && (options.damping != 0 || f.condition <= options.max_condition)) break;
    ZP_REQUIRE(options.damping == 0, "gptq: with damping ", options.damping, " the matrix of ", n,
               " inputs from ", g.rows(), " rows is not positive definite: raise it, or leave 0");
    ZP_REQUIRE(f.damping < 1e6, "gptq: condition ", f.condition, " with damping ", f.damping,
               ", expected at most ", options.max_condition);
  }
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t k = 0; k < i; ++k) f.feedback.row(i)[k] /= f.feedback.row(k)[k];
  }
  return f;
}

[[nodiscard]] inline float to_finite_float(double x) noexcept {
  constexpr double max = std::numeric_limits<float>::max();
  return static_cast<float>(std::min(std::max(x, -max), max));
}

/// Some outputs on their way to codes: targets w' and errors w - q by position.
class gptq_task {
 public:
  gptq_task(const linear_weight& w, const gptq_factor& factor, std::size_t first,
            quantized_matrix<std::int8_t>& codes)
      : factor_(factor),
        codes_(codes),
        first_(first),
        count_(std::min(outputs_per_task, w.out() - first)),
        n_(w.in()),
        targets_(count_ * n_),
        errors_(count_ * n_),
        weights_(w) {
    for (std::size_t r = 0; r < count_; ++r) {
      for (std::size_t p = 0; p < n_; ++p) targets_[r * n_ + p] = weight(r, p);
    }
  }

  /// Blocks of at most `band` positions: within one, every error is passed on at once, to those
  /// behind it at its end. With `fits`, blocks end where groups do, in natural order.
  void run(bool fits) {
    const std::size_t group = fits ? codes_.block().cols : n_;
    for (std::size_t done = 0; done < n_;) {
      if (fits && done % group == 0) fit_group(done, std::min(group, n_ - done));
      const std::size_t depth = std::min({band, n_ - done, group - done % group});
      const std::size_t high = n_ - done, low = high - depth;
      for (std::size_t p = high; p-- > low;) {
        for (std::size_t r = 0; r < count_; ++r) code(r, p, low);
      }
      pass_on(low, high);
      done += depth;
    }
  }

 private:
  [[nodiscard]] double weight(std::size_t r, std::size_t p) const {
    return static_cast<double>(weights_.values(first_ + r, factor_.input[p]));
  }

  /// Grids of the group of `size` inputs from input k on, for every output: of the weights that
  /// would make up best for all errors so far if none of the group were rounded. The first of them
  /// is its target; each one's distance from its own weight is then passed on like an error.
  void fit_group(std::size_t k, std::size_t size) {
    const std::size_t low = n_ - k - size;
    std::vector<double> now(size);
    std::vector<float> values(size);
    for (std::size_t r = 0; r < count_; ++r) {
      std::copy_n(&targets_[r * n_] + low, size, now.begin());
      for (std::size_t i = size; i-- > 0;) {
        values[i] = to_finite_float(now[i]);
        const double e = weight(r, low + i) - now[i];
        const double* feedback = factor_.feedback.row(low + i) + low;
        for (std::size_t later = 0; later < i; ++later) now[later] += e * feedback[later];
      }
      const scheme& s = codes_.scheme();
      codes_.table().set(codes_.table().index(first_ + r, k), fit(finite_range(values, s.kind), s));
    }
  }

  void code(std::size_t r, std::size_t p, std::size_t low) {
    const std::size_t j = first_ + r, k = factor_.input[p];
    const params grid = codes_.params_at(j, k);
    const std::int32_t q = quantize(to_finite_float(targets_[r * n_ + p]), grid);
    codes_.values()(j, k) = static_cast<std::int8_t>(q);
    const double e = weight(r, p) - static_cast<double>(dequantize(q, grid));
    errors_[r * n_ + p] = e;
    const double* feedback = factor_.feedback.row(p);
    for (std::size_t i = low; i < p; ++i) targets_[r * n_ + i] += e * feedback[i];
  }

  /// The errors of positions [low, high), the last first, to all positions below `low`.
  void pass_on(std::size_t low, std::size_t high) {
    double e[band];
    for (std::size_t i = 0; i < low; i += column_span) {
      for (std::size_t r = 0; r < count_; ++r) {
        std::reverse_copy(&errors_[r * n_] + low, &errors_[r * n_] + high, e);
        add_products(&targets_[r * n_] + i, std::min(column_span, low - i), e, high - low,
                     [&](std::size_t k) { return factor_.feedback.row(high - 1 - k) + i; });
      }
    }
  }

  const gptq_factor& factor_;
  quantized_matrix<std::int8_t>& codes_;
  std::size_t first_, count_, n_;
  std::vector<double> targets_, errors_;
  linear_weight weights_;
};

}  // namespace detail

/// Codes of w [out, in] for inputs like those that g saw. Throws `error` when shapes differ, g has
/// no rows, a weight is not finite, the scheme is unsigned, or a damping that was asked for leaves
/// the matrix singular. The result does not depend on the executor; g has in^2 / 2 doubles, and one
/// more such matrix is made.
template <executor Executor = serial>
[[nodiscard]] gptq_result gptq(const linear_weight& w, const gram_matrix& g,
                               const gptq_options& options = {}, const Executor& ex = {}) {
  detail::require_samples(w, g, "gptq");
  ZP_REQUIRE(options.damping >= 0 && std::isfinite(options.damping), "gptq: damping ",
             options.damping, ", expected 0 or a positive number");
  const auto nearest = options.granularity.visit([&](const auto& granularity) {
    return quantize<std::int8_t>(w, granularity, options.weights, ex, no_statistics);
  });
  gptq_result result{nearest, {}, {}};
  const detail::gptq_factor factor = detail::factorize(g, options, ex);
  const bool fits =
      options.granularity.is_grouped() && !options.act_order && !options.static_groups;
  ex(detail::ceil_div(w.out(), detail::outputs_per_task), [&](std::size_t task) {
    detail::gptq_task(w, factor, task * detail::outputs_per_task, result.codes).run(fits);
  });

  const auto nearest_errors = output_errors(w, nearest, g, ex);
  auto errors = output_errors(w, result.codes, g, ex);
  gptq_report& report = result.report;
  if (options.keep_nearest_if_better) {
    report.kept_nearest = detail::take_better(result.codes, errors, nearest, nearest_errors);
  }
  report.damping = factor.damping;
  report.condition = factor.condition;
  for (std::size_t j = 0; j < g.in(); ++j) report.dead_inputs += g.is_dead(j) ? 1 : 0;
  report.nearest_error = detail::sum_of(nearest_errors);
  report.error = detail::sum_of(errors);
  result.statistics = measure(w.values, result.codes);
  return result;
}

}  // namespace zeropoint::inline ZP_BASELINE
