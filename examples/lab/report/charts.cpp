// Rows and lines. Lengths are in CSS pixels of a drawing 760 wide.
#include <lab/io/error.hpp>
#include <lab/report/chart_parts.hpp>
#include <lab/report/charts.hpp>

#include <algorithm>
#include <cmath>

namespace lab {

using namespace chart_parts;

namespace {

constexpr double lane_height = 9, mark_row_height = 22;

class row_drawing {
 public:
  explicit row_drawing(const row_chart& c)
      : c_(c),
        along_(axis::around(c.scale, extent(c))),
        left_(gutter(c.rows, [](const auto& r) -> const std::string& { return r.label; })),
        right_(width - gutter(c.rows, [](const auto& r) -> const std::string& { return r.note; })),
        top_(c.series.size() > 1 ? top : 8),
        row_height_(c.lanes ? lane_height * static_cast<double>(c.series.size()) + 8
                            : mark_row_height),
        bottom_(top_ + row_height_ * static_cast<double>(c.rows.size())),
        out_(width, bottom_ + 40, c.title, c.description) {}

  std::string result() {
    if (c_.series.size() > 1) legend(out_, c_.series);
    grid();
    for (std::size_t i = 0; i < c_.rows.size(); ++i) {
      const double middle = top_ + row_height_ * (static_cast<double>(i) + 0.5);
      const auto& row = c_.rows[i];
      out_.text(left_ - 10, middle + 4, shortened(row.label), "end", "name");
      if (!row.note.empty()) out_.text(width - 2, middle + 4, row.note, "end", "note");
      for (const auto& m : row.marks) {
        if (std::isfinite(m.value)) draw_mark(row, m, middle);
      }
    }
    return out_.str();
  }

 private:
  static std::vector<double> extent(const row_chart& c) {
    std::vector<double> values;
    for (const auto& row : c.rows) {
      for (const auto& m : row.marks) {
        values.push_back(m.value);
        if (std::isfinite(m.spread)) values.push_back(m.value + m.spread);
        // What a log axis cannot show of a whisker ends at the axis.
        if (std::isfinite(m.spread)) values.push_back(m.value - m.spread);
        if (c.series[m.series].form == shape::bar) values.push_back(0);
      }
    }
    if (c.scale == axis::kind::log) {
      values.clear();
      for (const auto& row : c.rows) {
        for (const auto& m : row.marks) values.push_back(m.value);
      }
    }
    return values;
  }

  [[nodiscard]] double x_of(double value) const {
    return left_ + (right_ - left_) * along_.at(value);
  }

  void grid() {
    double last = -100;
    for (const double t : along_.ticks()) {
      const double x = x_of(t);
      out_.line(x, top_, x, bottom_, t == 0 ? "zero" : "grid");
      if (x - last < 34) continue;  // no room for the number
      out_.text(x, bottom_ + 15, tick_text(t), "middle", "tick");
      last = x;
    }
    out_.text((left_ + right_) / 2, bottom_ + 33, c_.unit, "middle", "unit");
    for (std::size_t i = 1; i < c_.rows.size(); ++i) {
      const double y = top_ + row_height_ * static_cast<double>(i);
      out_.line(2, y, width - 2, y, "rule");
    }
  }

  void draw_mark(const row_chart::row& row, const row_chart::mark& m, double middle) {
    const std::string style = series_style(m.series);
    const auto lane = static_cast<double>(m.series);
    const double y =
        c_.lanes ? middle + lane_height * (lane + 0.5 - 0.5 * static_cast<double>(c_.series.size()))
                 : middle;
    const double x = x_of(m.value);
    const std::string hint = row.label + ", " + c_.series[m.series].name + ": " +
                             value_text(m.value, m.spread) +
                             (c_.unit.empty() ? "" : " (" + c_.unit + ")");
    const double zero = c_.scale == axis::kind::log ? left_ : x_of(0);
    const double height = c_.lanes ? lane_height - 2 : 12;
    if (c_.series[m.series].form == shape::bar && m.value != 0) {
      const double length = std::max(std::fabs(x - zero), 1.0);
      out_.rect(std::min(x, zero), y - height / 2, length, height, "bar " + style, hint);
    }
    if (m.spread > 0 && std::isfinite(m.spread)) {
      const double a = x_of(m.value - m.spread), b = x_of(m.value + m.spread);
      out_.line(a, y, b, y, "whisker");
      const double ends[] = {a, b};
      out_.combs(ends, y - 3, y + 3, "whisker");
    }
    draw_shape(out_, c_.series[m.series].form, x, y, style, hint);
  }

  const row_chart& c_;
  axis along_;
  double left_, right_, top_, row_height_, bottom_;
  svg out_;
};

}  // namespace

std::string draw(const row_chart& c) {
  return row_drawing(c).result();
}

std::string draw(const line_chart& c) {
  constexpr double height = 340, left = 46, bottom = height - 46;
  svg out(width, height, c.title, c.description);
  std::vector<double> values = {0};
  std::vector<chart_series> names;
  std::vector<bool> joined;
  for (const auto& l : c.lines) {
    values.insert(values.end(), l.values.begin(), l.values.end());
    joined.push_back(l.joined);
    names.push_back({l.name, names.size() % 2 == 0 ? shape::dot : shape::ring});
  }
  legend(out, names, joined);
  const axis up = axis::around(axis::kind::linear, values);
  const auto y_of = [&](double v) { return bottom - (bottom - top) * up.at(v); };
  const double step =
      (width - 8 - left) / static_cast<double>(std::max<std::size_t>(c.labels.size(), 1));
  const auto x_of = [&](std::size_t i) { return left + step * (static_cast<double>(i) + 0.5); };
  for (const double t : up.ticks()) {
    out.line(left, y_of(t), width - 8, y_of(t), t == 0 ? "zero" : "grid");
    out.text(left - 6, y_of(t) + 4, tick_text(t), "end", "tick");
  }
  out.text(left - 6, top - 10, c.unit, "end", "unit");
  double last_label = -100;
  for (std::size_t first = 0, i = 0; i < c.groups.size(); ++i) {
    if (i + 1 < c.groups.size() && c.groups[i + 1] == c.groups[i]) continue;
    const double begin = left + step * static_cast<double>(first);
    const double end = left + step * static_cast<double>(i + 1), middle = (begin + end) / 2;
    if (first > 0) out.line(begin, top, begin, bottom, "rule");
    const std::string label = shortened(c.groups[i]);
    const double needed = 7.5 * static_cast<double>(label.size());
    if (middle - needed / 2 > last_label + 4) {
      out.text(middle, bottom + 18, label, "middle", "name");
      last_label = middle + needed / 2;
    }
    first = i + 1;
  }
  out.text((left + width) / 2, height - 8, "layers in the order of computation", "middle", "unit");
  for (std::size_t s = 0; s < c.lines.size(); ++s) {
    const auto& l = c.lines[s];
    std::vector<svg::point> points;
    const std::string style = series_style(s);
    for (std::size_t i = 0; l.joined && i <= l.values.size(); ++i) {
      if (i < l.values.size() && std::isfinite(l.values[i])) {
        points.emplace_back(x_of(i), y_of(l.values[i]));
      } else {
        out.polyline(points, "path " + style);
        points.clear();
      }
    }
    for (std::size_t i = 0; i < l.values.size(); ++i) {
      if (!std::isfinite(l.values[i])) continue;
      draw_shape(out, names[s].form, x_of(i), y_of(l.values[i]), style,
                 c.labels[i] + ", " + l.name + ": " + tick_text(l.values[i]) + " " + c.unit);
    }
  }
  return out.str();
}

}  // namespace lab
