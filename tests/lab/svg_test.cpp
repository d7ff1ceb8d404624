// Escaping and drawings, read back with a strict reader that is tested first.
#include "support/test.hpp"
#include "xml.hpp"

#include <lab/report/svg.hpp>

#include <vector>

TEST_CASE("The reader of the tests refuses what is not well-formed") {
  CHECK(test::xml_problem("<a b=\"1\"><c/>x &amp; y</a>").empty());
  for (const char* bad : {"<a>", "<a></b>", "</a>", "<a b=1/>", "<a b=\"1\" b=\"2\"/>", "<a>&</a>",
                          "<a>&nbsp;</a>", "<a b=\"<\"/>", "<a>></a>", "<a b=\"1/>", "<a", "<>"}) {
    INFO(bad);
    CHECK(!test::xml_problem(bad).empty());
  }
}

TEST_CASE("Text from outside cannot leave its element or attribute") {
  CHECK(lab::escaped("a<b>&\"'") == "a&lt;b&gt;&amp;&quot;&#39;");
  CHECK(lab::escaped("\xCE\xBB") == "\xCE\xBB");
  CHECK(lab::escaped(std::string_view("\x00\x1b\n", 3)) == "\\x00\\x1b\\x0a");
  CHECK(lab::escaped("\xff\xC0\xAF") == "\\xff\\xc0\\xaf");
  CHECK(lab::escaped("").empty());
  test::generator g(test::seed(5));
  for (int round = 0; round < 200; ++round) {
    std::string text;
    for (int i = 0; i < 40; ++i) text += static_cast<char>(g());
    const std::string inside = lab::escaped(text);
    CHECK(test::xml_problem("<a b=\"" + inside + "\">" + inside + "</a>").empty());
  }
  // Nothing is cut off, however long it becomes.
  CHECK(lab::escaped(std::string(5000, '\x01')).size() == 20000);
}

TEST_CASE("A drawing is well-formed with any strings, and numbers are short") {
  const std::string hostile = "</svg><script>\"'&\x02";
  lab::svg out(100, 50.25, hostile, hostile);
  out.rect(0, 1.04, 2.06, -0.04, hostile, hostile);
  out.line(0, 0, 1, 1, "grid");
  out.circle(1, 2, 3, "dot", hostile);
  const std::vector<lab::svg::point> points = {{1, 2}, {3.14159, 4}};
  out.polyline(points, "path");
  const std::vector<double> xs = {1, 2};
  out.combs(xs, 0, 9, "code");
  out.text(1, 2, hostile, "middle", "name");
  out.text(1, 2, "x");
  out.polyline({}, "nothing");
  const std::string drawing = out.str();
  test::xml_reader reader(drawing);
  CHECK(reader.problem().empty());
  CHECK(reader.count("title") == 3);
  CHECK(reader.count("desc") == 1);
  CHECK(reader.count("polyline") == 1);
  CHECK(reader.count("script") == 0);
  CHECK(out.str().find("x=\"0\" y=\"1\" width=\"2.1\" height=\"0\"") != std::string::npos);
  CHECK(out.str().find("points=\"1,2 3.1,4\"") != std::string::npos);
  CHECK(out.str().find("M1 0V9M2 0V9") != std::string::npos);
}
