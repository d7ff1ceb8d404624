// Four kinds of chart, each a pure function from numbers to an SVG drawing. Series are told apart by
// shape or dashes as well as by colour; values that are not finite are left out.
#pragma once

#include <lab/report/axis.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace lab {

enum class shape { bar, dot, ring, tick };

struct chart_series {
  std::string name;
  shape form = shape::bar;
};

/// Named rows along one axis: bars from zero, or marks, with whiskers one standard error long.
struct row_chart {
  struct mark {
    std::size_t series = 0;
    double value = 0, spread = 0;  ///< no whisker for a spread of 0 or NaN
  };
  struct row {
    std::string label;
    std::vector<mark> marks;
    std::string note;  ///< at the right end
  };
  std::string title, description, unit;
  axis::kind scale = axis::kind::linear;
  std::vector<chart_series> series;
  std::vector<row> rows;
  bool lanes = false;  ///< one under the other; otherwise all marks of a row share its middle
};
[[nodiscard]] std::string draw(const row_chart& c);

/// Lines over the layers of a model, which are grouped in blocks.
struct line_chart {
  struct line {
    std::string name;
    std::vector<double> values;
    bool joined = true;  ///< points otherwise
  };
  std::string title, description, unit;
  std::vector<std::string> labels;  ///< of the points
  std::vector<std::string> groups;  ///< equal neighbours are one group
  std::vector<line> lines;          ///< at most four
};
[[nodiscard]] std::string draw(const line_chart& c);

/// Counts on a grid: bars after quantization, an outline of the density before it.
struct grid_chart {
  std::string title, description;
  int first = 0, last = 0;            ///< codes shown
  int qmin = 0, qmax = 0;             ///< beyond them lies no grid
  std::vector<double> after, marked;  ///< per code shown; of which those to mark
  double bins_per_step = 1;
  std::vector<double> before;  ///< density in counts per step, from first - 1/2
  bool logarithmic = false;    ///< counts on a log axis
  std::string before_name, after_name, marked_name;  ///< an empty name leaves that part out
};
[[nodiscard]] std::string draw(const grid_chart& c);

/// Rows of cells in classes; a cell of a class is drawn in its colour.
struct heat_map {
  struct row {
    std::string label;
    std::vector<std::size_t> cells;  ///< indices into `classes`, from left to right
    std::string note;
  };
  std::string title, description, below;
  std::vector<std::string> classes;  ///< their names, the lowest first; at most nine
  std::size_t marked_from = 9;       ///< classes that also get a dot
  std::vector<row> rows;
};
[[nodiscard]] std::string draw(const heat_map& m);

}  // namespace lab
