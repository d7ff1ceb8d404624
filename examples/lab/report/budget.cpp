// Two tables and a verdict.
#include <lab/report/budget.hpp>
#include <lab/report/format.hpp>
#include <lab/report/json.hpp>

#include <algorithm>
#include <cmath>

namespace lab {

namespace {

std::string with_error(const estimate& e, bool sign = false) {
  const std::string mean = sign ? format("%+.6f", e.mean) : format("%.6f", e.mean);
  return mean + (std::isfinite(e.se) ? format(" +- %.6f", e.se) : "");
}

/// "-" with a single window.
std::string error_cell(const estimate& e) {
  return std::isfinite(e.se) ? format("%10.6f", e.se) : format("%10s", "-");
}

std::string limit_text(const budget_study& b) {
  if (!b.limit.bytes) return format("a KL of at most %g nats per token", b.limit.kl);
  std::size_t weights = 0;
  for (const layer_options& l : b.layers) weights += l.weights;
  const double share = static_cast<double>(*b.limit.bytes) / static_cast<double>(weights);
  return "at most " + grouped(*b.limit.bytes) + " bytes, " + format("%.4g a weight", share);
}

int name_width(const budget_study& b) {
  std::size_t longest = 8;
  for (const layer_options& l : b.layers) longest = std::max(longest, l.name.size());
  for (const std::string& s : b.schemes) longest = std::max(longest, s.size());
  return static_cast<int>(longest + 1);
}

std::string layers_text(const budget_study& b, int width) {
  std::string text =
      format("\n%-*s%12s%10s%10s  %s\n", width, "", "", "KL", "standard", "KL alone under");
  text += format("%-*s%12s%10s%10s", width, "layer", "bytes", "alone", "error");
  const auto cell = [](const std::string& scheme) {
    return static_cast<int>(std::max<std::size_t>(scheme.size(), 8) + 2);
  };
  for (const std::string& s : b.schemes) text += format("%*s", cell(s), s.c_str());
  text += "  chosen\n";
  for (std::size_t l = 0; l < b.layers.size(); ++l) {
    const layer_options& layer = b.layers[l];
    const std::size_t chosen = b.choice.options[l];
    const layer_option& o = layer.options[chosen];
    text +=
        format("%-*s%12s%10.6f", width, layer.name.c_str(), grouped(o.bytes).c_str(), o.kl.mean);
    text += error_cell(o.kl);
    for (std::size_t s = 0; s < b.schemes.size(); ++s) {
      text += format("%*.6f", cell(b.schemes[s]), layer.options[s].kl.mean);
    }
    text += "  " + b.schemes[chosen] + "\n";
  }
  return text +
         format("%-*s%12s%10.6f\n", width, "all", grouped(b.choice.bytes).c_str(), b.choice.damage);
}

std::string runs_text(const budget_study& b, int width) {
  const char* columns = "%-*s%12s%11s%10s%10s%10s%10s%10s  %s\n";
  std::string text = format(columns, width, "", "", "delta to", "standard", "", "standard",
                            "predicted", "measured", "within");
  text += format(columns, width, "scheme", "bytes", "fp32", "error", "KL", "error", "KL there",
                 "KL there", "budget");
  for (const budget_run& r : b.runs) {
    text +=
        format("%-*s%12s%+11.5f", width, r.name.c_str(), grouped(r.bytes).c_str(), r.delta.mean);
    text += error_cell(r.delta) + format("%10.6f", r.kl.mean) + error_cell(r.kl);
    text += format("%10.6f%10.6f  %s\n", r.predicted, r.together.mean,
                   b.limit.allows(r.bytes, r.kl.mean) ? "yes" : "no");
  }
  return text;
}

/// Whether damages add up and carry over, and what a run says that the sum of layers does not.
std::string verdict(const budget_study& b) {
  const budget_run& m = b.mixture();
  std::string text = b.is_met() ? "The budget is met: " : "The budget is missed: ";
  text +=
      grouped(m.bytes) + " bytes, KL " + with_error(m.kl) + " on " + b.study.protocol.text + ".\n";
  text += std::string("Additivity ") + (m.adds_up() ? "holds" : "fails") + ": on " +
          b.study.protocol.calibration + format(" the layers alone sum to %.6f,", m.predicted) +
          format(" together they cost %.6f;\n", m.together.mean) + "  the difference is " +
          with_error(m.interaction, true) + ".\n";
  if (!b.choice.is_optimal) {
    text += "The choice is not certainly the best: no other has less than " +
            (b.limit.bytes ? format("%.6f nats", b.choice.bound)
                           : format("%.0f bytes", b.choice.bound)) +
            ".\n";
  }
  const budget_run* uniform = b.best_uniform();
  if (uniform == nullptr) return text + "No scheme by itself is within the budget.\n";
  return text + "Best of the schemes by themselves within the budget: " + uniform->name + ", " +
         grouped(uniform->bytes) + " bytes,\n  KL " + with_error(uniform->kl) + ".\n";
}

ordered_json layers_of(const budget_study& b) {
  ordered_json all = ordered_json::array();
  for (std::size_t l = 0; l < b.layers.size(); ++l) {
    ordered_json options = ordered_json::array();
    for (std::size_t s = 0; s < b.schemes.size(); ++s) {
      const layer_option& o = b.layers[l].options[s];
      options.push_back({{"scheme", b.schemes[s]}, {"bytes", o.bytes}, {"kl", json_of(o.kl)}});
    }
    all.push_back({{"name", b.layers[l].name},
                   {"weights", b.layers[l].weights},
                   {"chosen", b.schemes[b.choice.options[l]]},
                   {"options", std::move(options)}});
  }
  return all;
}

ordered_json runs_of(const budget_study& b) {
  ordered_json all = ordered_json::array();
  for (const budget_run& r : b.runs) {
    all.push_back({{"scheme", r.name},
                   {"bytes", r.bytes},
                   {"delta", json_of(r.delta)},
                   {"kl", json_of(r.kl)},
                   {"kl_calibration", json_of(r.together)},
                   {"kl_predicted", number(r.predicted)},
                   {"interaction", json_of(r.interaction)},
                   {"adds_up", r.adds_up()},
                   {"within_budget", b.limit.allows(r.bytes, r.kl.mean)}});
  }
  return all;
}

}  // namespace

const budget_run* budget_study::best_uniform() const {
  const budget_run* best = nullptr;
  for (std::size_t r = 0; r + 1 < runs.size(); ++r) {
    const budget_run& one = runs[r];
    if (!limit.allows(one.bytes, one.kl.mean)) continue;
    const bool better =
        best == nullptr || (limit.bytes ? one.kl.mean < best->kl.mean : one.bytes < best->bytes);
    if (better) best = &one;
  }
  return best;
}

std::string text_of(const budget_study& b) {
  const int width = name_width(b);
  const std::string text = heading_of(b.study) + "budget: " + limit_text(b) + "\n\n" +
                           "sensitivity: each layer alone, on " + b.study.protocol.calibration +
                           ", " + grouped(b.scored) + " tokens scored in " + grouped(b.windows) +
                           " windows";
  return text + layers_text(b, width) + "\nverified on " + b.study.protocol.text + "; there: on " +
         b.study.protocol.calibration + ", as the sum of the layers and as run\n" +
         runs_text(b, width) + "\n" + verdict(b);
}

std::string json_of(const budget_study& b) {
  ordered_json protocol = protocol_of(b.study);
  protocol["sensitivity_windows"] = b.windows;
  protocol["sensitivity_tokens"] = b.scored;
  const ordered_json all = {
      {"protocol", std::move(protocol)},
      {"model", b.study.model},
      {"variant", b.study.variant},
      {"budget",
       {{"bytes", b.limit.bytes ? ordered_json(*b.limit.bytes) : ordered_json(nullptr)},
        {"kl", b.limit.bytes ? ordered_json(nullptr) : number(b.limit.kl)},
        {"met", b.is_met()}}},
      {"choice",
       {{"bytes", b.choice.bytes},
        {"kl_predicted", number(b.choice.damage)},
        {"is_optimal", b.choice.is_optimal},
        {"bound", number(b.choice.bound)}}},
      {"schemes", b.schemes},
      {"layers", layers_of(b)},
      {"runs", runs_of(b)}};
  return dump(all, 1) + "\n";
}

}  // namespace lab
