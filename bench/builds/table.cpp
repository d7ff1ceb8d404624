#include "table.hpp"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <nlohmann/json.hpp>
#include <sstream>

namespace bench {

namespace {

/// Two decimals, the precision of the verdict; nothing for what was not measured.
std::string text_of(double ratio) {
  if (std::isnan(ratio)) return "";
  std::ostringstream text;
  text << std::fixed << std::setprecision(2) << ratio;
  return text.str();
}

/// Where a ratio should lie: ">= 0.97" or "0.95 .. 1.05"; nothing where all are welcome.
std::string range_text(const ratio_column& c) {
  if (c.floor <= 0 && std::isinf(c.ceiling)) return "";
  if (std::isinf(c.ceiling)) return ">= " + text_of(c.floor);
  return text_of(c.floor) + " .. " + text_of(c.ceiling);
}

std::vector<ratio_row> with_mean(const build_ratios& found) {
  std::vector<ratio_row> rows = found.rows;
  rows.push_back(mean_row(found));
  return rows;
}

}  // namespace

std::string verdict(const std::vector<ratio_column>& columns, const ratio_row& row) {
  std::string outside;
  for (std::size_t c = 0; c < columns.size(); ++c) {
    if (std::isnan(row.ratios[c])) continue;
    const double printed = std::round(100 * row.ratios[c]);
    if (printed >= std::round(100 * columns[c].floor) &&
        printed <= std::round(100 * columns[c].ceiling)) {
      continue;
    }
    outside += (outside.empty() ? "" : ", ") + columns[c].title;
  }
  return outside.empty() ? "met" : outside;
}

ratio_row mean_row(const build_ratios& found) {
  ratio_row mean{"geometric mean", {}};
  for (std::size_t c = 0; c < found.columns.size(); ++c) {
    double sum = 0;
    int count = 0;
    for (const ratio_row& row : found.rows) {
      if (!std::isnan(row.ratios[c])) sum += std::log(row.ratios[c]), ++count;
    }
    mean.ratios.push_back(count == 0 ? std::nan("") : std::exp(sum / count));
  }
  return mean;
}

void write_table(std::ostream& out, const build_ratios& found) {
  const std::vector<ratio_row> rows = with_mean(found);
  std::size_t width = 0;
  for (const ratio_row& row : rows) width = std::max(width, row.regime.size());
  const auto name = std::setw(static_cast<int>(width));
  out << found.processor << '\n';
  for (const std::string& one : found.builds) out << one << '\n';
  out << '\n' << std::left << name << "speed over speed";
  for (const ratio_column& c : found.columns) {
    out << "  " << std::setw(static_cast<int>(c.title.size())) << c.title;
  }
  out << '\n' << name << "should be";
  for (const ratio_column& c : found.columns) {
    out << "  " << std::setw(static_cast<int>(c.title.size())) << range_text(c);
  }
  out << '\n';
  for (const ratio_row& row : rows) {
    out << name << row.regime;
    for (std::size_t c = 0; c < found.columns.size(); ++c) {
      const auto column = std::setw(static_cast<int>(found.columns[c].title.size()));
      out << "  " << column << text_of(row.ratios[c]);
    }
    out << "  " << verdict(found.columns, row) << '\n';
  }
}

void write_markdown(std::ostream& out, const build_ratios& found) {
  out << "# Compilers and -march\n\nWritten by `bench/run.sh --builds --markdown docs/builds.md`; "
         "nothing here is typed by hand.\n[dispatch.md](dispatch.md) says why builds differ where "
         "they do. A number is the speed of one build over that\nof another: a median over rounds "
         "within one process, in which all builds take turns. Portable: without\n-march; native: "
         "-march=native. All at -O3, one thread; the bits of every result were compared. The last "
         "column of\nnumbers is a build beside itself, the same code on other memory: what it "
         "strays from 1.00 is noise.\n\nMachine: "
      << found.processor << ".\n\n";
  for (const std::string& one : found.builds) out << "- " << one << '\n';
  for (const std::string& one : found.skipped) out << "- Skipped: " << one << '\n';
  out << "\n| regime |";
  for (const ratio_column& c : found.columns) out << ' ' << c.title << " |";
  out << " |\n|---|";
  for (std::size_t c = 0; c <= found.columns.size(); ++c) out << "---|";
  out << "\n| *should be* |";
  for (const ratio_column& c : found.columns) out << ' ' << range_text(c) << " |";
  out << " |\n";
  for (const ratio_row& row : with_mean(found)) {
    out << "| " << row.regime << " |";
    for (const double ratio : row.ratios) out << ' ' << text_of(ratio) << " |";
    out << ' ' << verdict(found.columns, row) << " |\n";
  }
}

void write_json(std::ostream& out, const build_ratios& found) {
  nlohmann::ordered_json all;
  all["processor"] = found.processor;
  all["builds"] = found.builds;
  all["skipped"] = found.skipped;
  for (const ratio_column& c : found.columns) {
    all["columns"].push_back({{"title", c.title}, {"floor", c.floor}});
    if (!std::isinf(c.ceiling)) all["columns"].back()["ceiling"] = c.ceiling;
  }
  for (const ratio_row& row : with_mean(found)) {
    all["regimes"].push_back({{"name", row.regime}, {"ratios", row.ratios}});
    all["regimes"].back()["met"] = verdict(found.columns, row) == "met";
  }
  out << all.dump(1) << '\n';
}

}  // namespace bench
