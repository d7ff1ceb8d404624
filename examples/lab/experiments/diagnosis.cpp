// Each window runs twice: through the float model, which leaves the inputs and outputs of its layers
// behind, and through the scheme, whose layers compare themselves with them.
#include <lab/experiments/diagnosis.hpp>
#include <lab/experiments/sweep.hpp>
#include <lab/io/error.hpp>
#include <lab/models/parallel.hpp>
#include <lab/models/recording.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace lab {

using zeropoint::matrix_view;

namespace {

void add_error(output_error& sum, matrix_view<const float> exact, matrix_view<const float> y) {
  for (std::size_t i = 0; i < exact.rows(); ++i) {
    for (std::size_t j = 0; j < exact.cols(); ++j) {
      const double a = static_cast<double>(exact(i, j)), e = a - static_cast<double>(y(i, j));
      sum.signal += a * a;
      sum.error += e * e;
    }
  }
}

void add_shape(input_shape& s, matrix_view<const float> x) {
  s.channel_absmax.resize(x.cols());
  for (std::size_t i = 0; i < x.rows(); ++i) {
    float largest = 0;
    for (std::size_t j = 0; j < x.cols(); ++j) {
      const float a = std::fabs(x(i, j));
      s.channel_absmax[j] = std::max(s.channel_absmax[j], a);
      largest = std::max(largest, a);
      const double square = static_cast<double>(a) * static_cast<double>(a);
      s.second += square;
      s.fourth += square * square;
    }
    s.largest_token = std::max(s.largest_token, static_cast<double>(largest));
    s.tokens_sum += static_cast<double>(largest);
  }
  s.tokens += x.rows();
}

void merge(layer_diagnosis& all, const layer_diagnosis& one) {
  all.input.merge(one.input);
  all.local.signal += one.local.signal, all.local.error += one.local.error;
  all.propagated.signal += one.propagated.signal, all.propagated.error += one.propagated.error;
  input_shape& s = all.shape;
  s.channel_absmax.resize(one.shape.channel_absmax.size());
  for (std::size_t j = 0; j < s.channel_absmax.size(); ++j) {
    s.channel_absmax[j] = std::max(s.channel_absmax[j], one.shape.channel_absmax[j]);
  }
  s.largest_token = std::max(s.largest_token, one.shape.largest_token);
  s.tokens_sum += one.shape.tokens_sum;
  s.second += one.shape.second, s.fourth += one.shape.fourth;
  s.tokens += one.shape.tokens;
}

class compared_linear final : public linear {
 public:
  compared_linear(const linear& inner, const matrix& x, const matrix& y, layer_diagnosis& into)
      : inner_(&inner), x_(&x), y_(&y), into_(&into) {}
  void apply(matrix_view<const float> x, matrix_view<float> y) const override {
    inner_->apply(x, y);
    add_error(into_->propagated, y_->view(), y);
    std::vector<float> alone(y_->values.size());
    inner_->apply(x_->view(), {alone.data(), y_->rows, y_->cols});
    add_error(into_->local, y_->view(), {alone.data(), y_->rows, y_->cols});
    into_->input.merge(inner_->input_statistics(x_->view()));
    add_shape(into_->shape, x_->view());
  }

