// The float model over calibration windows, with observers in front of its linear layers.
#include <lab/experiments/calibration.hpp>
#include <lab/models/parallel.hpp>
#include <zeropoint/math/range_search.hpp>
#include <zeropoint/nn/bias_correction.hpp>

#include <algorithm>

namespace lab {

using zeropoint::matrix_view;

namespace {

/// What one layer's observers saw of some windows.
struct observers {
  explicit observers(std::size_t in) : channels(in), means(in) {}

  void observe(matrix_view<const float> x, bool with_means) {
    values.observe(x);
    channels.observe(x);
    if (with_means) means.observe(x);
  }
  void merge(const observers& other) {
    values.merge(other.values);
    channels.merge(other.channels);
    means.merge(other.means);
  }

  zeropoint::distribution values;
  zeropoint::column_absmax channels;
  zeropoint::column_mean means;
};

/// A float layer that shows its input to `see` first.
template <class See>
class observed_linear final : public linear {
 public:
  observed_linear(const dense& d, const input_change& change, See see)
      : inner_(d), change_(&change), see_(std::move(see)) {}
  void apply(matrix_view<const float> x, matrix_view<float> y) const override {
    if (*change_) {
      matrix changed;
      changed.assign(x);
      (*change_)({changed.values.data(), changed.rows, changed.cols});
      see_(changed.view());
    } else {
      see_(x);
    }
    inner_.apply(x, y);
  }

 private:
  float_linear inner_;
  const input_change* change_;
  See see_;
};

class calibrator {
 public:
  calibrator(const transformer& model, std::span<const std::uint32_t> ids, std::size_t threads,
             const calibration_wishes& wishes)
      : model_(model),
        linears_(model.linears()),
        ids_(ids),
        threads_(threads),
        wishes_(wishes),
        all_(fresh()) {
    if (!wishes.gram) return;
    for (const dense* d : linears_) gram_.emplace_back(d->in);
  }

  void run(std::span<const window> windows, const std::function<void(std::size_t)>& report) {
    // Gram matrices are too large for one per window: windows come one by one, and the threads
    // share the products.
    const std::size_t at_once = wishes_.gram ? 1 : threads_;
    for (std::size_t first = 0; first < windows.size(); first += at_once) {
      const std::size_t count = std::min(at_once, windows.size() - first);
      std::vector<std::vector<observers>> parts(count);
      parallel_for(at_once, count, [&](std::size_t i) { parts[i] = observe(windows[first + i]); });
      for (std::size_t i = 0; i < count; ++i) {
        tokens_ += windows[first + i].size;
        for (std::size_t l = 0; l < all_.size(); ++l) all_[l].merge(parts[i][l]);
      }
      if (report) report(first + count);
    }
  }

  calibration result() && {
    calibration c;
    c.tokens = tokens_;
    for (observers& o : all_) {
      const auto maxima = o.channels.maxima();
      c.channel_absmax.emplace_back(maxima.begin(), maxima.end());
      c.ranges.push_back(ranges_of(o.values));
      if (wishes_.means) c.means.push_back(o.means.means());
      c.values.push_back(std::move(o.values));
    }
    c.gram = std::move(gram_);
    return c;
  }

 private:
  std::vector<observers> fresh() const {
    std::vector<observers> all;
    for (const dense* d : linears_) all.emplace_back(d->in);
    return all;
  }

  std::vector<observers> observe(const window& w) {
    std::vector<observers> seen = fresh();
    linear_set layers;
    for (std::size_t i = 0; i < linears_.size(); ++i) {
      const auto see = [this, i, &seen](matrix_view<const float> x) {
        seen[i].observe(x, wishes_.means);
        if (!wishes_.gram) return;
#if defined(_OPENMP)
        gram_[i].observe(x, executor_of(threads_));
#else
        gram_[i].observe(x);
#endif
      };
      layers.push_back(
          std::make_unique<observed_linear<decltype(see)>>(*linears_[i], wishes_.change, see));
    }
    const std::size_t width = model_.config.embed_width;
    workspace scratch(model_.config, w.size);
    std::vector<float> hidden(w.size * width);
    forward(model_, layers, ids_.subspan(w.first, w.size), scratch, {hidden.data(), w.size, width});
    return seen;
  }

