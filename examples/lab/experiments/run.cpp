// A study per model: load, calibrate, measure; then the same for the planted twin.
#include <lab/experiments/parity.hpp>
#include <lab/experiments/quantized_checkpoint.hpp>
#include <lab/experiments/run.hpp>
#include <lab/io/progress.hpp>

#include <algorithm>
#include <limits>

namespace lab {

namespace {

constexpr std::size_t parity_tokens = 64;  // twins are slow: about one product per nanosecond

class runner {
 public:
  runner(const perplexity_options& o, const std::function<void(const study&)>& done,
         const std::function<void(const std::string&)>& note)
      : options_(o), done_(done), note_(note) {}

  study measured(const workload& w) const {
    study s = w.description;
    if (!w.stored.empty()) return measured_as_stored(w);
    scheme_maker maker = w.maker(options_.schemes);
    if (w.calibrated()) {
      const auto linears = w.model.linears();
      for (std::size_t i = 0; i < linears.size(); ++i) {
        const double ratio = maker.natural().channel_ratio(i);
        if (ratio < s.outlier_ratio && i > 0) continue;
        s.outlier_ratio = ratio;
        s.outlier_layer = linears[i]->name;
      }
    }
    std::vector<scheme_layers> schemes;
    for (const scheme_name& name : options_.schemes) schemes.push_back(maker.make(name));
    if (options_.check_parity) check(w, maker);
    measure_rows(s, w, schemes);
    if (done_) done_(s);
    return s;
  }

 private:
  /// The one row of a quantized checkpoint. It is measured beside the floats that its codes stand
  /// for, so that its loss has the bits that it has beside the float model; there is none to compare
  /// with, so delta, KL and top-1 stay open.
  study measured_as_stored(const workload& w) const {
    study s = w.description;
    measure_rows(s, w, w.stored);
    s.rows.erase(s.rows.begin());
    measurement& m = s.rows.front();
    m.delta = m.delta_se = m.kl = m.top1 = std::numeric_limits<double>::quiet_NaN();
    if (done_) done_(s);
    return s;
  }
  void measure_rows(study& s, const workload& w, const std::vector<scheme_layers>& schemes) const {
    progress shown(s.model + ", " + s.variant, w.windows.size() * schemes.size());
    s.rows = measure(w.model, schemes, w.ids, w.windows, options_.threads,
                     [&](std::size_t n) { shown.at(n); });
    for (measurement& m : s.rows) {
      m.model = s.model;
      m.variant = s.variant;
    }
  }

  /// On layers of its own: those that are measured count what they clip.
  void check(const workload& w, scheme_maker& maker) const {
    const std::size_t tokens = std::min(parity_tokens, w.windows[0].size);
    for (const scheme_name& name : options_.schemes) {
      const scheme_layers own = maker.make(name);
      const auto checker = check_parity(w.model, own, std::span(w.ids).subspan(0, tokens));
      const std::string text = "parity of " + parity_text(name.text, checker);
      if (!checker.agrees()) throw std::runtime_error(text);
      if (note_ && checker.layers() > 0) note_(text);
    }
  }

  const perplexity_options& options_;
  const std::function<void(const study&)>& done_;
  const std::function<void(const std::string&)>& note_;
};

}  // namespace

std::vector<study> run_perplexity(const perplexity_options& o,
                                  const std::function<void(const study&)>& done,
                                  const std::function<void(const std::string&)>& note) {
  const bool any_float = std::any_of(o.models.begin(), o.models.end(), [&](const auto& folder) {
    return !o.quantized_too || !is_quantized(folder);
  });
  const bool calibrated =
      any_float && std::any_of(o.schemes.begin(), o.schemes.end(),
                               [](const scheme_name& n) { return n.needs_calibration(); });
  const workload_loader loader(o, calibrated);
  const runner r(o, done, note);
  std::vector<study> studies;
  for (const auto& folder : o.models) {
    workload w = loader.load(folder);
    studies.push_back(r.measured(w));
    if (!o.planted) continue;
    w.become(*o.planted);
    studies.push_back(r.measured(w));
  }
  return studies;
}

}  // namespace lab
