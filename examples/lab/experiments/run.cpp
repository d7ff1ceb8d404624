// Files to studies: load, tokenize, calibrate, measure; then the same for the planted twin.
#include <lab/experiments/parity.hpp>
#include <lab/experiments/run.hpp>
#include <lab/experiments/schemes.hpp>
#include <lab/io/progress.hpp>
#include <lab/io/text.hpp>
#include <lab/io/tokenizer.hpp>
#include <lab/models/float_kernels.hpp>
#include <lab/models/load.hpp>
#include <zeropoint/kernels/registry.hpp>

#include <algorithm>

namespace lab {

namespace {

constexpr std::size_t parity_tokens = 64;  // twins are slow: about one product per nanosecond

struct document {
  std::string name, bytes, joined;
};

document read_document(const std::filesystem::path& path, bool join) {
  document d{path.filename().string(), read_text(path), {}};
  d.joined = join ? join_lines_as_huggingface(d.bytes) : d.bytes;
  return d;
}

/// Ids with the BOS that the model expects, at most `limit` of them (0: all).
std::vector<std::uint32_t> encode(const tokenizer& tokens, const transformer& model,
                                  const document& d, std::size_t limit) {
  progress shown("tokenize " + d.name, d.joined.size());
  auto ids =
      tokens.encode(d.joined, special_tokens::as_text, [&](std::size_t bytes) { shown.at(bytes); });
  if (const auto bos = tokens.leading_bos()) ids.insert(ids.begin(), *bos);
  if (limit > 0 && ids.size() > limit) ids.resize(limit);
  for (const std::uint32_t id : ids) {
    if (id < model.config.vocab) continue;
    throw input_error("the tokenizer gives id " + std::to_string(id) + ", but the model has " +
                      std::to_string(model.config.vocab) + " tokens: they do not belong together");
  }
  return ids;
}

std::string folder_name(const std::filesystem::path& path) {
  const auto full = std::filesystem::absolute(path).lexically_normal();
  return full.has_filename() ? full.filename().string() : full.parent_path().filename().string();
}

class runner {
 public:
  runner(const perplexity_options& o, const std::function<void(const study&)>& done,
         const std::function<void(const std::string&)>& note)
      : options_(o), done_(done), note_(note), text_(read_document(o.text, o.join_lines)) {
    calibrated_ = std::any_of(o.schemes.begin(), o.schemes.end(),
                              [](const scheme_name& n) { return n.needs_calibration(); });
    if (calibrated_) calibration_ = read_document(o.calibration, o.join_lines);
  }

  void run(const std::filesystem::path& folder, std::vector<study>& studies) {
    transformer model = load_model(folder);
    if (options_.planted) {  // refuse before an hour of work
      transformer twin = model;
      apply_plant(twin, *options_.planted);
    }
    const tokenizer tokens(folder);
    study s = describe(model, folder);
    s.protocol.bos = tokens.leading_bos();
    const auto ids = encode(tokens, model, text_, options_.max_tokens);
    const auto windows = cut(options_.rule, ids.size(), s.protocol.window, s.protocol.stride);
    if (windows.empty()) {
      throw input_error(text_.name + ": " + std::to_string(ids.size()) +
                        " tokens are less than one window of " + std::to_string(s.protocol.window));
    }
    s.protocol.ids_hash = ids_hash(ids);
    s.protocol.windows = windows.size();
    for (const window& w : windows) s.protocol.scored += w.scored;
    std::vector<std::uint32_t> seen;
    std::vector<window> seen_windows;
    if (calibrated_) {
      seen = encode(tokens, model, calibration_,
                    std::max(options_.calibration_tokens, s.protocol.window));
      seen_windows = cut(window_rule::chunk, seen.size(), s.protocol.window, s.protocol.window);
      if (seen_windows.empty()) {
        throw input_error(calibration_.name + ": " + std::to_string(seen.size()) +
                          " tokens are less than one window of " +
                          std::to_string(s.protocol.window));
      }
      s.protocol.calibration = calibration_.name;
      s.protocol.calibration_tokens = seen_windows.size() * s.protocol.window;
    }
    s.variant = "natural";
    fill(s, model, ids, windows, seen, seen_windows);
    studies.push_back(s);
    if (!options_.planted) return;
    apply_plant(model, *options_.planted);
    s.variant = "planted " + options_.planted->text();
    s.planted = planted_channels(model.config.width, options_.planted->channels);
    fill(s, model, ids, windows, seen, seen_windows);
    studies.push_back(s);
  }