  const transformer& model_;
  std::vector<const dense*> linears_;
  std::span<const std::uint32_t> ids_;
  std::size_t threads_;
  const calibration_wishes& wishes_;
  std::vector<observers> all_;
  std::vector<zeropoint::gram_matrix> gram_;
  std::size_t tokens_ = 0;
};

}  // namespace

const zeropoint::value_range& input_ranges::of(range_rule rule) const noexcept {
  switch (rule) {
    case range_rule::min_max:
      return min_max;
    case range_rule::percentile:
      return percentile;
    case range_rule::mse:
      return mse;
    case range_rule::entropy:
      break;
  }
  return entropy;
}

input_ranges ranges_of(const zeropoint::distribution& seen) {
  return {seen.range(), zeropoint::percentile(99.9, seen).range(),
          zeropoint::mse_range({}, seen).range(), zeropoint::entropy_range(8, seen).range()};
}

double calibration::channel_ratio(std::size_t layer) const {
  std::vector<float> sorted = channel_absmax[layer];
  std::sort(sorted.begin(), sorted.end());
  const float median = sorted[sorted.size() / 2];
  return median > 0 ? static_cast<double>(sorted.back()) / static_cast<double>(median) : 0.0;
}

void calibration::merge(const calibration& other) {
  ZP_REQUIRE(other.values.size() == values.size(), "calibration: merge of ", values.size(),
             " with ", other.values.size(), " layers");
  for (std::size_t l = 0; l < values.size(); ++l) {
    auto& maxima = channel_absmax[l];
    const auto& more = other.channel_absmax[l];
    ZP_REQUIRE(more.size() == maxima.size(), "calibration: merge of ", maxima.size(), " with ",
               more.size(), " inputs of layer ", l);
    for (std::size_t j = 0; j < maxima.size(); ++j) maxima[j] = std::max(maxima[j], more[j]);
    values[l].merge(other.values[l]);
    ranges[l] = ranges_of(values[l]);
  }
  gram.clear();
  means.clear();
  tokens += other.tokens;
}

calibration calibrate(const transformer& model, std::span<const std::uint32_t> ids,
                      std::span<const window> windows, std::size_t threads,
                      const calibration_wishes& wishes,
                      const std::function<void(std::size_t)>& report) {
  calibrator c(model, ids, std::max<std::size_t>(threads, 1), wishes);
  c.run(windows, report);
  return std::move(c).result();
}

std::vector<matrix> sample_inputs(const transformer& model, std::span<const std::uint32_t> ids,
                                  std::span<const window> windows, std::size_t tokens) {
  const auto linears = model.linears();
  std::vector<matrix> all(linears.size()), x(linears.size()), y(linears.size());
  linear_set layers;
  for (std::size_t i = 0; i < linears.size(); ++i) {
    layers.push_back(std::make_unique<recorded_linear>(*linears[i], x[i], y[i]));
  }
  std::size_t seen = 0;
  for (const window& w : windows) {
    if (seen >= tokens) break;
    workspace scratch(model.config, w.size);
    std::vector<float> hidden(w.size * model.config.embed_width);
    forward(model, layers, ids.subspan(w.first, w.size), scratch,
            {hidden.data(), w.size, model.config.embed_width});
    for (std::size_t i = 0; i < all.size(); ++i) {
      all[i].values.insert(all[i].values.end(), x[i].values.begin(), x[i].values.end());
      all[i].rows += x[i].rows, all[i].cols = x[i].cols;
    }
    seen += w.size;
  }
  return all;
}

}  // namespace lab
