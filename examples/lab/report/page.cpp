// One measurement after another, and what has to be said beside them.
#include <lab/io/error.hpp>
#include <lab/io/progress.hpp>
#include <lab/io/text.hpp>
#include <lab/models/weights_hash.hpp>
#include <lab/report/page.hpp>
#include <zeropoint/version.hpp>

#include <algorithm>

namespace lab {

namespace {

/// The layers whose own output error is largest, in the middle, and smallest.
std::vector<layer_choice> telling_layers(const std::vector<layer_diagnosis>& layers) {
  std::vector<std::size_t> order(layers.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return layers[a].local.sqnr_db() < layers[b].local.sqnr_db();
  });
  std::vector<layer_choice> chosen;
  for (const std::size_t rank : {std::size_t{0}, order.size() / 2, order.size() - 1}) {
    const std::size_t i = order[rank];
    const auto same = [&](const layer_choice& c) { return c.layer == i; };
    if (std::any_of(chosen.begin(), chosen.end(), same)) continue;
    chosen.push_back({i, layers[i].shape.outlier_channels(layers[i].in)});
  }
  return chosen;
}

class gatherer {
 public:
  gatherer(const workload& w, const page_wishes& wishes)
      : w_(w), wishes_(wishes), names_(wishes.schemes), maker_(w.maker(with_examined())) {
    const std::size_t each = std::max<std::size_t>(w.description.protocol.window, 1);
    const std::size_t n = std::max<std::size_t>(wishes.examined_tokens / each, 1);
    windows_ = std::span(w.windows).first(std::min(n, w.windows.size()));
    page_.diagnosis = {w.description, wishes.scheme.text, {}, {}};
    page_.examined_windows = windows_.size();
    for (const window& one : windows_) page_.examined_tokens += one.size;
  }

  page result() && {
    measure_rows();
    examine();
    sensitivity();
    attribution();
    ranges();
    page_.weights_hash = weights_hash(w_.model);
    page_.version = std::to_string(ZP_VERSION_MAJOR) + "." + std::to_string(ZP_VERSION_MINOR) +
                    "." + std::to_string(ZP_VERSION_PATCH);
#if defined(__clang__)
    page_.compiler = "Clang " __clang_version__;
#elif defined(__GNUC__)
    page_.compiler = "GCC " __VERSION__;
#endif
    return std::move(page_);
  }

 private:
  const std::vector<scheme_name>& with_examined() {
    const auto same = [&](const scheme_name& n) { return n.text == wishes_.scheme.text; };
    if (std::none_of(names_.begin(), names_.end(), same)) names_.push_back(wishes_.scheme);
    return names_;
  }

  void measure_rows() {
    std::vector<scheme_layers> schemes;
    for (const scheme_name& name : names_) schemes.push_back(maker_.make(name));
    lab::study& s = page_.diagnosis.study;
    progress shown("measure " + s.model, w_.windows.size() * schemes.size());
    s.rows = measure(w_.model, schemes, w_.ids, w_.windows, wishes_.threads,
                     [&](std::size_t n) { shown.at(n); });
    for (measurement& m : s.rows) {
      m.model = s.model;
      m.variant = s.variant;
    }
  }

  void examine() {
    const scheme_layers scheme = maker_.make(wishes_.scheme);
    progress shown("diagnose " + wishes_.scheme.text, 2 * windows_.size());
    page_.diagnosis.layers = diagnose(w_.model, scheme, w_.ids, windows_, wishes_.threads,
                                      [&](std::size_t n) { shown.at(n); });
    const scheme_layers fresh = maker_.make(wishes_.scheme);  // watched layers change
    page_.distributions =
        distributions(w_.model, wishes_.scheme, fresh, telling_layers(page_.diagnosis.layers),
                      w_.ids, windows_, wishes_.threads);
    const auto nothing = [](const layer_distribution& d) {
      return d.weights.empty() && d.inputs.empty();
    };
    std::erase_if(page_.distributions, nothing);
  }

  void sensitivity() {
    const scheme_layers scheme = maker_.make(wishes_.scheme);
    if (scheme.ordered) {
      page_.notes.emplace_back(
          "No sensitivity of single layers: watched layers change with what they see.");
      return;
    }
    // Every seventh row is followed by the reference once more.
    progress shown("sensitivity", windows_.size() * (2 * scheme.layers.size() + 8));
    page_.diagnosis.sensitivity = measure_sensitivity(
        w_.model, scheme, w_.ids, windows_, wishes_.threads, [&](std::size_t n) { shown.at(n); });
  }

  /// On the calibration text, and the same number of windows as everything else.
  void attribution() {
    const bool apart = !w_.seen_windows.empty();
    const std::span<const window> all = apart ? w_.seen_windows : w_.windows;
    const auto windows = all.first(std::min(windows_.size(), all.size()));
    const lab::protocol& how = page_.study().protocol;
    try {
      progress shown("attribute " + wishes_.scheme.text, windows.size());
      page_.attribution = attribute(
          w_.model, maker_.make(wishes_.scheme), apart ? w_.seen : w_.ids, windows, wishes_.threads,
          [&](std::size_t n) { shown.at(n); }, page_.attributed);
      page_.attribution_windows = windows.size();
      page_.attribution_text = apart ? how.calibration : how.text;
    } catch (const input_error& problem) {
      page_.notes.emplace_back(std::string("No ") + problem.what() + ".");
    }
  }

  void ranges() {
    if (!w_.calibrated()) return;
    const calibration& seen = maker_.natural();
    const auto linears = w_.model.linears();
    for (std::size_t i = 0; i < linears.size(); ++i) {
      page_.ranges.push_back(
          {linears[i]->name, seen.ranges[i], page_.diagnosis.layers[i].shape.largest_token});
    }
  }

  const workload& w_;
  const page_wishes& wishes_;
  std::vector<scheme_name> names_;
  scheme_maker maker_;
  std::span<const window> windows_;
  page page_;
};

}  // namespace

const measurement& page::examined() const {
  const measurement* row = study().row(diagnosis.scheme);
  return row != nullptr ? *row : study().rows.front();
}

page make_page(const workload& w, const page_wishes& wishes) {
  return gatherer(w, wishes).result();
}

}  // namespace lab
