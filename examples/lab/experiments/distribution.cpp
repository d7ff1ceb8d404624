// The float model over the windows, with a counter in front of the chosen layers.
#include <lab/experiments/distribution.hpp>
#include <lab/models/parallel.hpp>
#include <zeropoint/nn/hadamard.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace lab {

using zeropoint::matrix_view;

namespace {

/// A float layer that shows the scheme's layer its input first.
class counted_linear final : public linear {
 public:
  counted_linear(const dense& d, const linear& scheme, const std::vector<bool>& ordinary,
                 grid_histogram& into)
      : inner_(d), scheme_(&scheme), ordinary_(&ordinary), into_(&into) {}
  void apply(matrix_view<const float> x, matrix_view<float> y) const override {
    scheme_->show_codes(x, [this](auto values, const auto& codes) {
      into_->add(values, codes.matrix, *ordinary_);
    });
    inner_.apply(x, y);
  }

 private:
  float_linear inner_;
  const linear* scheme_;
  const std::vector<bool>* ordinary_;
  grid_histogram* into_;
};

grid_histogram weights_of(const dense& d, const scheme_name& name,
                          const std::vector<bool>& ordinary) {
  grid_histogram h;
  if (name.kind < arithmetic::weight_only) return h;
  const auto count = [&](const zeropoint::linear_weight& w) {
    name.granularity.visit([&](const auto& g) {
      h.add(w.values, zeropoint::quantize<std::int8_t>(w, g, name.weights).matrix, ordinary);
    });
  };
  if (name.cure == activation_cure::rotate) {
    const zeropoint::hadamard_rotation rotation(d.in);
    count(zeropoint::rotated_weight(zeropoint::linear_weight{d.view()}, rotation).get());
  } else {
    count(zeropoint::linear_weight{d.view()});
  }
  return h;
}

}  // namespace

std::uint64_t grid_histogram::before_at(int code) const {
  const auto first = static_cast<std::size_t>((code - qmin + margin) * bins_per_step);
  if (first + bins_per_step > before.size()) return 0;
  const auto begin = before.begin() + static_cast<std::ptrdiff_t>(first);
  return std::accumulate(begin, begin + bins_per_step, std::uint64_t{0});
}

double grid_histogram::clipped_low() const {
  std::uint64_t low = 0, all = 0;
  for (std::size_t b = 0; b < before.size(); ++b) {
    all += before[b];
    if (b < margin * bins_per_step) low += before[b];
  }
  return all > 0 ? static_cast<double>(low) / static_cast<double>(all) : 0;
}

double grid_histogram::clipped_high() const {
  std::uint64_t high = 0, all = 0;
  for (std::size_t b = 0; b < before.size(); ++b) {
    all += before[b];
    if (b + margin * bins_per_step >= before.size()) high += before[b];
  }
  return all > 0 ? static_cast<double>(high) / static_cast<double>(all) : 0;
}

void grid_histogram::add(matrix_view<const float> values,
                         const zeropoint::quantized_matrix<std::int8_t>& codes,
                         const std::vector<bool>& ordinary) {
  if (empty()) {
    qmin = codes.scheme().qmin(), qmax = codes.scheme().qmax();
    const auto levels = static_cast<std::size_t>(qmax - qmin + 1);
    after.assign(levels, 0);
    after_ordinary.assign(levels, 0);
    before.assign((levels + 2 * margin) * bins_per_step, 0);
  }
  const auto last = static_cast<double>(before.size() - 1);
  const double origin = left();
  for (std::size_t i = 0; i < values.rows(); ++i) {
    for (std::size_t j = 0; j < values.cols(); ++j) {
      const zeropoint::params p = codes.params_at(i, j);
      smallest_step = smallest_step > 0 ? std::min(smallest_step, p.scale) : p.scale;
      largest_step = std::max(largest_step, p.scale);
      const auto code = static_cast<std::size_t>(codes.values()(i, j) - qmin);
      if (!std::isfinite(values(i, j))) continue;
      ++after[code];
      after_ordinary[code] += ordinary[j] ? 1 : 0;
      const double position = static_cast<double>(values(i, j)) / static_cast<double>(p.scale) +
                              static_cast<double>(p.zero_point);
      const double bin = std::floor((position - origin) * bins_per_step);
      ++before[static_cast<std::size_t>(std::clamp(bin, 0.0, last))];
    }
  }
}

void grid_histogram::merge(const grid_histogram& other) {
  if (other.empty()) return;
  if (empty()) {
    *this = other;
    return;
  }
  smallest_step = std::min(smallest_step, other.smallest_step);
  largest_step = std::max(largest_step, other.largest_step);
  for (std::size_t b = 0; b < before.size(); ++b) before[b] += other.before[b];
  for (std::size_t i = 0; i < after.size(); ++i) {
    after[i] += other.after[i];
    after_ordinary[i] += other.after_ordinary[i];
  }
}

std::vector<layer_distribution> distributions(const transformer& model, const scheme_name& name,
                                              const scheme_layers& scheme,
                                              std::span<const layer_choice> chosen,
                                              std::span<const std::uint32_t> ids,
                                              std::span<const window> windows,
                                              std::size_t threads) {
  const transformer& form = scheme.form_of(model);
  const auto linears = form.linears();
  std::vector<layer_distribution> all(chosen.size());
  std::vector<std::vector<bool>> ordinary(chosen.size());
  for (std::size_t c = 0; c < chosen.size(); ++c) {
    const dense& d = *linears[chosen[c].layer];
    ordinary[c].assign(d.in, true);
    // Rotated inputs have no channels of the model's any more.
    if (name.cure != activation_cure::rotate) {
      for (const std::size_t j : chosen[c].outliers) ordinary[c][j] = false;
    }
    all[c] = {chosen[c].layer, d.name, weights_of(d, name, ordinary[c]), {}};
  }
  const std::size_t at_once = std::max<std::size_t>(threads, 1);
  for (std::size_t first = 0; first < windows.size(); first += at_once) {
    const std::size_t count = std::min(at_once, windows.size() - first);
    std::vector<std::vector<grid_histogram>> parts(count);
    parallel_for(at_once, count, [&](std::size_t i) {
      const window& w = windows[first + i];
      parts[i].resize(chosen.size());
      linear_set layers = float_linears(form);
      for (std::size_t c = 0; c < chosen.size(); ++c) {
        const std::size_t l = chosen[c].layer;
        layers[l] = std::make_unique<counted_linear>(*linears[l], *scheme.layers[l], ordinary[c],
                                                     parts[i][c]);
      }
      const std::size_t width = form.config.embed_width;
      workspace scratch(form.config, w.size);
      std::vector<float> hidden(w.size * width);
      forward(form, layers, ids.subspan(w.first, w.size), scratch, {hidden.data(), w.size, width});
    });
    for (const auto& part : parts) {
      for (std::size_t c = 0; c < chosen.size(); ++c) all[c].inputs.merge(part[c]);
    }
  }
  return all;
}

}  // namespace lab
