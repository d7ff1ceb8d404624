// The sections that are written in content_causes.cpp.
#pragma once

#include <lab/report/content.hpp>
#include <lab/report/format.hpp>

#include <cmath>

namespace lab {

/// "-" when it is not finite.
[[nodiscard]] inline std::string fixed(double x, int digits) {
  return std::isfinite(x) ? format("%.*f", digits, x) : std::string("-");
}

/// With its sign, but no "-0.000".
[[nodiscard]] inline std::string signed_fixed(double x, int digits) {
  if (!std::isfinite(x)) return "-";
  return format("%+.*f", digits, std::fabs(x) < 0.5 * std::pow(10.0, -digits) ? 0.0 : x);
}

/// Of a share, with as many digits as it needs to differ from zero.
[[nodiscard]] inline std::string percent(double share) {
  if (share == 0) return "0 %";
  return share < 1e-6 ? std::string("below 0.0001 %") : format("%.4f %%", 100 * share);
}

[[nodiscard]] section sensitivity_section(const page& p);
[[nodiscard]] section attribution_section(const page& p);
[[nodiscard]] section ranges_section(const page& p);
[[nodiscard]] section protocol_section(const page& p);

}  // namespace lab
