// Histograms on a grid of codes, and heat maps.
#include <lab/report/chart_parts.hpp>

#include <cmath>

namespace lab {

using namespace chart_parts;

namespace {

/// "20k", "5M"
std::string count_text(double n) {
  if (n >= 1e6) return tick_text(n / 1e6) + "M";
  return n >= 1e3 ? tick_text(n / 1e3) + "k" : tick_text(n);
}

class grid_drawing {
 public:
  explicit grid_drawing(const grid_chart& c)
      : c_(c),
        up_(axis::around(c.logarithmic ? axis::kind::log : axis::kind::linear, counts(c))),
        step_((right - left) / static_cast<double>(c.last - c.first + 1)),
        out_(width, height, c.title, c.description) {}

  std::string result() {
    names();
    beyond();
    for (const double t : up_.ticks()) {
      out_.line(left, y_of(t), right, y_of(t), "grid");
      out_.text(left - 6, y_of(t) + 4, count_text(t), "end", "tick");
    }
    codes();
    bars(c_.after, "s0", c_.after_name);
    if (!c_.marked_name.empty()) bars(c_.marked, "s1", c_.marked_name);
    outline();
    out_.text((left + right) / 2, height - 4, "code, in steps of the grid", "middle", "unit");
    return out_.str();
  }

 private:
  static constexpr double height = 250, left = 58, right = width - 10, bottom = height - 36;

  static std::vector<double> counts(const grid_chart& c) {
    std::vector<double> all = c.after;
    if (!c.before_name.empty()) all.insert(all.end(), c.before.begin(), c.before.end());
    // From 1 on: a log axis would otherwise begin at the smallest count that occurs.
    all.push_back(c.logarithmic ? 1 : 0);
    return all;
  }
  [[nodiscard]] double x_of(double position) const {
    return left + step_ * (position - c_.first + 0.5);
  }
  [[nodiscard]] double y_of(double count) const { return bottom - (bottom - top) * up_.at(count); }

  void names() {
    double x = left;
    const auto name = [&](const std::string& text, const char* style, bool line) {
      if (text.empty()) return;
      if (line) {
        const svg::point ends[] = {{x, 12}, {x + 18, 12}};
        out_.polyline(ends, style);
      } else {
        out_.rect(x, 7, 18, 10, style);
      }
      out_.text(x + 24, 16, text, "start", "legend");
      x += 44 + 6.4 * static_cast<double>(text.size());
    };
    name(c_.after_name, "bar s0", false);
    name(c_.marked_name, "bar s1", false);
    name(c_.before_name, "outline", true);
  }

  /// What lies outside the grid is shaded, and its ends are drawn.
  void beyond() {
    const auto shade = [&](double from, double to) {
      const double a = std::max(x_of(from), left), b = std::min(x_of(to), right);
      if (a < b) out_.rect(a, top, b - a, bottom - top, "beyond", "outside the grid: clipped");
    };
    shade(c_.first - 1, c_.qmin - 0.5);
    shade(c_.qmax + 0.5, c_.last + 1);
    std::vector<double> ends;
    if (c_.first <= c_.qmin) ends.push_back(x_of(c_.qmin - 0.5));
    if (c_.last >= c_.qmax) ends.push_back(x_of(c_.qmax + 0.5));
    out_.combs(ends, top, bottom, "end");
  }

  /// Every code of the grid as a line where they can be told apart, and numbers.
  void codes() {
    std::vector<double> lines;
    for (int q = std::max(c_.first, c_.qmin); q <= std::min(c_.last, c_.qmax); ++q) {
      lines.push_back(x_of(q));
    }
    if (step_ >= 5) {
      out_.combs(lines, top, bottom, "code");
    } else {
      out_.combs(lines, bottom, bottom + 4, "code");
    }
    int every = 1;
    for (const int e : {2, 5, 10, 20, 50}) {
      if (every * step_ < 30) every = e;
    }
    for (int q = c_.first; q <= c_.last; ++q) {
      if (q % every == 0) out_.text(x_of(q), bottom + 16, std::to_string(q), "middle", "tick");
    }
  }

  void bars(const std::vector<double>& values, const std::string& style, const std::string& name) {
    const double gap = step_ >= 5 ? 0.2 * step_ : 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (!(values[i] > 0)) continue;
      const int code = c_.first + static_cast<int>(i);
      const double y = std::min(y_of(values[i]), bottom - 1);
      out_.rect(x_of(code - 0.5) + gap / 2, y, step_ - gap, bottom - y, "bar " + style,
                "code " + std::to_string(code) + ", " + name + ": " + tick_text(values[i]));
    }
  }

  void outline() {
    if (c_.before_name.empty()) return;
    std::vector<svg::point> points;
    double drawn = -1;
    for (std::size_t b = 0; b < c_.before.size(); ++b) {
      const double value = c_.before[b], y = value > 0 ? y_of(value) : bottom;
      const double x = x_of(c_.first - 0.5 + static_cast<double>(b) / c_.bins_per_step);
      if (y == drawn) continue;  // a level step needs its two ends only
      if (!points.empty()) points.emplace_back(x, points.back().second);
      points.emplace_back(x, y);
      drawn = y;
    }
    if (!points.empty()) points.emplace_back(right, points.back().second);
    out_.polyline(points, "outline");
  }

  const grid_chart& c_;
  axis up_;
  double step_;
  svg out_;
};

}  // namespace

std::string draw(const grid_chart& c) {
  return grid_drawing(c).result();
}

std::string draw(const heat_map& m) {
  constexpr double row_height = 15, dot = 2.2;
  const double left = gutter(m.rows, [](const auto& r) -> const std::string& { return r.label; });
  const double right =
      width - gutter(m.rows, [](const auto& r) -> const std::string& { return r.note; });
  const double bottom = top + row_height * static_cast<double>(m.rows.size());
  svg out(width, bottom + 30, m.title, m.description);
  double x = 4;
  for (std::size_t k = 0; k < m.classes.size(); ++k) {
    out.rect(x, 6, 14, 12, "h" + std::to_string(k));
    if (k >= m.marked_from) out.circle(x + 7, 12, dot, "mark");
    out.text(x + 18, 16, m.classes[k], "start", "legend");
    x += 34 + 6.4 * static_cast<double>(m.classes[k].size());
  }
  for (std::size_t i = 0; i < m.rows.size(); ++i) {
    const auto& row = m.rows[i];
    const double y = top + row_height * static_cast<double>(i);
    out.text(left - 10, y + 11, shortened(row.label), "end", "name");
    if (!row.note.empty()) out.text(width - 2, y + 11, row.note, "end", "note");
    const double cell =
        (right - left) / static_cast<double>(std::max<std::size_t>(row.cells.size(), 1));
    for (std::size_t j = 0, end = 0; j < row.cells.size(); j = end) {
      end = j + 1;  // neighbours of one class are one rectangle, but for marked ones
      const std::size_t k = row.cells[j];
      while (k < m.marked_from && end < row.cells.size() && row.cells[end] == k) ++end;
      const double at = left + cell * static_cast<double>(j);
      out.rect(at, y, cell * static_cast<double>(end - j), row_height - 1, "h" + std::to_string(k),
               k >= m.marked_from ? row.label + ": " + m.classes[k] : std::string());
      if (k >= m.marked_from) out.circle(at + cell / 2, y + row_height / 2 - 0.5, dot, "mark");
    }
  }
  out.text((left + right) / 2, bottom + 18, m.below, "middle", "unit");
  return out.str();
}

}  // namespace lab
