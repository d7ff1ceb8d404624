// Tables of layers.
#include <lab/report/diagnosis.hpp>
#include <lab/report/format.hpp>
#include <lab/report/json.hpp>

#include <algorithm>
#include <cmath>

namespace lab {

namespace {

std::string channels_text(const input_shape& s) {
  std::string text;
  for (const std::size_t j : s.outlier_channels(4)) text += " " + std::to_string(j);
  return text;
}

std::string line_of(const layer_diagnosis& l, int width) {
  std::string line = format("%-*s", width, l.name.c_str());
  line += l.weight.count == 0 ? format("%7s", "-") : decibels(l.weight.sqnr_db(), 7);
  if (l.input.count == 0) {
    line += format("%7s%9s%9s%7s", "-", "-", "-", "-");
  } else {
    const double error = l.input.error();
    line += decibels(l.input.sqnr_db(), 7) + format("%9.4f", 100 * l.input.clipped_fraction());
    line += format("%9.1f", error > 0 ? 100 * l.input.clipping_error / error : 0.0);
    line += format("%7zu", l.input.levels.size());
  }
  line += decibels(l.local.sqnr_db(), 7) + decibels(l.propagated.sqnr_db(), 7);
  line +=
      format("%8.1f%7.1f%9.1f", l.shape.channel_ratio(), l.shape.token_ratio(), l.shape.kurtosis());
  line += format("%6zu ", l.shape.dead_channels());
  return line + channels_text(l.shape) + "\n";
}

}  // namespace

std::string sensitivity_text_of(const diagnosis& d) {
  const auto& rows = d.sensitivity;
  if (rows.size() < 2) return {};
  const std::size_t L = (rows.size() - 2) / 2;
  const auto name = [&](std::size_t i) { return rows[1 + i].scheme.substr(alone_prefix.size()); };
  std::size_t longest = 10;
  for (std::size_t i = 0; i < L; ++i) longest = std::max(longest, name(i).size());
  const auto width = static_cast<int>(longest + 1);
  const char* columns = "%-*s%11s%10s%11s%12s%10s\n";
  std::string text =
      "\nsensitivity: this layer alone under " + d.scheme + ", and all layers but this one\n";
  text += format(columns, width, "", "delta", "standard", "", "delta", "");
  text += format(columns, width, "layer", "alone", "error", "KL", "without", "KL");
  const auto row = [&](const std::string& layer, const measurement& alone,
                       const measurement* without) {
    text += format("%-*s%+11.5f%10.5f%11.6f", width, layer.c_str(), alone.delta, alone.delta_se,
                   std::max(0.0, alone.kl));
    if (without != nullptr) {
      text += format("%+12.5f%10.6f", without->delta, std::max(0.0, without->kl));
    }
    text += "\n";
  };
  for (std::size_t i = 0; i < L; ++i) row(name(i), rows[1 + i], &rows[1 + L + i]);
  row("all layers", rows.back(), nullptr);
  return text;
}

std::string text_of(const diagnosis& d) {
  std::size_t longest = 10;
  for (const layer_diagnosis& l : d.layers) longest = std::max(longest, l.name.size());
  const auto width = static_cast<int>(longest + 1);
  std::string text = heading_of(d.study) + "scheme " + d.scheme + "\n\n";
  const char* columns = "%-*s%7s%7s%9s%9s%7s%7s%7s%8s%7s%9s%6s  %s\n";
  text += format(columns, width, "", "weight", "input", "input", "error by", "codes", "output",
                 "with", "channel", "token", "", "dead", "outlier");
  text += format(columns, width, "layer", "dB", "dB", "clip %", "clip %", "used", "dB", "errors",
                 "ratio", "ratio", "kurtosis", "chan.", "channels");
  for (const layer_diagnosis& l : d.layers) text += line_of(l, width);
  return text + sensitivity_text_of(d);
}

ordered_json layers_of(const diagnosis& d) {
  ordered_json all = ordered_json::array();
  for (const layer_diagnosis& l : d.layers) {
    all.push_back(
        {{"name", l.name},
         {"in", l.in},
         {"out", l.out},
         {"weight_sqnr_db",
          l.weight.count > 0 ? number(l.weight.sqnr_db()) : ordered_json(nullptr)},
         {"weight_levels", l.weight.levels.size()},
         {"input_sqnr_db", l.input.count > 0 ? number(l.input.sqnr_db()) : ordered_json(nullptr)},
         {"input_clipped", l.input.clipped_fraction()},
         {"input_clipping_error", l.input.clipping_error},
         {"input_rounding_error", l.input.rounding_error},
         {"input_levels", l.input.levels.size()},
         {"output_sqnr_db_local", number(l.local.sqnr_db())},
         {"output_sqnr_db_propagated", number(l.propagated.sqnr_db())},
         {"channel_ratio", l.shape.channel_ratio()},
         {"token_ratio", l.shape.token_ratio()},
         {"kurtosis", l.shape.kurtosis()},
         {"dead_channels", l.shape.dead_channels()},
         {"outlier_channels", l.shape.outlier_channels(16)}});
  }
  return all;
}

ordered_json sensitivity_of(const diagnosis& d) {
  ordered_json all = ordered_json::array();
  for (const measurement& m : d.sensitivity) {
    all.push_back({{"quantized", m.scheme},
                   {"delta", number(m.delta)},
                   {"delta_se", number(m.delta_se)},
                   {"kl", number(m.kl)}});
  }
  return all;
}

std::string json_of(const diagnosis& d) {
  ordered_json all = {{"protocol", protocol_of(d.study)},
                      {"model", d.study.model},
                      {"variant", d.study.variant},
                      {"scheme", d.scheme}};
  if (!d.layers.empty()) all["layers"] = layers_of(d);  // merged shards have sensitivities only
  all["sensitivity"] = sensitivity_of(d);
  return dump(all, 1) + "\n";
}

}  // namespace lab
