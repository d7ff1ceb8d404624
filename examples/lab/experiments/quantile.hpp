// Medians and percentiles of timings.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <utility>
#include <vector>

namespace lab {

/// The value below which the share q of the others lies, between neighbours in proportion: q = 0.5 is
/// the median, for an even number the mean of the middle two. NaN for none.
[[nodiscard]] inline double quantile(std::vector<double> values, double q) {
  if (values.empty()) return std::numeric_limits<double>::quiet_NaN();
  std::sort(values.begin(), values.end());
  const double at = q * static_cast<double>(values.size() - 1);
  const auto low = static_cast<std::size_t>(at);
  const double above = at - static_cast<double>(low);
  return above > 0 ? values[low] + above * (values[low + 1] - values[low]) : values[low];
}

[[nodiscard]] inline double median(std::vector<double> values) {
  return quantile(std::move(values), 0.5);
}

}  // namespace lab
