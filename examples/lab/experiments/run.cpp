// A study per model: load, calibrate, measure; then the same for the planted twin.
#include <lab/experiments/parity.hpp>
#include <lab/experiments/quantized_checkpoint.hpp>
#include <lab/experiments/run.hpp>
#include <lab/io/progress.hpp>
#include <lab/io/text.hpp>
#include <lab/models/weights_hash.hpp>

#include <algorithm>

namespace lab {

namespace {

constexpr std::size_t parity_tokens = 64;  // twins are slow: about one product per nanosecond

class runner {
 public:
  runner(const perplexity_options& o, const shard& part,
         const std::function<void(const std::string&)>& note)
      : options_(o), part_(part), note_(note) {}

  /// The windows of this shard under every scheme.
  shard_study measured(const workload& w) const {
    shard_study s;
    s.description = w.description;
    if (!w.stored.empty()) {
      s.stored = true;
      s.schemes = sums_of(w, w.stored);
      return s;
    }
    scheme_maker maker = w.maker(options_.schemes);
    if (w.calibrated()) find_outliers(s.description, w.model, maker.natural());
    std::vector<scheme_layers> schemes;
    for (const scheme_name& name : options_.schemes) schemes.push_back(maker.make(name));
    if (options_.check_parity) check(w, maker);
    s.schemes = sums_of(w, schemes);
    return s;
  }

 private:
  static void find_outliers(study& s, const transformer& model, const calibration& seen) {
    const auto linears = model.linears();
    for (std::size_t i = 0; i < linears.size(); ++i) {
      const double ratio = seen.channel_ratio(i);
      if (ratio < s.outlier_ratio && i > 0) continue;
      s.outlier_ratio = ratio;
      s.outlier_layer = linears[i]->name;
    }
  }

  std::vector<scheme_sums> sums_of(const workload& w,
                                   const std::vector<scheme_layers>& schemes) const {
    const auto windows = part_.deal(w.windows);
    progress shown(w.description.model + ", " + w.description.variant,
                   windows.size() * schemes.size());
    return measure_sums(w.model, schemes, w.ids, windows, options_.threads,
                        [&](std::size_t n) { shown.at(n); });
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
  const shard& part_;
  const std::function<void(const std::string&)>& note_;
};

/// f(workload) for every model and, when there is a plant, for its twin.
template <class F>
void for_each_workload(const perplexity_options& o, F&& f) {
  const bool any_float = std::any_of(o.models.begin(), o.models.end(), [&](const auto& folder) {
    return !o.quantized_too || !is_quantized(folder);
  });
  const bool calibrated =
      any_float && std::any_of(o.schemes.begin(), o.schemes.end(),
                               [](const scheme_name& n) { return n.needs_calibration(); });
  const workload_loader loader(o, calibrated);
  for (const auto& folder : o.models) {
    workload w = loader.load(folder);
    f(w);
    if (!o.planted) continue;
    w.become(*o.planted);
    f(w);
  }
}

}  // namespace

std::vector<study> run_perplexity(const perplexity_options& o,
                                  const std::function<void(const study&)>& done,
                                  const std::function<void(const std::string&)>& note) {
  const shard whole;
  const runner r(o, whole, note);
  std::vector<study> studies;
  for_each_workload(o, [&](const workload& w) {
    studies.push_back(r.measured(w).complete());
    if (done) done(studies.back());
  });
  return studies;
}

void identify(shard_study& s, const workload& w) {
  s.weights = text_hash(weights_hash(w.model) + identity(w.model.config));
  if (!w.stored_ranges.empty()) {  // of a static quantized checkpoint
    s.calibration = text_hash({reinterpret_cast<const char*>(w.stored_ranges.data()),
                               w.stored_ranges.size() * sizeof(zeropoint::value_range)});
  } else if (w.calibrated()) {
    s.calibration = w.table ? text_hash(json_of(*w.table)) : ids_hash(w.seen);
  }
}

shard_file run_shard(const perplexity_options& o, const shard& part,
                     const std::function<void(const std::string&)>& note) {
  for (const scheme_name& n : o.schemes) {
    if (!n.watched) continue;
    throw input_error("--shard: " + n.text +
                      " changes with what it has seen; its windows have to stay together");
  }
  const runner r(o, part, note);
  shard_file file{part, {}};
  for_each_workload(o, [&](const workload& w) {
    file.studies.push_back(r.measured(w));
    identify(file.studies.back(), w);
  });
  return file;
}

}  // namespace lab
