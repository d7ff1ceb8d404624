// What zp-regimes found out, and its three forms: a table, Markdown, JSON.
#pragma once

#include <limits>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <vector>

namespace bench {

/// The floor and the goal of what is only watched: it is met, and the tables give no verdict.
inline constexpr double no_target = 0;

struct regime {
  std::string name, unit;
  double floor, goal, measured;
  /// The share of what this machine allows at all, as far as it was measured: of the multiply-add peak
  /// or of reading the weights at their footprint, whichever takes longer. NaN: not measured.
  double of_limit;
};

/// What one core of this machine can do, in absolute numbers.
struct peak_rate {
  std::string name;
  double value;
  std::string unit;
};

/// Everything that was found out, in order.
struct findings {
  std::vector<regime> regimes;
  std::vector<peak_rate> peaks;
  nlohmann::ordered_json peers = nlohmann::ordered_json::array();

  void add(const std::string& name, const std::string& unit, double floor, double goal,
           double measured, double of_limit = std::numeric_limits<double>::quiet_NaN()) {
    regimes.push_back({name, unit, floor, goal, measured, of_limit});
  }
};

/// Processor, kernel, baseline and compiler in one line.
[[nodiscard]] std::string machine();
/// The peaks; then regime, floor, goal, measured, unit and verdict, aligned for a terminal.
void write_table(std::ostream& out, const findings& found);
/// The page docs/benchmarks.md. These two throw std::runtime_error when they cannot write.
void write_markdown(const std::string& path, const findings& found, bool quick);
void write_json(const std::string& path, const findings& found);

}  // namespace bench
