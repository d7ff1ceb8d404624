// What the charts share: sizes, legend, marks, short labels.
#pragma once

#include <lab/io/error.hpp>
#include <lab/report/charts.hpp>
#include <lab/report/svg.hpp>

#include <algorithm>

namespace lab::chart_parts {

inline constexpr double width = 760, top = 34;
inline constexpr double letter = 7.2;  ///< of names and notes, a little more than they need

/// Names can be as long as a file says.
[[nodiscard]] inline std::string shortened(const std::string& name) {
  return printable(name, 30);
}
[[nodiscard]] std::string value_text(double value, double spread);
/// Class of the s-th series.
[[nodiscard]] inline std::string series_style(std::size_t s) {
  return "s" + std::to_string(s);
}
/// Room for the longest of some texts.
template <class Rows, class Text>
double gutter(const Rows& rows, Text&& text_of) {
  std::size_t longest = 0;
  for (const auto& r : rows) longest = std::max(longest, shortened(text_of(r)).size());
  return longest == 0 ? 20 : 16 + letter * static_cast<double>(longest);
}
/// Nothing for a bar.
void draw_shape(svg& out, shape form, double x, double y, const std::string& style,
                const std::string& hint);
/// One line at the top; `lines` as samples behind the marks of those that are joined.
void legend(svg& out, const std::vector<chart_series>& series, const std::vector<bool>& lines = {});

}  // namespace lab::chart_parts
