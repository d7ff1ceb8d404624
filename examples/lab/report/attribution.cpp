// Tables in thousandths of a nat per token.
#include <lab/report/attribution.hpp>
#include <lab/report/format.hpp>
#include <lab/report/json.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace lab {

namespace {

/// The largest first.
std::vector<std::size_t> by_damage(std::span<const double> damage) {
  std::vector<std::size_t> order(damage.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return damage[a] > damage[b]; });
  return order;
}

std::string cell(const estimate& e) {
  if (e.mean == 0 && !(e.se > 0)) return format("%17s", "-");
  return format(" %7.3f +-%6.3f", 1e3 * e.mean, 1e3 * e.se);
}

template <class Parts, class Total>
std::string table_of(const attribution_study& a, const std::string& title,
                     const std::vector<std::size_t>& order, int width, Parts&& parts,
                     Total&& total) {
  std::string text = "\n" + title + "\n" + format("%-*s", width, "layer");
  for (std::size_t c = 0; c < error_sources; ++c) {
    text += format("%17s", std::string(name(static_cast<error_source>(c))).c_str());
  }
  text += format("%17s\n", "all");
  for (const std::size_t l : order) {
    text += format("%-*s", width, a.layers[l].name.c_str());
    for (const estimate& e : parts(a.layers[l])) text += cell(e);
    text += cell(total(a.layers[l])) + "\n";
  }
  return text;
}

std::string ratio(double predicted, double measured) {
  return measured == 0 ? format("%7s", "-") : format("%7.2f", predicted / measured);
}

template <class Value>
double sum_over(const attribution_study& a, Value&& value) {
  return std::accumulate(a.layers.begin(), a.layers.end(), 0.0,
                         [&](double sum, const layer_attribution& l) { return sum + value(l); });
}

std::vector<std::size_t> most_damaged(const attribution_study& a, double share) {
  std::vector<double> kl;
  for (std::size_t l = 0; l < a.layers.size(); ++l) kl.push_back(a.sensitivity[1 + l].kl);
  return largest_layers(kl, share);
}

std::string check_of(const attribution_study& a, int width) {
  std::string text =
      "\ncheck: layers that make up 80 % of the measured KL, each quantized alone, on " +
      a.study.protocol.text + "\n";
  const char* columns = "%-*s%17s%10s%7s%17s%17s%7s\n";
  text += format(columns, width, "", "KL", "KL", "", "loss", "loss", "");
  text += format(columns, width, "layer", "predicted", "measured", "ratio", "predicted", "measured",
                 "ratio");
  for (const std::size_t l : most_damaged(a, 0.8)) {
    const layer_attribution& p = a.layers[l];
    const measurement& m = a.sensitivity[1 + l];
    text +=
        format("%-*s", width, p.name.c_str()) + cell(p.total_kl) + format("%10.3f", 1e3 * m.kl) +
        ratio(p.total_kl.mean, m.kl) + cell(p.total_loss) + cell({m.delta, m.delta_se}) +
        (std::fabs(m.delta) > m.delta_se ? ratio(p.total_loss.mean, m.delta) : ratio(0, 0)) + "\n";
  }
  const auto line = [&](const char* what, double kl, double measured) {
    text += format("%-*s %7.3f%19.3f", width, what, 1e3 * kl, 1e3 * measured) +
            ratio(kl, measured) + "\n";
  };
  double alone = 0;
  for (std::size_t l = 0; l < a.layers.size(); ++l) alone += a.sensitivity[1 + l].kl;
  line("sum of all", sum_over(a, [](const auto& l) { return l.total_kl.mean; }), alone);
  line("whole scheme", sum_over(a, [](const auto& l) { return l.shared_kl.mean; }),
       a.sensitivity.back().kl);
  return text;
}

ordered_json sources_json(const std::array<estimate, error_sources>& parts, const estimate& all) {
  ordered_json j;
  for (std::size_t c = 0; c < error_sources; ++c) {
    std::string key(name(static_cast<error_source>(c)));
    std::replace(key.begin(), key.end(), ' ', '_');
    j[key] = json_of(parts[c]);
  }
  j["all"] = json_of(all);
  return j;
}

}  // namespace

std::vector<std::size_t> largest_layers(std::span<const double> damage, double share) {
  std::vector<std::size_t> order = by_damage(damage);
  double all = 0, sum = 0;
  for (const double d : damage) all += std::max(d, 0.0);
  std::size_t count = 0;
  while (count < order.size() && sum < share * all) sum += std::max(damage[order[count++]], 0.0);
  order.resize(count);
  return order;
}

std::string text_of(const attribution_study& a) {
  std::size_t longest = 12;
  for (const layer_attribution& l : a.layers) longest = std::max(longest, l.name.size());
  const auto width = static_cast<int>(longest);
  std::vector<double> damage;
  for (const layer_attribution& l : a.layers) damage.push_back(l.total_kl.mean);
  const std::vector<std::size_t> order = by_damage(damage);
  std::string text = heading_of(a.study) + "scheme " + a.scheme + "\n";
  text += "predicted to second order from " + a.text + ": " + grouped(a.scored) + " tokens in " +
          grouped(a.windows) + " windows, " + std::to_string(a.options.samples) +
          " draws of labels each, seed " + std::to_string(a.options.seed) + "\n" +
          "unit 0.001 nats per token, +- standard error over windows\n";
  text += table_of(
      a, "KL to float, of each layer quantized alone", order, width,
      [](const auto& l) -> const auto& { return l.kl; },
      [](const auto& l) -> const auto& { return l.total_kl; });
  text += table_of(
      a, "loss less that of float, of each layer quantized alone", order, width,
      [](const auto& l) -> const auto& { return l.loss; },
      [](const auto& l) -> const auto& { return l.total_loss; });
  if (!a.sensitivity.empty()) text += check_of(a, width);
  return text;
}

std::string json_of(const attribution_study& a) {
  ordered_json all = {{"protocol", protocol_of(a.study)},
                      {"model", a.study.model},
                      {"variant", a.study.variant},
                      {"scheme", a.scheme},
                      {"prediction",
                       {{"text", a.text},
                        {"windows", a.windows},
                        {"tokens", a.scored},
                        {"samples", a.options.samples},
                        {"seed", a.options.seed}}},
                      {"layers", ordered_json::array()},
                      {"check", ordered_json::array()}};
  for (const layer_attribution& l : a.layers) {
    all["layers"].push_back({{"name", l.name},
                             {"kl", sources_json(l.kl, l.total_kl)},
                             {"loss", sources_json(l.loss, l.total_loss)},
                             {"shared_kl", json_of(l.shared_kl)}});
  }
  if (a.sensitivity.empty()) return dump(all, 1) + "\n";
  const auto add = [&](const std::string& name, const measurement& m) {
    all["check"].push_back({{"name", name},
                            {"kl", number(m.kl)},
                            {"delta", number(m.delta)},
                            {"delta_se", number(m.delta_se)}});
  };
  for (std::size_t l = 0; l < a.layers.size(); ++l) add(a.layers[l].name, a.sensitivity[1 + l]);
  add("all", a.sensitivity.back());
  return dump(all, 1) + "\n";
}

}  // namespace lab
