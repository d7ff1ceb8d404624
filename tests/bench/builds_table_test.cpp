// The arithmetic of the table that zp-builds prints.
#include <bench/builds/table.hpp>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include "support/test.hpp"

namespace {

const double none = std::nan("");

bench::build_ratios example() {
  bench::build_ratios found;
  found.processor = "some processor";
  found.builds = {"GCC portable: GCC 12"};
  found.skipped = {"Clang portable (missing)"};
  found.columns = {{"portable", 0.97, std::numeric_limits<double>::infinity()},
                   {"compilers", 0.95, 1.05}};
  found.rows = {{"a", {0.5, none}}, {"b", {2.0, none}}};
  return found;
}

}  // namespace

TEST_CASE("a ratio of builds is judged as it is printed") {
  const auto columns = example().columns;
  const auto verdict = [&](double portable, double compilers) {
    return bench::verdict(columns, {"", {portable, compilers}});
  };
  CHECK(verdict(0.97, 0.95) == "met");
  CHECK(verdict(5.0, 1.05) == "met");
  CHECK(verdict(0.9651, 1.0549) == "met");  // printed 0.97 and 1.05
  CHECK(verdict(0.9649, 1.0) == "portable");
  CHECK(verdict(1.0, 0.9449) == "compilers");
  CHECK(verdict(1.0, 1.0551) == "compilers");
  CHECK(verdict(0.9, 1.1) == "portable, compilers");
  CHECK(verdict(0.9, none) == "portable");
  CHECK(verdict(none, none) == "met");
}

TEST_CASE("the mean of a column of ratios is geometric and leaves out what was not measured") {
  bench::build_ratios found = example();
  CHECK(bench::mean_row(found).ratios[0] == Approx(1.0));  // of 0.5 and 2
  CHECK(std::isnan(bench::mean_row(found).ratios[1]));
  found.rows.push_back({"c", {none, 1.25}});
  CHECK(bench::mean_row(found).ratios[0] == Approx(1.0));
  CHECK(bench::mean_row(found).ratios[1] == Approx(1.25));
}

TEST_CASE("the three forms of the table of builds say the same") {
  std::ostringstream table, markdown, json;
  bench::write_table(table, example());
  bench::write_markdown(markdown, example());
  bench::write_json(json, example());
  CHECK_THAT(markdown.str(), Catch::Contains("| a | 0.50 |  | portable |\n| b | 2.00 |  | met |"));
  CHECK_THAT(markdown.str(), Catch::Contains("| *should be* | >= 0.97 | 0.95 .. 1.05 | |\n"));
  CHECK_THAT(markdown.str(), Catch::Contains("- Skipped: Clang portable (missing)"));
  CHECK_THAT(table.str(), Catch::Contains("geometric mean"));
  const auto all = nlohmann::json::parse(json.str());
  REQUIRE(all["regimes"].size() == 3);
  CHECK(all["regimes"][0]["name"] == "a");
  CHECK(all["regimes"][0]["met"] == false);
  CHECK(all["regimes"][1]["ratios"][0] == 2.0);
  CHECK(all["regimes"][1]["ratios"][1].is_null());
}
