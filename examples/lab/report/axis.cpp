// Ticks are computed as integer * step or as powers of ten, never by adding up.
#include <lab/report/axis.hpp>
#include <lab/report/format.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

namespace lab {

namespace {

/// 10^e, rounded once.
double power_of_ten(int e) {
  return e >= 0 ? std::pow(10.0, e) : 1.0 / std::pow(10.0, -e);
}

int floor_log10(double x) {
  int e = static_cast<int>(std::floor(std::log10(x)));
  while (power_of_ten(e + 1) <= x) ++e;
  while (power_of_ten(e) > x) --e;
  return e;
}

int ceil_log10(double x) {
  const int e = floor_log10(x);
  return power_of_ten(e) < x ? e + 1 : e;
}

}  // namespace

axis axis::around(kind k, std::span<const double> values, int decades) {
  double low = std::numeric_limits<double>::infinity(), high = -low, smallest = low;
  for (const double v : values) {
    if (!std::isfinite(v) || (k == kind::log && v <= 0)) continue;
    low = std::min(low, v), high = std::max(high, v);
    if (v != 0) smallest = std::min(smallest, std::fabs(v));
  }
  axis a;
  a.kind_ = k;
  if (k == kind::linear) {
    a.set_linear(low <= high ? low : 0, low <= high ? high : 1);
  } else if (k == kind::log) {
    a.set_log(low <= high ? low : 1, low <= high ? high : 10);
  } else {
    a.set_symlog(std::min(low, 0.0), std::max(high, 0.0), smallest, decades);
  }
  return a;
}

void axis::set_linear(double low, double high) {
  if (!(low < high)) high = low + std::max(1.0, std::fabs(low) * 0.1);
  const double rough = (high - low) / 6;
  const double unit = power_of_ten(floor_log10(rough));
  const double factor = rough <= unit ? 1 : rough <= 2 * unit ? 2 : rough <= 5 * unit ? 5 : 10;
  const double step = factor * unit;
  const auto first = static_cast<long long>(std::floor(low / step * (1 + 1e-12)));
  const auto last = static_cast<long long>(std::ceil(high / step * (1 - 1e-12)));
  for (long long i = first; i <= std::max(last, first + 1); ++i) {
    // Divided by a power of ten where that is one: 3 / 10 is the double nearest 0.3, 3 * 0.1 is not.
    const double scaled = static_cast<double>(i) * factor;
    ticks_.push_back(unit < 1 ? scaled / std::round(1 / unit) : scaled * unit);
  }
}

void axis::set_log(double low, double high) {
  const int first = floor_log10(low), last = std::max(ceil_log10(high), first + 1);
  const int every = (last - first + 7) / 8;
  for (int e = first; e < last; e += every) {
    ticks_.push_back(power_of_ten(e));
    if (last - first > 2) continue;
    ticks_.push_back(2 * power_of_ten(e));
    ticks_.push_back(5 * power_of_ten(e));
  }
  ticks_.push_back(power_of_ten(last));
}

void axis::set_symlog(double low, double high, double smallest, int decades) {
  const double largest = std::max(-low, high);
  if (!(largest > 0)) {
    ticks_ = {0, 1};
    return;
  }
  const int top = ceil_log10(largest);
  const int bottom = std::clamp(floor_log10(smallest), top - decades, top - 1);
  threshold_ = power_of_ten(bottom);
  // Each side ends at the first tick that covers it; a side without values has none.
  for (int e = top; low < 0 && e >= bottom; --e) {
    if (e == bottom || power_of_ten(e - 1) < -low) ticks_.push_back(-power_of_ten(e));
  }
  ticks_.push_back(0);
  for (int e = bottom; high > 0 && e <= top; ++e) {
    if (e == bottom || power_of_ten(e - 1) < high) ticks_.push_back(power_of_ten(e));
  }
}

double axis::place(double x) const {
  if (kind_ == kind::linear) return x;
  if (kind_ == kind::log) return std::log10(std::max(x, std::numeric_limits<double>::min()));
  const double steps = std::fabs(x) / threshold_;
  return std::copysign(steps <= 1 ? steps : 1 + std::log10(steps), x);
}

double axis::at(double x) const {
  if (std::isnan(x)) return 0;
  const double begin = place(low()), end = place(high());
  return (place(std::clamp(x, low(), high())) - begin) / (end - begin);
}

std::string tick_text(double x) {
  return format("%.6g", x);
}

}  // namespace lab
