// Drawings of known numbers: every mark is there, at its place, and the drawing is well-formed.
#include "support/test.hpp"
#include "xml.hpp"

#include <lab/report/charts.hpp>

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
const std::string hostile = "<&\"'>";

std::size_t times(const std::string& text, const std::string& part) {
  std::size_t n = 0;
  for (std::size_t at = 0; (at = text.find(part, at)) != std::string::npos; ++at) ++n;
  return n;
}

/// The attribute of the first element that has `part` in an attribute or as its hint.
double attribute(const std::string& text, const std::string& part, const std::string& name) {
  const std::size_t at = text.find(part);
  REQUIRE(at != std::string::npos);
  std::size_t begin = text.rfind('<', at);
  if (text.compare(begin, 7, "<title>") == 0) begin = text.rfind('<', begin - 1);
  const std::size_t value = text.find(" " + name + "=\"", begin);
  REQUIRE(value != std::string::npos);
  return std::stod(text.substr(value + name.size() + 3));
}

lab::row_chart rows() {
  lab::row_chart c{"t", "d",  "nats", lab::axis::kind::linear, {{"one", lab::shape::bar}},
                   {},  false};
  c.rows = {{"a", {{0, 1, 0.25}}, "1.0"}, {"b", {{0, 0.5, 0}}, "0.5"}};
  return c;
}

}  // namespace

TEST_CASE("Bars have the lengths of their values, whiskers theirs") {
  const std::string text = draw(rows());
  CHECK(test::xml_problem(text).empty());
  CHECK(times(text, "class=\"bar s0\"") == 2);
  const double one = attribute(text, "a, one: 1 +- 0.25 (nats)", "width");
  const double half = attribute(text, "b, one: 0.5 (nats)", "width");
  CHECK(one == Approx(2 * half).margin(0.11));
  const double left = attribute(text, "class=\"whisker\"", "x1"),
               right = attribute(text, "class=\"whisker\"", "x2");
  CHECK(right - left == Approx(half).margin(0.11));
}

TEST_CASE("Negative bars begin at their value and end at zero") {
  auto c = rows();
  c.rows[1].marks[0].value = -0.5;
  const std::string text = draw(c);
  const double a = attribute(text, "a, one", "x"), b = attribute(text, "b, one", "x");
  CHECK(b + attribute(text, "b, one", "width") == Approx(a).margin(0.11));
}

TEST_CASE("Row charts with odd numbers and hostile names") {
  lab::row_chart c{hostile,
                   hostile,
                   hostile,
                   lab::axis::kind::symlog,
                   {{hostile, lab::shape::bar}, {"r", lab::shape::ring}, {"t", lab::shape::tick}},
                   {},
                   true};
  const double values[] = {0, 1e-9, -3, infinity, -infinity, std::nan(""), 1e9};
  for (const double v : values) {
    c.rows.push_back(
        {hostile + std::string(200, 'x'), {{0, v, v}, {1, v, infinity}, {2, v, -1}}, hostile});
  }
  for (const auto k : {lab::axis::kind::linear, lab::axis::kind::log, lab::axis::kind::symlog}) {
    c.scale = k;
    const std::string text = draw(c);
    INFO(test::xml_problem(text));
    CHECK(test::xml_problem(text).empty());
    for (const char* bad : {"nan", "inf\"", "script"}) CHECK(times(text, bad) == 0);
    CHECK(times(text, "class=\"ring s1\"") == 4 + 1);  // the finite ones, and the legend
  }
  c.rows.clear();
  CHECK(test::xml_problem(draw(c)).empty());
}

TEST_CASE("Lines break where a value is not finite") {
  lab::line_chart c{"t",
                    "d",
                    "dB",
                    {"h.0.a", "h.0.b", "h.1.a", "h.1.b", "x"},
                    {"h.0", "h.0", "h.1", "h.1", hostile},
                    {{"one", {1, 2, infinity, 4, 5}, true},
                     {hostile, {5, 4, 3, 2, std::nan("")}, true},
                     {"points", {1, 1, 1, 1, 1}, false}}};
  const std::string text = draw(c);
  CHECK(test::xml_problem(text).empty());
  CHECK(times(text, "path s0") == 2 + 1);  // two pieces and the legend
  CHECK(times(text, "path s1") == 1 + 1);
  CHECK(times(text, "dot s0") == 4 + 1);
  CHECK(times(text, "ring s1") == 4 + 1);
  CHECK(times(text, "path s2") == 0);
  CHECK(times(text, "class=\"rule\"") == 2);
  CHECK(attribute(text, "h.0.a, one: 1 dB", "cy") > attribute(text, "h.0.b, one: 2 dB", "cy"));
  CHECK(test::xml_problem(draw(lab::line_chart{"t", "d", "dB", {}, {}, {}})).empty());
}

TEST_CASE("Histograms: bars at their codes, the grid drawn in, what is outside shaded") {
  lab::grid_chart c;
  c.title = c.description = hostile;
  c.first = -3, c.last = 3, c.qmin = -2, c.qmax = 2;
  c.after = {0, 8, 0, 16, 4, 1, 0};
  c.marked = {0, 8, 0, 0, 0, 0, 0};
  c.before.assign(7 * 4, 2);
  c.bins_per_step = 4;
  c.after_name = "after", c.marked_name = hostile, c.before_name = "before";
  const std::string text = draw(c);
  CHECK(test::xml_problem(text).empty());
  CHECK(times(text, "bar s0") == 4 + 1);
  CHECK(times(text, "bar s1") == 1 + 1);
  CHECK(times(text, "class=\"beyond\"") == 2);
  CHECK(times(text, "class=\"outline\"") == 1 + 1);
  const double eight = attribute(text, "code -2, after: 8", "height");
  CHECK(attribute(text, "code 0, after: 16", "height") == Approx(2 * eight).margin(0.11));
  const double step = attribute(text, "code 1, after", "x") - attribute(text, "code 0, after", "x");
  CHECK(attribute(text, "code 2, after", "x") - attribute(text, "code -2, after", "x") ==
        Approx(4 * step).margin(0.51));
  c.logarithmic = true;
  const std::string logarithmic = draw(c);
  CHECK(test::xml_problem(logarithmic).empty());
  CHECK(attribute(logarithmic, "code 0, after: 16", "height") <
        2 * attribute(logarithmic, "code -2, after: 8", "height"));
  CHECK(attribute(logarithmic, "code 2, after: 1", "height") == 1);  // seen, though log 1 = 0
}

TEST_CASE("Heat maps: neighbours of a class share a rectangle, marked cells do not") {
  lab::heat_map m{"t", "d", "below", {"low", "high", hostile}, 2, {}};
  m.rows = {{hostile, {0, 0, 0, 1, 2, 2}, "3 x"}, {"b", {}, ""}};
  const std::string text = draw(m);
  CHECK(test::xml_problem(text).empty());
  CHECK(times(text, "class=\"h0\"") == 1 + 1);
  CHECK(times(text, "class=\"h1\"") == 1 + 1);
  CHECK(times(text, "class=\"h2\"") == 2 + 1);
  CHECK(times(text, "class=\"mark\"") == 2 + 1);
}
