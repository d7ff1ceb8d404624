// Rows in batches, windows in parallel.
#include <lab/experiments/sweep.hpp>
#include <lab/models/parallel.hpp>

#include <algorithm>
#include <cmath>
#include <mutex>

namespace lab {

namespace {

class borrowed_linear final : public linear {
 public:
  explicit borrowed_linear(const linear& inner) : inner_(&inner) {}
  void apply(zeropoint::matrix_view<const float> x,
             zeropoint::matrix_view<float> y) const override {
    inner_->apply(x, y);
  }

 private:
  const linear* inner_;
};

/// Beside fp32.
constexpr std::size_t rows_at_once = 7;

window_sums sums_of(const measurement& m) {
  const auto n = static_cast<double>(m.tokens);
  window_sums sums;
  sums.loss = m.loss * n;
  sums.reference_loss = (m.loss - m.delta) * n;
  sums.kl = m.kl * n;
  sums.tokens = m.tokens;
  sums.agreeing = static_cast<std::size_t>(std::llround(m.top1 * n));
  return sums;
}

}  // namespace

scheme_layers borrowed(std::string name, std::size_t count,
                       const std::function<const linear*(std::size_t)>& layer) {
  scheme_layers s;
  s.name = std::move(name);
  for (std::size_t i = 0; i < count; ++i) {
    s.layers.push_back(std::make_unique<borrowed_linear>(*layer(i)));
  }
  return s;
}

std::vector<scheme_sums> measure_row_sums(const transformer& model, std::size_t count,
                                          const row_maker& row, const text_windows& text,
                                          std::size_t threads,
                                          const std::function<void(std::size_t)>& report) {
  const linear_set floats = float_linears(model);
  std::vector<scheme_sums> all;
  std::size_t done = 0;
  for (std::size_t first = 0; first == 0 || first < count; first += rows_at_once) {
    std::vector<scheme_layers> some;
    some.push_back(borrowed("fp32", floats.size(), [&](std::size_t i) { return floats[i].get(); }));
    for (std::size_t r = first; r < std::min(first + rows_at_once, count); ++r) {
      some.push_back(row(r));
    }
    const auto measured =
        measure_sums(model, some, text.ids, text.windows, threads, [&](std::size_t n) {
          if (report) report(done + n);
        });
    done += text.windows.size() * some.size();
    all.insert(all.end(), measured.begin() + (all.empty() ? 0 : 1), measured.end());
  }
  return all;
}

std::vector<measurement> measure_rows(const transformer& model, std::size_t count,
                                      const row_maker& row, const text_windows& text,
                                      std::size_t threads,
                                      const std::function<void(std::size_t)>& report) {
  return summarise_all(measure_row_sums(model, count, row, text, threads, report));
}

std::vector<std::vector<window_sums>> measure_windows(
    const transformer& model, std::size_t count, const row_maker& row, const text_windows& text,
    std::size_t threads, const std::function<void(std::size_t)>& report) {
  std::vector<std::vector<window_sums>> all(1 + count,
                                            std::vector<window_sums>(text.windows.size()));
  std::mutex guard;
  std::size_t done = 0;
  parallel_for(threads, text.windows.size(), [&](std::size_t w) {
    const text_windows one{text.ids, text.windows.subspan(w, 1)};
    const auto rows = measure_rows(model, count, row, one, 1);
    for (std::size_t r = 0; r < rows.size(); ++r) all[r][w] = sums_of(rows[r]);
    const std::lock_guard lock(guard);
    if (report) report(++done);
  });
  return all;
}

}  // namespace lab
