// Sensitivity, attribution and ranges, and what it takes to repeat the measurement.
#include <lab/report/content_parts.hpp>

#include <algorithm>

namespace lab {

namespace {

float absmax(const zeropoint::value_range& r) {
  return std::max(-r.min, r.max);
}

}  // namespace

section sensitivity_section(const page& p) {
  section s{"sensitivity", {"What each layer costs"}, {}, {}};
  s.text.push_back(
      {"Loss with one layer under ", named(p.diagnosis.scheme),
       " and all others float (alone), and the reverse (all but this one). What a layer costs "
       "alone says which to cure first; where all but one is much better than the whole scheme, "
       "curing that one pays by itself."});
  table t{"Sensitivity",
          {{"layer", cell_kind::name},
           {"alone", cell_kind::number},
           {"std. error", cell_kind::number},
           {"KL", cell_kind::number},
           {"all but this", cell_kind::number},
           {"std. error", cell_kind::number},
           {"KL", cell_kind::number}},
          {}};
  t.folded = true;
  const auto& rows = p.diagnosis.sensitivity;
  const std::size_t L = p.diagnosis.layers.size();
  const auto cells = [](const measurement& m) {
    return std::vector<std::string>{signed_fixed(m.delta, 5), fixed(m.delta_se, 5),
                                    fixed(std::max(0.0, m.kl), 6)};
  };
  for (std::size_t i = 0; i < L; ++i) {
    std::vector<std::string> row = {p.diagnosis.layers[i].name};
    for (const measurement* m : {&rows[1 + i], &rows[1 + L + i]}) {
      for (std::string& cell : cells(*m)) row.push_back(std::move(cell));
    }
    t.rows.push_back(std::move(row));
  }
  std::vector<std::string> all = {"all layers", "-", "-", "-"};
  for (std::string& cell : cells(rows.back())) all.push_back(std::move(cell));
  t.rows.push_back(std::move(all));
  s.tables.push_back(std::move(t));
  return s;
}

section attribution_section(const page& p) {
  section s{"attribution", {"Where the damage comes from"}, {}, {}};
  s.text.push_back(
      {"The predicted cost of each layer alone, split over its four errors: rounding "
       "and clipping of weights and of inputs. Predicted from gradients of the float "
       "model in " +
           grouped(p.attribution_windows) + " windows of ",
       named(p.attribution_text), ", without running ", named(p.diagnosis.scheme),
       "; to second order, so that it fails where the damage is large. The measured "
       "KL of each layer alone, on the examined text, stands beside it as the "
       "check."});
  std::array<double, error_sources> sums{};
  double all = 0;
  for (const layer_attribution& a : p.attribution) {
    for (std::size_t k = 0; k < error_sources; ++k) sums[k] += a.kl[k].mean;
    all += a.total_kl.mean;
  }
  std::string shares;
  for (std::size_t k = 0; k < error_sources && all > 0; ++k) {
    shares += (k > 0 ? ", " : "") + std::string(name(static_cast<error_source>(k))) +
              format(" %.1f %%", 100 * sums[k] / all);
  }
  if (!shares.empty()) s.text.push_back({"Over all layers: " + shares + "."});
  table t{"KL by source, nats per token", {{"layer", cell_kind::name}}, {}};
  for (std::size_t k = 0; k < error_sources; ++k) {
    t.columns.emplace_back(std::string(name(static_cast<error_source>(k))), cell_kind::number);
    t.columns.emplace_back("std. error", cell_kind::number);
  }
  for (const char* title : {"predicted", "std. error", "measured"}) {
    t.columns.emplace_back(title, cell_kind::number);
  }
  t.folded = true;
  for (std::size_t i = 0; i < p.attribution.size(); ++i) {
    const layer_attribution& a = p.attribution[i];
    std::vector<std::string> row = {a.name};
    for (const estimate& e : a.kl) {
      row.push_back(fixed(e.mean, 6));
      row.push_back(fixed(e.se, 6));
    }
    row.push_back(fixed(a.total_kl.mean, 6));
    row.push_back(fixed(a.total_kl.se, 6));
    const auto& measured = p.diagnosis.sensitivity;
    row.push_back(measured.empty() ? "-" : fixed(std::max(0.0, measured[1 + i].kl), 6));
    t.rows.push_back(std::move(row));
  }
  s.tables.push_back(std::move(t));
  return s;
}

section ranges_section(const page& p) {
  section s{"ranges", {"Calibration ranges"}, {}, {}};
  s.text.push_back(
      {"What the float model's inputs spanned on the calibration text, the ranges that each rule "
       "makes of it, and the largest |x| on the examined text",
       p.diagnosis.scheme.find("smooth") != std::string::npos   ? " (there smoothed)."
       : p.diagnosis.scheme.find("rotate") != std::string::npos ? " (there with the norms folded, "
                                                                  "before rotation)."
                                                                : "."});
  table t{"Ranges",
          {{"layer", cell_kind::name},
           {"smallest", cell_kind::number},
           {"largest", cell_kind::number},
           {"99.9 %", cell_kind::number},
           {"MSE", cell_kind::number},
           {"entropy", cell_kind::number},
           {"largest |x| examined", cell_kind::number}},
          {}};
  t.folded = true;
  const auto real = [](float x) { return format("%.5g", static_cast<double>(x)); };
  for (const layer_range& r : p.ranges) {
    const input_ranges& c = r.calibrated;
    t.rows.push_back({r.name, real(c.min_max.min), real(c.min_max.max), real(c.percentile.max),
                      real(absmax(c.mse)), real(absmax(c.entropy)), format("%.5g", r.seen_absmax)});
  }
  s.tables.push_back(std::move(t));
  return s;
}

section protocol_section(const page& p) {
  section s{"protocol", {"To repeat it"}, {}, {}};
  const lab::study& st = p.study();
  const lab::protocol& how = st.protocol;
  s.text.push_back(
      {"Numbers depend on the model, the texts, the protocol and the kind of float kernels; not on "
       "the number of threads, nor on the integer kernel."});
  table t{"Protocol", {{"what", cell_kind::text}, {"value", cell_kind::name}}, {}};
  const auto row = [&](const char* what, std::string value) {
    t.rows.push_back({what, std::move(value)});
  };
  row("command", p.command);
  row("zeropoint", p.version);
  row("compiler", p.compiler);
  row("float kernels", st.float_kernels);
  row("integer kernel", st.integer_kernel);
  row("threads", std::to_string(st.threads));
  row("model", st.model + ", " + st.variant);
  row("weights, FNV-1a 64", p.weights_hash);
  row("text", how.text + (how.joined ? ", lines joined as the HuggingFace dataset does" : ""));
  row("text, FNV-1a 64", how.text_hash);
  row("ids, FNV-1a 64", how.ids_hash);
  row("protocol", std::string(name(how.rule)) + ", window " + std::to_string(how.window) +
                      ", stride " + std::to_string(how.stride) +
                      (how.bos ? ", BOS " + std::to_string(*how.bos) + " once" : ", no BOS"));
  row("scored", grouped(how.scored) + " tokens in " + grouped(how.windows) + " windows");
  row("examined", grouped(p.examined_tokens) + " tokens in " + grouped(p.examined_windows) +
                      " windows: the first of the same text");
  if (how.calibration_tokens > 0) {
    row("calibration", calibration_of(how));
  }
  if (!p.attribution.empty()) {
    row("attribution", p.attribution_text + ", " + grouped(p.attribution_windows) + " windows, " +
                           std::to_string(p.attributed.samples) + " draws of labels each");
  }
  if (!st.planted.empty()) {
    std::string channels;
    for (const std::size_t j : st.planted)
      channels += (channels.empty() ? "" : ", ") + std::to_string(j);
    row("planted channels", channels);
  }
  row("seeds", p.attribution.empty()
                   ? "none: nothing here is drawn at random"
                   : "labels of window i: " + std::to_string(p.attributed.seed) + " + i");
  s.tables.push_back(std::move(t));
  return s;
}

}  // namespace lab
