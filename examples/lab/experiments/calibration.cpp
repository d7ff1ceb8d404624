// The float model over calibration windows, with observers in front of its linear layers.
#include <lab/experiments/calibration.hpp>
#include <lab/models/parallel.hpp>
#include <zeropoint/math/observer.hpp>

#include <algorithm>

namespace lab {

using zeropoint::matrix_view;

namespace {

struct observers {
  explicit observers(const dense& d) : channels(d.in) {}
  zeropoint::min_max all;
  zeropoint::percentile most{99.9};
  zeropoint::column_absmax channels;
};

std::vector<observers> observers_of(const transformer& model) {
  std::vector<observers> all;
  for (const dense* d : model.linears()) all.emplace_back(*d);
  return all;
}

double ratio_of(std::span<const float> maxima) {
  std::vector<float> sorted(maxima.begin(), maxima.end());
  std::sort(sorted.begin(), sorted.end());
  const float median = sorted[sorted.size() / 2];
  return median > 0 ? static_cast<double>(sorted.back()) / static_cast<double>(median) : 0.0;
}

class observed_linear final : public linear {
 public:
  observed_linear(const dense& d, observers& seen, const input_change& change)
      : inner_(d), seen_(&seen), change_(&change) {}
  void apply(matrix_view<const float> x, matrix_view<float> y) const override {
    if (*change_) {
      std::vector<float> changed(x.size());
      for (std::size_t t = 0; t < x.rows(); ++t) {
        std::copy_n(x.row(t).data(), x.cols(), changed.data() + t * x.cols());
      }
      (*change_)({changed.data(), x.rows(), x.cols()});
      observe({changed.data(), x.rows(), x.cols()});
    } else {
      observe(x);
    }
    inner_.apply(x, y);
  }

 private:
  void observe(matrix_view<const float> x) const {
    seen_->all.observe(x);
    seen_->most.observe(x);
    seen_->channels.observe(x);
  }

  float_linear inner_;
  observers* seen_;
  const input_change* change_;
};

std::vector<observers> observe_window(const transformer& model, std::span<const std::uint32_t> ids,
                                      const input_change& change) {
  const auto linears = model.linears();
  std::vector<observers> seen = observers_of(model);
  linear_set layers;
  for (std::size_t i = 0; i < linears.size(); ++i) {
    layers.push_back(std::make_unique<observed_linear>(*linears[i], seen[i], change));
  }
  workspace scratch(model.config, ids.size());
  std::vector<float> hidden(ids.size() * model.config.embed_width);
  forward(model, layers, ids, scratch, {hidden.data(), ids.size(), model.config.embed_width});
  return seen;
}

}  // namespace

calibration calibrate(const transformer& model, std::span<const std::uint32_t> ids,
                      std::span<const window> windows, std::size_t threads,
                      const std::function<void(std::size_t)>& report, const input_change& change) {
  std::vector<observers> all = observers_of(model);
  calibration result;
  for (std::size_t first = 0; first < windows.size(); first += threads) {
    const std::size_t count = std::min(threads, windows.size() - first);
    std::vector<std::vector<observers>> parts(count);
    parallel_for(threads, count, [&](std::size_t i) {
      const window& w = windows[first + i];
      parts[i] = observe_window(model, ids.subspan(w.first, w.size), change);
    });
    for (std::size_t i = 0; i < count; ++i) {
      result.tokens += windows[first + i].size;
      for (std::size_t l = 0; l < all.size(); ++l) {
        all[l].all.merge(parts[i][l].all);
        all[l].most.merge(parts[i][l].most);
        all[l].channels.merge(parts[i][l].channels);
      }
    }
    if (report) report(first + count);
  }
  for (const observers& o : all) {
    result.min_max.push_back(o.all.range());
    result.percentile.push_back(o.most.range());
    const auto maxima = o.channels.maxima();
    result.channel_absmax.emplace_back(maxima.begin(), maxima.end());
    result.channel_ratio.push_back(ratio_of(maxima));
  }
  return result;
}

}  // namespace lab
