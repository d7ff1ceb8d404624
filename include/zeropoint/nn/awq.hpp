// AWQ (Lin et al., arXiv 2306.00978): the weights of inputs that are large on average get a finer
// grid. Nothing is rounded differently; columns are scaled before rounding, and x the other way:
//
//   y = W x ~ Q(W diag(s)) (x / s),   s_j = m_j^r / sqrt(max * min),   m_j = mean |x_j|
//
// r in 0, 1/20 .. 19/20 and then, per block of weights, the share 1, 0.95 .. 0.55 of its range that
// the grid spans, are those with the smallest squared output error. r = 0 and share 1 are
// round-to-nearest, so the result is never worse. The paper's implementation floors m_j^r at 1e-4;
// here m_j is floored at 1e-4 of the largest: independent of units, and s stays in 0.01 .. 100.
#pragma once

#include <zeropoint/math/measure.hpp>
#include <zeropoint/nn/channel_scale.hpp>
#include <zeropoint/nn/gram.hpp>
#include <zeropoint/nn/weight.hpp>

namespace zeropoint::inline ZP_BASELINE {

struct awq_options {
  scheme weights = affine.with_bits(4);
  weight_granularity granularity = per_group{128};  ///< or per_output_channel; not per_tensor
  int ratios = 20;  ///< r = 0, 1 / ratios, ...; 1 leaves out scaling
  int clips = 10;   ///< shares 1, 0.95, ...; at most 20, 1 leaves out clipping
};

/// What to divide the inputs of a layer by.
struct awq_scale {
  std::vector<float> factors;  ///< [in], each 0.01 .. 100; 1 for inputs that are always zero
  double ratio = 0;            ///< r
  double nearest_error = 0;    ///< squared output error, sum over rows and outputs, with r = 0
  double error = 0;            ///< ... and with this r
};

struct awq_result {
  quantized_matrix<std::int8_t> codes;  ///< [out, in], of W diag(s)
  quantization_statistics statistics;   ///< of coding W diag(s)
  std::vector<float> shares;            ///< of its range that each block spans, in block order
  awq_scale scale;                      ///< before clipping
  double error = 0;                     ///< squared output error with everything
};

namespace detail {

[[nodiscard]] inline std::vector<float> awq_factors(const gram_matrix& g, double ratio) {
  double most = 0, low = std::numeric_limits<double>::infinity(), high = 0;
  for (std::size_t j = 0; j < g.in(); ++j) most = std::max(most, g.mean_magnitude(j));
  std::vector<double> s(g.in(), 0.0);
  for (std::size_t j = 0; j < g.in(); ++j) {
    if (g.is_dead(j)) continue;
    s[j] = std::pow(std::max(g.mean_magnitude(j) / most, 1e-4), ratio);
    low = std::min(low, s[j]), high = std::max(high, s[j]);
  }
  std::vector<float> factors(g.in(), 1.0f);
  for (std::size_t j = 0; j < g.in(); ++j) {
    if (s[j] != 0) factors[j] = static_cast<float>(s[j] / std::sqrt(low * high));
  }
  return factors;
}

/// W diag(s), dense; empty when a product is not finite.
[[nodiscard]] inline std::vector<float> scaled_weight(const linear_weight& w,
                                                      std::span<const float> factors) {
  std::vector<float> scaled;
  for (std::size_t j = 0; j < w.out(); ++j) {
    const auto row = w.values.row(j);
    scaled.insert(scaled.end(), row.begin(), row.end());
  }
  multiply_channels({scaled.data(), w.out(), w.in()}, axis::columns, factors);
  const bool finite = std::all_of(scaled.begin(), scaled.end(), [](float v) { return v - v == 0; });
  return finite ? scaled : std::vector<float>{};
}

/// The squared error of every output when `codes` of W diag(s) multiply x / s.
template <class Executor>
[[nodiscard]] std::vector<double> awq_errors(const linear_weight& w,
                                             const quantized_matrix<std::int8_t>& codes,
                                             std::span<const float> factors, const gram_matrix& g,
                                             const Executor& ex) {
  return output_errors(
      g, {0, w.in()}, w.out(),
      [&](std::size_t j, double* error) {
        for (std::size_t k = 0; k < w.in(); ++k) {
          const float value = dequantize(codes.values()(j, k), codes.params_at(j, k));
          error[k] = static_cast<double>(w.values(j, k)) -
                     static_cast<double>(value) / static_cast<double>(factors[k]);
        }
      },
      ex);
}

template <class Executor>
[[nodiscard]] quantized_matrix<std::int8_t> awq_nearest(matrix_view<const float> scaled,
                                                        const awq_options& options,
                                                        const Executor& ex) {
  const auto codes = options.granularity.visit([&](const auto& granularity) {
    return quantize<std::int8_t>(linear_weight{scaled}, granularity, options.weights, ex,
                                 no_statistics);
  });
  ZP_REQUIRE(codes.block().rows == 1 || codes.rows() <= 1,
             "awq: weights with one scale for all, expected per_output_channel or per_group");
  return codes;
}

/// The grid of a block when it spans only a share of its range.
[[nodiscard]] inline params shrunk(std::span<const float> block, float share, const scheme& s) {
  const value_range range = finite_range(block, s.kind);
  return fit({range.min * share, range.max * share}, s);
}

/// The best share of every block: its own error alone, as if the other blocks had none.
template <class Executor>
[[nodiscard]] std::vector<float> awq_shares(matrix_view<const float> scaled,
                                            std::span<const float> factors,
                                            const params_table& table, const gram_matrix& g,
                                            const awq_options& options, const Executor& ex) {
  std::vector<float> shares(table.count(), 1.0f);
  for (std::size_t k = 0; k < scaled.cols(); k += table.block().cols) {
    const input_span part{k, std::min(table.block().cols, scaled.cols() - k)};
    std::vector<double> best;
    for (int step = 0; step < options.clips; ++step) {
      const float share = static_cast<float>(20 - step) / 20;
      const auto errors = output_errors(
          g, part, scaled.rows(),
          [&](std::size_t j, double* error) {
            const auto block = scaled.row(j).subspan(part.first, part.size);
            const params p = shrunk(block, share, table.kind());
            const quantizer<> grid(p);
            for (std::size_t i = 0; i < part.size; ++i) {
              error[i] = (static_cast<double>(block[i]) -
                          static_cast<double>(dequantize(grid(block[i]), p))) /
                         static_cast<double>(factors[k + i]);
            }
          },
          ex);
      if (best.empty()) best = errors;
      for (std::size_t j = 0; j < errors.size(); ++j) {
        if (errors[j] < best[j]) best[j] = errors[j], shares[table.index(j, k)] = share;
      }
    }
  }
  return shares;
}

}  // namespace detail

/// The scale for one input that several weights [out, in] share (q, k and v), by the sum of their
/// errors. Throws `error` when shapes differ, g has no rows, a weight is not finite.
template <executor Executor = serial>
[[nodiscard]] awq_scale awq_search_scale(std::span<const linear_weight> weights,
                                         const gram_matrix& g, const awq_options& options = {},
                                         const Executor& ex = {}) {
  ZP_REQUIRE(options.ratios >= 1, "awq: ", options.ratios, " ratios, expected at least 1");
  for (const linear_weight& w : weights) detail::require_samples(w, g, "awq");
  awq_scale best;
  for (int step = 0; step < options.ratios; ++step) {
    awq_scale now;
    now.ratio = static_cast<double>(step) / options.ratios;
    now.factors = detail::awq_factors(g, now.ratio);
    for (const linear_weight& w : weights) {
      const auto scaled = detail::scaled_weight(w, now.factors);
      if (scaled.empty() && !w.values.empty()) {
        now.error = std::numeric_limits<double>::infinity();
        break;
      }
      const auto codes = detail::awq_nearest({scaled.data(), w.out(), w.in()}, options, ex);
      now.error += detail::sum_of(detail::awq_errors(w, codes, now.factors, g, ex));
    }
    now.nearest_error = step == 0 ? now.error : best.nearest_error;
    if (step == 0 || now.error < best.error) best = std::move(now);
  }
  return best;
}

/// Codes of W diag(s) for a scale that was found before, with the clip search. `scale.factors` must
/// be [in], positive.
template <executor Executor = serial>
[[nodiscard]] awq_result awq(const linear_weight& w, const gram_matrix& g, awq_scale scale,
                             const awq_options& options = {}, const Executor& ex = {}) {
  detail::require_samples(w, g, "awq");
  ZP_REQUIRE(options.clips >= 1 && options.clips <= 20, "awq: ", options.clips,
             " clips, expected 1 to 20");
  for (const float f : scale.factors) {
    ZP_REQUIRE(f > 0 && f - f == 0, "awq: factor ", f, ", expected positive finite ones");
  }
  const auto values = detail::scaled_weight(w, scale.factors);
  ZP_REQUIRE(!values.empty() || w.values.empty(), "awq: weights times their scales overflow");
  const matrix_view<const float> scaled(values.data(), w.out(), w.in());
  auto codes = detail::awq_nearest(scaled, options, ex);
  auto shares = detail::awq_shares(scaled, scale.factors, codes.table(), g, options, ex);

  // Blocks were judged one by one; an output for which they do not add up goes back to its ranges.
  params_table table = codes.table();
  const auto set = [&](std::size_t j, std::size_t k) {
    const auto row = scaled.row(j);
    const std::size_t b = table.index(j, k), n = std::min(table.block().cols, row.size() - k);
    if (shares[b] != 1) table.set(b, detail::shrunk(row.subspan(k, n), shares[b], table.kind()));
  };
  const auto for_blocks = [&](std::size_t j, auto&& f) {
    for (std::size_t k = 0; k < w.in(); k += table.block().cols) f(j, k);
  };
  for (std::size_t j = 0; j < w.out(); ++j) for_blocks(j, set);
  auto clipped = quantize<std::int8_t>(scaled, table, ex, no_statistics);
  const auto errors = detail::awq_errors(w, codes, scale.factors, g, ex);
  auto clipped_errors = detail::awq_errors(w, clipped, scale.factors, g, ex);
  for (std::size_t j = 0; j < w.out(); ++j) {
    if (!(errors[j] < clipped_errors[j])) continue;
    for_blocks(j, [&](std::size_t, std::size_t k) { shares[table.index(j, k)] = 1; });
  }
  static_cast<void>(detail::take_better(clipped, clipped_errors, codes, errors));
  const auto statistics = measure(scaled, clipped);
  return {std::move(clipped), statistics, std::move(shares), std::move(scale),
          detail::sum_of(clipped_errors)};
}

/// Scale and clip search for one weight. Memory: three copies of the weight.
template <executor Executor = serial>
[[nodiscard]] awq_result awq(const linear_weight& w, const gram_matrix& g,
                             const awq_options& options = {}, const Executor& ex = {}) {
  return awq(w, g, awq_search_scale(std::span<const linear_weight>(&w, 1), g, options, ex), options,
             ex);
}

}  // namespace zeropoint::inline ZP_BASELINE
