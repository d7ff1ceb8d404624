// The weight study as text and as JSON.
#include <lab/experiments/weight_study.hpp>
#include <lab/report/format.hpp>
#include <lab/report/json.hpp>

#include <algorithm>

namespace lab {

std::string text_of(const weight_study& s) {
  std::string text = format("%-48s%7s%7s %9s%9s%9s%9s\n", "matrix", "out", "in", "deviation",
                            "largest", "kurtosis", "channels");
  for (const weight_matrix& m : s.matrices) {
    text += format("%-48.48s%7zu%7zu %9.4f%9.1f%9.1f%9.1f\n", m.name.c_str(), m.out, m.in,
                   m.deviation, m.largest, m.kurtosis, m.channel_ratio);
  }
  text += format("\n%-20s%8s%9s%9s%9s  %s\n", "scheme", "bits a", "SQNR dB", "clipped", "worst dB",
                 "worst matrix");
  text += format("%-20s%8s%9s%9s\n", "", "weight", "all", "%");
  for (std::size_t i = 0; i < s.schemes.size(); ++i) {
    const auto worst = std::min_element(s.matrices.begin(), s.matrices.end(),
                                        [&](const weight_matrix& a, const weight_matrix& b) {
                                          return a.damage[i].sqnr_db() < b.damage[i].sqnr_db();
                                        });
    const auto all = s.total(i);
    text += format("%-20.20s%8.2f%9.2f%9.4f%9.2f  %.40s\n", s.schemes[i].c_str(),
                   s.bits_per_weight(i), all.sqnr_db(), 100 * all.clipped_fraction(),
                   worst->damage[i].sqnr_db(), worst->name.c_str());
  }
  return text;
}

std::string json_of(const weight_study& s) {
  ordered_json all = {{"checkpoint", s.checkpoint},
                      {"matrices", ordered_json::array()},
                      {"schemes", ordered_json::array()}};
  for (const weight_matrix& m : s.matrices) {
    ordered_json sqnr = ordered_json::object();
    for (std::size_t i = 0; i < s.schemes.size(); ++i) {
      sqnr[s.schemes[i]] = number(m.damage[i].sqnr_db());
    }
    all["matrices"].push_back({{"name", m.name},
                               {"out", m.out},
                               {"in", m.in},
                               {"layout", m.conv1d ? "conv1d" : "linear"},
                               {"deviation", number(m.deviation)},
                               {"largest", number(m.largest)},
                               {"kurtosis", number(m.kurtosis)},
                               {"channel_ratio", number(m.channel_ratio)},
                               {"sqnr_db", std::move(sqnr)}});
  }
  for (std::size_t i = 0; i < s.schemes.size(); ++i) {
    const auto total = s.total(i);
    all["schemes"].push_back({{"scheme", s.schemes[i]},
                              {"bits_per_weight", number(s.bits_per_weight(i))},
                              {"sqnr_db", number(total.sqnr_db())},
                              {"clipped", number(total.clipped_fraction())}});
  }
  return dump(all, 1) + "\n";
}

}  // namespace lab
