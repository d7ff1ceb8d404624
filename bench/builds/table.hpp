// What zp-builds found out: for every regime the ratio of the speeds of two builds, and whether it
// lies where it should. Three forms: a table, Markdown, JSON.
#pragma once

#include <ostream>
#include <string>
#include <vector>

namespace bench {

/// Speed of one build over that of another, and where it should lie.
struct ratio_column {
  std::string title;
  double floor, ceiling;
};

/// A ratio per column; NaN: not measured.
struct ratio_row {
  std::string regime;
  std::vector<double> ratios;
};

struct build_ratios {
  std::string processor;
  std::vector<std::string> builds, skipped;  ///< a line each
  std::vector<ratio_column> columns;
  std::vector<ratio_row> rows;
};

/// "met", or the titles of the columns whose ratio, rounded as it is printed, lies outside.
[[nodiscard]] std::string verdict(const std::vector<ratio_column>& columns, const ratio_row& row);
/// The geometric mean of what was measured of each column; NaN where nothing was.
[[nodiscard]] ratio_row mean_row(const build_ratios& found);

void write_table(std::ostream& out, const build_ratios& found);
void write_markdown(std::ostream& out, const build_ratios& found);
void write_json(std::ostream& out, const build_ratios& found);

}  // namespace bench
