// A table of frameworks.
#include <lab/report/format.hpp>
#include <lab/report/frameworks.hpp>
#include <lab/report/json.hpp>

#include <cmath>

namespace lab {

namespace {

std::string shared(const framework_difference& f) {
  if (f.group == 0) return "channel";
  return f.group == 1 ? "tensor" : "group " + std::to_string(f.group);
}

}  // namespace

std::string text_of(std::span<const framework_difference> rows) {
  const char* columns = "%-19s%5s %-10s%11s%11s%9s%11s%11s%10s%9s%9s\n";
  std::string text =
      format(columns, "", "", "a scale", "", "other", "", "by", "by satu-", "by", "theirs", "ours");
  text += format(columns, "framework", "bits", "for a", "weights", "codes", "%", "range", "ration",
                 "rounding", "dB", "dB");
  for (const framework_difference& f : rows) {
    text += format("%-19s%5d %-10s", f.name.c_str(), f.bits, shared(f).c_str());
    if (f.values == 0) {
      text += "  no layer fits the format\n";
      continue;
    }
    text +=
        format("%11s%11s%9.4f%11s%11s%10s", grouped(f.values).c_str(), grouped(f.differ).c_str(),
               100 * static_cast<double>(f.differ) / static_cast<double>(f.values),
               grouped(f.by_range).c_str(), grouped(f.by_saturation).c_str(),
               grouped(f.by_rounding).c_str());
    text += decibels(f.sqnr_db(), 9, 3) + decibels(f.own_sqnr_db(), 9, 3) + "\n";
  }
  return text;
}

std::string json_of(const std::string& model, std::span<const framework_difference> rows) {
  ordered_json all = {{"model", model}, {"frameworks", ordered_json::array()}};
  for (const framework_difference& f : rows) {
    all["frameworks"].push_back({{"name", f.name},
                                 {"bits", f.bits},
                                 {"scale_for", shared(f)},
                                 {"weights", f.values},
                                 {"different_codes", f.differ},
                                 {"by_range", f.by_range},
                                 {"by_saturation", f.by_saturation},
                                 {"by_rounding", f.by_rounding},
                                 {"sqnr_db", number(f.sqnr_db())},
                                 {"own_sqnr_db", number(f.own_sqnr_db())}});
  }
  return dump(all, 1) + "\n";
}

}  // namespace lab