 private:
  const linear* inner_;
  const matrix *x_, *y_;
  layer_diagnosis* into_;
};

std::vector<layer_diagnosis> diagnose_window(const transformer& form, const scheme_layers& scheme,
                                             std::span<const std::uint32_t> ids) {
  const auto linears = form.linears();
  std::vector<matrix> x(linears.size()), y(linears.size());
  std::vector<layer_diagnosis> result(linears.size());
  linear_set recorded, compared;
  for (std::size_t i = 0; i < linears.size(); ++i) {
    recorded.push_back(std::make_unique<recorded_linear>(*linears[i], x[i], y[i]));
    compared.push_back(std::make_unique<compared_linear>(*scheme.layers[i], x[i], y[i], result[i]));
  }
  const std::size_t width = form.config.embed_width;
  workspace scratch(form.config, ids.size());
  std::vector<float> hidden(ids.size() * width);
  forward(form, recorded, ids, scratch, {hidden.data(), ids.size(), width});
  forward(form, compared, ids, scratch, {hidden.data(), ids.size(), width}, scheme.attention);
  return result;
}

float median_of(std::vector<float> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

double output_error::sqnr_db() const {
  if (error == 0) return std::numeric_limits<double>::infinity();
  return 10 * std::log10(signal / error);
}

double input_shape::channel_ratio() const {
  const float median = median_of(channel_absmax);
  if (!(median > 0)) return 0;
  return static_cast<double>(*std::max_element(channel_absmax.begin(), channel_absmax.end())) /
         static_cast<double>(median);
}

std::vector<std::size_t> input_shape::outlier_channels(std::size_t limit) const {
  const float least = 6 * median_of(channel_absmax);
  std::vector<std::size_t> found;
  for (std::size_t j = 0; j < channel_absmax.size(); ++j) {
    if (channel_absmax[j] > 0 && channel_absmax[j] >= least) found.push_back(j);
  }
  std::stable_sort(found.begin(), found.end(), [&](std::size_t a, std::size_t b) {
    return channel_absmax[a] > channel_absmax[b];
  });
  found.resize(std::min(found.size(), limit));
  return found;
}

std::size_t input_shape::dead_channels() const {
  return static_cast<std::size_t>(std::count(channel_absmax.begin(), channel_absmax.end(), 0.0f));
}

double input_shape::token_ratio() const {
  return tokens_sum > 0 ? largest_token * static_cast<double>(tokens) / tokens_sum : 0;
}

double input_shape::kurtosis() const {
  const double n = static_cast<double>(tokens) * static_cast<double>(channel_absmax.size());
  return second > 0 ? fourth * n / (second * second) : 0;
}

std::vector<layer_diagnosis> diagnose(const transformer& model, const scheme_layers& scheme,
                                      std::span<const std::uint32_t> ids,
                                      std::span<const window> windows, std::size_t threads,
                                      const std::function<void(std::size_t)>& report) {
  const transformer& form = scheme.form_of(model);
  const auto linears = form.linears();
  std::vector<layer_diagnosis> all(linears.size());
  for (std::size_t i = 0; i < all.size(); ++i) {
    all[i].name = linears[i]->name;
    all[i].in = linears[i]->in, all[i].out = linears[i]->out;
    const auto* weight = scheme.layers[i]->weight_statistics();
    if (weight != nullptr) all[i].weight = *weight;
  }
  const std::size_t at_once = scheme.ordered ? 1 : std::max<std::size_t>(threads, 1);
  for (std::size_t first = 0; first < windows.size(); first += at_once) {
    const std::size_t count = std::min(at_once, windows.size() - first);
    std::vector<std::vector<layer_diagnosis>> parts(count);
    parallel_for(at_once, count, [&](std::size_t i) {
      const window& w = windows[first + i];
      parts[i] = diagnose_window(form, scheme, ids.subspan(w.first, w.size));
    });
    for (const auto& part : parts) {
      for (std::size_t l = 0; l < all.size(); ++l) merge(all[l], part[l]);
    }
    if (report) report(first + count);
  }
  return all;
}

std::vector<measurement> measure_sensitivity(const transformer& model, const scheme_layers& scheme,
                                             std::span<const std::uint32_t> ids,
                                             std::span<const window> windows, std::size_t threads,
                                             const std::function<void(std::size_t)>& report) {
  return summarise_all(measure_sensitivity_sums(model, scheme, ids, windows, threads, report));
}

std::vector<scheme_sums> measure_sensitivity_sums(const transformer& model,
                                                  const scheme_layers& scheme,
                                                  std::span<const std::uint32_t> ids,
                                                  std::span<const window> windows,
                                                  std::size_t threads,
                                                  const std::function<void(std::size_t)>& report) {
  if (scheme.ordered) {
    throw input_error(
        "sensitivity of " + scheme.name +
        ": watched layers change with what they see, so rows would not be independent");
  }
  const transformer& form = scheme.form_of(model);
  const std::size_t L = scheme.layers.size();
  const auto linears = form.linears();
  const linear_set floats = float_linears(form);
  const auto mixed = [&](std::string name, attention_kind attention, auto&& is_quantized) {
    scheme_layers s = borrowed(std::move(name), L, [&](std::size_t i) {
      return is_quantized(i) ? scheme.layers[i].get() : floats[i].get();
    });
    s.model = scheme.model;
    s.attention = attention;
    return s;
  };
  const auto row = [&](std::size_t r) {
    const std::size_t l = r % L;
    if (r == 2 * L) return mixed("all", scheme.attention, [](std::size_t) { return true; });
    if (r < L) {
      return mixed(std::string(alone_prefix) + linears[l]->name, attention_kind::floats,
                   [&](std::size_t i) { return i == l; });
    }
    return mixed("all but " + linears[l]->name, scheme.attention,
                 [&](std::size_t i) { return i != l; });
  };
  return measure_row_sums(model, 2 * L + 1, row, {ids, windows}, threads, report);
}

}  // namespace lab