 private:
  study describe(const transformer& model, const std::filesystem::path& folder) const {
    study s;
    s.model = folder_name(folder);
    s.family = name(model.config.family);
    s.parameters = model.parameters();
    s.linear_parameters = model.linear_parameters();
    s.linears = model.linears().size();
    s.float_kernels = best_float_kernels().name;
    s.integer_kernel = zeropoint::kernels::best().name;
    s.threads = options_.threads;
    lab::protocol& p = s.protocol;
    p.rule = options_.rule;
    p.window = options_.window == 0 ? model.config.positions : options_.window;
    if (p.window > model.config.positions) {
      throw input_error("--window " + std::to_string(p.window) + ": " + s.model + " has " +
                        std::to_string(model.config.positions) + " positions");
    }
    p.stride = options_.rule == window_rule::chunk ? p.window
               : options_.stride == 0              ? std::max<std::size_t>(1, p.window / 2)
                                                   : options_.stride;
    p.text = text_.name;
    p.joined = options_.join_lines;
    p.text_hash = text_hash(text_.bytes);
    return s;
  }

  void fill(study& s, const transformer& model, std::span<const std::uint32_t> ids,
            std::span<const window> windows, std::span<const std::uint32_t> seen,
            std::span<const window> seen_windows) {
    const std::string what = s.model + ", " + s.variant;
    std::unique_ptr<progress> shown_calibration;
    scheme_maker maker(model, options_.schemes, seen, seen_windows, options_.threads,
                       [&](std::size_t n) {
                         if (!shown_calibration) {
                           shown_calibration =
                               std::make_unique<progress>("calibrate " + what, seen_windows.size());
                         }
                         shown_calibration->at(n);
                         if (n >= seen_windows.size()) shown_calibration.reset();
                       });
    if (calibrated_) {
      const auto& ratios = maker.natural().channel_ratio;
      const auto worst = std::max_element(ratios.begin(), ratios.end());
      s.outlier_ratio = *worst;
      s.outlier_layer = model.linears()[static_cast<std::size_t>(worst - ratios.begin())]->name;
    }
    std::vector<scheme_layers> schemes;
    for (const scheme_name& name : options_.schemes) schemes.push_back(maker.make(name));
    if (options_.check_parity) check(model, maker, ids.subspan(0, windows[0].size));
    progress shown(what, windows.size() * schemes.size());
    s.rows = measure(model, schemes, ids, windows, options_.threads,
                     [&](std::size_t n) { shown.at(n); });
    for (measurement& m : s.rows) {
      m.model = s.model;
      m.variant = s.variant;
    }
    if (done_) done_(s);
  }

  /// On layers of its own: those that are measured count what they clip.
  void check(const transformer& model, scheme_maker& maker, std::span<const std::uint32_t> window) {
    for (const scheme_name& name : options_.schemes) {
      const scheme_layers own = maker.make(name);
      const auto checker =
          check_parity(model, own, window.subspan(0, std::min(parity_tokens, window.size())));
      const std::string text = "parity of " + parity_text(name.text, checker);
      if (!checker.agrees()) throw std::runtime_error(text);
      if (note_ && checker.layers() > 0) note_(text);
    }
  }

  const perplexity_options& options_;
  const std::function<void(const study&)>& done_;
  const std::function<void(const std::string&)>& note_;
  document text_, calibration_;
  bool calibrated_ = false;
};

}  // namespace

std::vector<study> run_perplexity(const perplexity_options& o,
                                  const std::function<void(const study&)>& done,
                                  const std::function<void(const std::string&)>& note) {
  std::vector<study> studies;
  runner r(o, done, note);
  for (const auto& folder : o.models) r.run(folder, studies);
  return studies;
}

}  // namespace lab
