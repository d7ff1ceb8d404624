// A window at a time: the float forward pass; the gradients of its loss for 1 + S sets of labels, all
// at once; and at every layer on the way back, the products of these gradients with dy_c.
#include <lab/experiments/attribution.hpp>
#include <lab/experiments/split.hpp>
#include <lab/io/error.hpp>
#include <lab/models/float_kernels.hpp>
#include <lab/models/gradient.hpp>
#include <lab/models/parallel.hpp>

#include <cmath>

namespace lab {

using zeropoint::matrix_view;

namespace {

using sources = std::array<double, error_sources>;

double sum_of(const sources& a) {
  return (a[0] + a[1]) + (a[2] + a[3]);
}

/// exact + (rounding + clipping) / 2: half way between the float value and the quantized one.
std::vector<float> middle_of(const split_matrix& m) {
  std::vector<float> middle = m.exact;
  for (const std::vector<float>* error : {&m.rounding, &m.clipping}) {
    for (std::size_t i = 0; i < error->size(); ++i) middle[i] += 0.5f * (*error)[i];
  }
  return middle;
}

struct layer_weights {
  std::size_t out = 0, in = 0;
  split_matrix split;
  std::vector<float> middle;
};

/// What a layer multiplies, for inputs x [tokens, in].
split_matrix split_inputs(const linear& layer, matrix_view<const float> x) {
  split_matrix split;
  layer.show_codes(x, [&](matrix_view<const float> values, const auto& codes) {
    splitter s(values.size());
    for (std::size_t t = 0; t < values.rows(); ++t) {
      for (std::size_t k = 0; k < values.cols(); ++k) {
        s.add(values(t, k), codes.matrix.values()(t, k), codes.matrix.params_at(t, k));
      }
    }
    split = s.take();
  });
  if (split.exact.empty()) {  // it stays float
    for (std::size_t t = 0; t < x.rows(); ++t) {
      split.exact.insert(split.exact.end(), x.row(t).begin(), x.row(t).end());
    }
  }
  return split;
}

/// Sum over tokens of g . dy, for each of R stacked gradients g [R * T, out]; into column c of `a`.
void multiply_gradients(matrix_view<const float> g, matrix_view<const float> dy, std::size_t c,
                        std::vector<sources>& a) {
  for (std::size_t row = 0; row < g.rows(); ++row) {
    const float *gradient = g.row(row).data(), *error = dy.row(row % dy.rows()).data();
    double sum = 0;
    for (std::size_t j = 0; j < g.cols(); ++j) {
      sum += static_cast<double>(gradient[j]) * static_cast<double>(error[j]);
    }
    a[row / dy.rows()][c] += sum;
  }
}

/// a_c of one layer for each set of labels. The product of two errors is shared equally:
///
///   (x + dx)(w + dw) - x w = dx (w + dw/2) + (x + dx/2) dw,   dx and dw sums over sources
std::vector<sources> products_of(const layer_weights& w, const split_matrix& x,
                                 matrix_view<const float> g) {
  const std::size_t T = x.exact.size() / w.in;
  const std::vector<float> x_middle = middle_of(x);
  std::vector<float> dy(T * w.out);
  std::vector<sources> a(g.rows() / T);
  const auto add = [&](error_source source, const std::vector<float>& left,
                       const std::vector<float>& right) {
    if (left.empty() || right.empty()) return;
    best_float_kernels().multiply_nt(T, w.out, w.in, left.data(), w.in, right.data(), w.in, nullptr,
                                     dy.data(), w.out);
    multiply_gradients(g, {dy.data(), T, w.out}, static_cast<std::size_t>(source), a);
  };
  add(error_source::weight_rounding, x_middle, w.split.rounding);
  add(error_source::weight_clipping, x_middle, w.split.clipping);
  add(error_source::input_rounding, x.rounding, w.middle);
  add(error_source::input_clipping, x.clipping, w.middle);
  return a;
}

/// Sums over the scored tokens of one window, per layer.
struct window_attribution {
  std::vector<sources> first;   ///< a_c with the text's labels
  std::vector<sources> second;  ///< mean over samples of 1/2 a_c u
  std::vector<double> shared;   ///< mean over samples of 1/2 u times the u of all layers
};

window_attribution attribute_window(const transformer& form, const linear_set& layers,
                                    const std::vector<layer_weights>& weights,
                                    std::span<const std::uint32_t> ids, std::size_t scored,
                                    std::size_t samples, std::uint64_t seed) {
  const std::size_t L = layers.size();
  const tape forward(form, ids);
  std::vector<std::vector<sources>> a(L);
  forward.backward(forward.loss_gradients(scored, samples, seed).view(),
                   [&](std::size_t l, matrix_view<const float> g) {
                     a[l] = products_of(weights[l], split_inputs(*layers[l], forward.input(l)), g);
                   });
  window_attribution w{std::vector<sources>(L), std::vector<sources>(L), std::vector<double>(L)};
  const double half = 0.5 / static_cast<double>(samples);
  for (std::size_t l = 0; l < L; ++l) w.first[l] = a[l][0];
  for (std::size_t r = 1; r <= samples; ++r) {
    double whole = 0;
    for (std::size_t l = 0; l < L; ++l) whole += sum_of(a[l][r]);
    for (std::size_t l = 0; l < L; ++l) {
      const double u = sum_of(a[l][r]);
      for (std::size_t c = 0; c < error_sources; ++c) w.second[l][c] += half * a[l][r][c] * u;
      w.shared[l] += half * u * whole;
    }
  }
  return w;
}

/// The mean per token of what `value(window)` sums over a window's scored tokens; the standard error
/// is that of summarise() (perplexity.hpp).
template <class Value>
estimate estimate_of(std::span<const window> windows, Value&& value) {
  double sum = 0, tokens = 0, squares = 0;
  for (std::size_t i = 0; i < windows.size(); ++i) {
    sum += value(i);
    tokens += static_cast<double>(windows[i].scored);
  }
  const double mean = sum / tokens, n = static_cast<double>(windows.size());
  for (std::size_t i = 0; i < windows.size(); ++i) {
    const double d = value(i) - mean * static_cast<double>(windows[i].scored);
    squares += d * d;
  }
  return {mean, windows.size() < 2 ? std::nan("") : std::sqrt(squares * n / (n - 1)) / tokens};
}

std::vector<layer_weights> split_all(const transformer& form, const scheme_layers& scheme) {
  if (scheme.ordered) {
    throw input_error("attribution of " + scheme.name +
                      ": watched layers change with what they see, so they have no one error");
  }
  if (scheme.attention != attention_kind::floats) {
    throw input_error("attribution of " + scheme.name +
                      ": only errors of linear layers are attributed; expected float attention");
  }
  const auto linears = form.linears();
  std::vector<layer_weights> all(linears.size());
  for (std::size_t l = 0; l < all.size(); ++l) {
    const dense& d = *linears[l];
    auto split = scheme.layers[l]->split_weights(d);
    if (!split) {
      throw input_error("attribution of " + scheme.name + ": " + d.name +
                        " has no one grid for its weights and inputs; expected a scheme of integer "
                        "weights with float, dynamic or static activations");
    }
    all[l] = {d.out, d.in, std::move(*split), {}};
    all[l].middle = middle_of(all[l].split);
  }
  return all;
}

}  // namespace

std::string_view name(error_source source) noexcept {
  switch (source) {
    case error_source::weight_rounding:
      return "weight rounding";
    case error_source::weight_clipping:
      return "weight clipping";
    case error_source::input_rounding:
      return "input rounding";
    case error_source::input_clipping:
      break;
  }
  return "input clipping";
}

std::vector<layer_attribution> attribute(const transformer& model, const scheme_layers& scheme,
                                         std::span<const std::uint32_t> ids,
                                         std::span<const window> windows, std::size_t threads,
                                         const std::function<void(std::size_t)>& report,
                                         const attribution_options& options) {
  ZP_REQUIRE(options.samples >= 1, "attribute: ", options.samples, " samples, expected at least 1");
  ZP_REQUIRE(!windows.empty(), "attribute: no windows");
  const transformer& form = scheme.form_of(model);
  const std::vector<layer_weights> weights = split_all(form, scheme);
  std::vector<window_attribution> parts(windows.size());
  const std::size_t at_once = std::max<std::size_t>(threads, 1);
  for (std::size_t first = 0; first < windows.size(); first += at_once) {
    const std::size_t count = std::min(at_once, windows.size() - first);
    parallel_for(at_once, count, [&](std::size_t i) {
      const window& w = windows[first + i];
      parts[first + i] =
          attribute_window(form, scheme.layers, weights, ids.subspan(w.first, w.size), w.scored,
                           options.samples, options.seed + first + i);
    });
    if (report) report(first + count);
  }
  std::vector<layer_attribution> all(weights.size());
  for (std::size_t l = 0; l < all.size(); ++l) {
    all[l].name = form.linears()[l]->name;
    for (std::size_t c = 0; c < error_sources; ++c) {
      all[l].loss[c] = estimate_of(
          windows, [&](std::size_t i) { return parts[i].first[l][c] + parts[i].second[l][c]; });
      all[l].kl[c] = estimate_of(windows, [&](std::size_t i) { return parts[i].second[l][c]; });
    }
    all[l].total_loss = estimate_of(windows, [&](std::size_t i) {
      return sum_of(parts[i].first[l]) + sum_of(parts[i].second[l]);
    });
    all[l].total_kl =
        estimate_of(windows, [&](std::size_t i) { return sum_of(parts[i].second[l]); });
    all[l].shared_kl = estimate_of(windows, [&](std::size_t i) { return parts[i].shared[l]; });
  }
  return all;
}

}  // namespace lab
