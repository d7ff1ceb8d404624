// The float model over calibration windows, with observers in front of its linear layers.
#include <lab/experiments/calibration.hpp>
#include <lab/models/parallel.hpp>
#include <zeropoint/math/observer.hpp>

namespace lab {

using zeropoint::matrix_view;

namespace {

struct observers {
  zeropoint::min_max all;
  zeropoint::percentile most{99.9};
};

class observed_linear final : public linear {
 public:
  observed_linear(const dense& d, observers& seen) : inner_(d), seen_(&seen) {}
  void apply(matrix_view<const float> x, matrix_view<float> y) const override {
    seen_->all.observe(x);
    seen_->most.observe(x);
    inner_.apply(x, y);
  }

 private:
  float_linear inner_;
  observers* seen_;
};

std::vector<observers> observe_window(const transformer& model,
                                      std::span<const std::uint32_t> ids) {
  const auto linears = model.linears();
  std::vector<observers> seen(linears.size());
  linear_set layers;
  for (std::size_t i = 0; i < linears.size(); ++i) {
    layers.push_back(std::make_unique<observed_linear>(*linears[i], seen[i]));
  }
  workspace scratch(model.config, ids.size());
  std::vector<float> hidden(ids.size() * model.config.embed_width);
  forward(model, layers, ids, scratch, {hidden.data(), ids.size(), model.config.embed_width});
  return seen;
}

}  // namespace

calibration calibrate(const transformer& model, std::span<const std::uint32_t> ids,
                      std::span<const window> windows, std::size_t threads,
                      const std::function<void(std::size_t)>& report) {
  const std::size_t layers = model.linears().size();
  std::vector<observers> all(layers);
  calibration result;
  for (std::size_t first = 0; first < windows.size(); first += threads) {
    const std::size_t count = std::min(threads, windows.size() - first);
    std::vector<std::vector<observers>> parts(count);
    parallel_for(threads, count, [&](std::size_t i) {
      const window& w = windows[first + i];
      parts[i] = observe_window(model, ids.subspan(w.first, w.size));
    });
    for (std::size_t i = 0; i < count; ++i) {
      result.tokens += windows[first + i].size;
      for (std::size_t l = 0; l < layers; ++l) {
        all[l].all.merge(parts[i][l].all);
        all[l].most.merge(parts[i][l].most);
      }
    }
    if (report) report(first + count);
  }
  for (const observers& o : all) {
    result.min_max.push_back(o.all.range());
    result.percentile.push_back(o.most.range());
  }
  return result;
}

}  // namespace lab
