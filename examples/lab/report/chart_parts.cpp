// Marks and legends.
#include <lab/report/chart_parts.hpp>
#include <lab/report/format.hpp>

#include <cmath>

namespace lab::chart_parts {

std::string value_text(double value, double spread) {
  std::string text = format("%.4g", value);
  if (spread > 0 && std::isfinite(spread)) text += format(" +- %.2g", spread);
  return text;
}

void draw_shape(svg& out, shape form, double x, double y, const std::string& style,
                const std::string& hint) {
  switch (form) {
    case shape::bar:
      break;
    case shape::dot:
      out.circle(x, y, 4, "dot " + style, hint);
      break;
    case shape::ring:
      out.circle(x, y, 5, "ring " + style, hint);
      break;
    case shape::tick:
      out.rect(x - 1.5, y - 7, 3, 14, "bar " + style, hint);
      break;
  }
}

void legend(svg& out, const std::vector<chart_series>& series, const std::vector<bool>& lines) {
  double x = 60;
  for (std::size_t s = 0; s < series.size(); ++s) {
    const std::string style = series_style(s);
    if (s < lines.size() && lines[s]) {
      const svg::point ends[] = {{x - 12, 12}, {x + 12, 12}};
      out.polyline(ends, "path " + style);
    }
    if (series[s].form == shape::bar) out.rect(x - 8, 7, 16, 10, "bar " + style);
    draw_shape(out, series[s].form, x, 12, style, "");
    out.text(x + 16, 16, series[s].name, "start", "legend");
    x += 54 + 6.4 * static_cast<double>(series[s].name.size());
  }
}

}  // namespace lab::chart_parts
