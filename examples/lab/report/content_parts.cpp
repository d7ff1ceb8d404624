// What words, tables and charts say alike.
#include <lab/report/content_parts.hpp>

#include <algorithm>
#include <limits>

namespace lab {

const std::vector<std::string>& channel_classes() {
  static const std::vector<std::string> names = {"dead",   "below 1/2", "1/2 to 1", "1 to 2",
                                                 "2 to 6", "6 to 16",   "16 to 64", "64 and more"};
  return names;
}

std::size_t channel_class(double ratio) {
  const double lower[] = {0.5, 1, 2, 6, 16, 64};
  if (!(ratio > 0)) return 0;
  std::size_t k = 1;
  for (const double l : lower) k += ratio >= l ? 1 : 0;
  return k;
}

std::vector<double> channel_ratios(const input_shape& s) {
  const double ratio = s.channel_ratio();
  std::vector<double> all;
  if (s.channel_absmax.empty()) return all;
  const auto largest =
      static_cast<double>(*std::max_element(s.channel_absmax.begin(), s.channel_absmax.end()));
  for (const float m : s.channel_absmax) {
    const auto a = static_cast<double>(m);
    all.push_back(a == 0      ? 0
                  : ratio > 0 ? a / largest * ratio
                              : std::numeric_limits<double>::infinity());
  }
  return all;
}

code_span usual_codes(const grid_histogram& h) {
  std::uint64_t all = 0;
  for (const std::uint64_t n : h.after_ordinary) all += n;
  const std::uint64_t cut = all / 2000;
  const int last = static_cast<int>(h.after_ordinary.size()) - 1;
  int low = 0, high = last;
  for (std::uint64_t seen = 0; low < last; ++low) {
    if ((seen += h.after_ordinary[static_cast<std::size_t>(low)]) > cut) break;
  }
  for (std::uint64_t seen = 0; high > low; --high) {
    if ((seen += h.after_ordinary[static_cast<std::size_t>(high)]) > cut) break;
  }
  return {h.qmin + low, h.qmin + high};
}

}  // namespace lab
