// From values to positions along a line, with round numbers at its ticks.
//
//   linear      ticks at 1, 2 or 5 times a power of ten
//   log         ticks at powers of ten (and 2, 5 times them when they are few)
//   symlog      linear between -t and t, logarithmic beyond: for values of either sign whose sizes
//               differ by decades
#pragma once

#include <span>
#include <string>
#include <vector>

namespace lab {

class axis {
 public:
  enum class kind { linear, log, symlog };

  /// The shortest axis with ticks at both ends that has all `values`; values that are not finite, and
  /// those that a log axis cannot have (0 and less), do not count. A symlog axis includes 0 and spans
  /// at most `decades` decades on either side.
  [[nodiscard]] static axis around(kind k, std::span<const double> values, int decades = 4);

  /// 0 at the low end, 1 at the high end; values beyond either end are put there.
  [[nodiscard]] double at(double x) const;
  /// Ascending; the ends are among them.
  [[nodiscard]] const std::vector<double>& ticks() const noexcept { return ticks_; }
  [[nodiscard]] double low() const noexcept { return ticks_.front(); }
  [[nodiscard]] double high() const noexcept { return ticks_.back(); }

 private:
  [[nodiscard]] double place(double x) const;
  void set_linear(double low, double high);
  void set_log(double low, double high);
  void set_symlog(double low, double high, double smallest, int decades);

  kind kind_ = kind::linear;
  double threshold_ = 1;
  std::vector<double> ticks_;
};

/// "0.002", "10", "1e-06": few digits, for round numbers.
[[nodiscard]] std::string tick_text(double x);

}  // namespace lab
