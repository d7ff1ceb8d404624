// The structure of include/zeropoint, read from its #include lines: arrows point down only
//
//   base  <-  kernels  <-  math  <-  gemm  <-  nn  <-  zeropoint.hpp
//
// and a few rules that a reader relies on: one file knows Eigen, one knows xsimd, none does I/O.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "support/test.hpp"

namespace fs = std::filesystem;

namespace {

const fs::path include_folder = "include";  // tests run in the root of the repository

struct header {
  std::string name;  // "zeropoint/math/params.hpp"
  std::vector<std::string> lines;
  std::vector<std::string> includes;  // between <> or "", in order
};

header parse(const std::string& name, std::istream& text) {
  header h{name, {}, {}};
  for (std::string line; std::getline(text, line);) {
    h.lines.push_back(line);
    const auto hash = line.find_first_not_of(" \t");
    if (hash == std::string::npos || line[hash] != '#') continue;
    const auto word = line.find_first_not_of(" \t", hash + 1);
    if (word == std::string::npos || line.compare(word, 7, "include") != 0) continue;
    const auto open = line.find_first_of("<\"", word);
    if (open == std::string::npos) continue;
    const auto close = line.find_first_of(">\"", open + 1);
    h.includes.push_back(line.substr(open + 1, close - open - 1));
  }
  return h;
}

header parse(const std::string& name, const std::string& text) {
  std::istringstream stream(text);
  return parse(name, stream);
}

const std::vector<header>& headers() {
  static const std::vector<header> all = [] {
    std::vector<header> found;
    for (const auto& entry : fs::recursive_directory_iterator(include_folder)) {
      if (entry.path().extension() != ".hpp") continue;
      std::ifstream file(entry.path());
      found.push_back(parse(entry.path().lexically_relative(include_folder).string(), file));
    }
    std::sort(found.begin(), found.end(),
              [](const header& a, const header& b) { return a.name < b.name; });
    return found;
  }();
  return all;
}

/// "math" of "zeropoint/math/params.hpp"; "" for the headers at the top.
std::string layer(const std::string& name) {
  const auto first = name.find('/'), last = name.rfind('/');
  return first == last ? "" : name.substr(first + 1, last - first - 1);
}

const std::map<std::string, std::set<std::string>> below = {
    {"base", {"base"}},
    {"kernels", {"base", "kernels"}},
    {"math", {"base", "kernels", "math"}},
    {"gemm", {"base", "math", "kernels", "gemm"}},
    {"nn", {"base", "math", "kernels", "gemm", "nn"}},
    {"", {"", "base", "math", "kernels", "gemm", "nn"}},
};

/// The includes of a header that the drawing above does not allow.
std::vector<std::string> upward(const header& h) {
  std::vector<std::string> wrong;
  for (const auto& i : h.includes) {
    if (i.rfind("zeropoint/", 0) != 0 || i == "zeropoint/version.hpp") continue;
    if (below.at(layer(h.name)).count(layer(i)) == 0) wrong.push_back(i);
  }
  return wrong;
}

/// What a header of the library must not include: it opens no file, prints nothing, starts no
/// thread; Eigen and xsimd have one home each; its own files are named in full, between <>.
std::vector<std::string> forbidden(const header& h) {
  static const std::set<std::string> never = {"iostream", "fstream", "filesystem",
                                              "future",   "print",   "format"};
  std::vector<std::string> wrong;
  for (const auto& i : h.includes) {
    const bool eigen = i.rfind("Eigen/", 0) == 0, xsimd = i.rfind("xsimd/", 0) == 0;
    const bool own = i.find(".hpp") != std::string::npos && !xsimd;
    if (never.count(i) != 0 || (i == "thread" && h.name != "zeropoint/base/thread_team.hpp") ||
        (eigen && h.name != "zeropoint/base/matrix_view.hpp") ||
        (xsimd && h.name != "zeropoint/math/elementwise.hpp") ||
        (own && !fs::exists(include_folder / i))) {
      wrong.push_back(i);
    }
  }
  return wrong;
}

/// True for a header that declares something, and is not only includes and macros.
bool declares(const header& h) {
  bool continued = false;
  return std::any_of(h.lines.begin(), h.lines.end(), [&](const std::string& line) {
    const bool directive = continued || line[0] == '#';
    continued = directive && !line.empty() && line.back() == '\\';
    return !line.empty() && !directive && line.rfind("//", 0) != 0;
  });
}

/// The first line that is no comment and not empty; every header's is `#pragma once`.
std::string first_code(const header& h) {
  for (const auto& line : h.lines) {
    if (!line.empty() && line.rfind("//", 0) != 0) return line;
  }
  return "";
}

/// A page that others include once per encoding, into namespaces of theirs: empty when alone.
bool is_page(const header& h) {
  return h.name == "zeropoint/kernels/ymm_vnni_tile.hpp";
}

/// One string, so that a failing check prints what it found.
std::string joined(const std::vector<std::string>& names) {
  std::string all;
  for (const auto& n : names) all += n + ' ';
  return all;
}

bool contains_line(const header& h, const std::string& wanted) {
  return std::find(h.lines.begin(), h.lines.end(), wanted) != h.lines.end();
}

}  // namespace

TEST_CASE("the checks below see what they should") {
  const auto math = parse("zeropoint/math/a.hpp",
                          "// a\n#pragma once\n#include <zeropoint/gemm/gemm.hpp>\n"
                          "#  include <zeropoint/base/error.hpp>\n#include <Eigen/Core>\n"
                          "#include \"params.hpp\"\n#include <xsimd/xsimd.hpp>\n"
                          "// #include <thread>\n#include <iostream>\n#include <cmath>\n");
  REQUIRE(math.includes.size() == 7);
  REQUIRE(upward(math) == std::vector<std::string>{"zeropoint/gemm/gemm.hpp"});
  REQUIRE(forbidden(math) ==
          std::vector<std::string>{"Eigen/Core", "params.hpp", "xsimd/xsimd.hpp", "iostream"});
  REQUIRE(first_code(math) == "#pragma once");
  REQUIRE_FALSE(declares(math));
  REQUIRE_FALSE(declares(parse("zeropoint/base/b.hpp", "#define A(x) \\\n  (x) \\\n  + 1\n")));
  REQUIRE(declares(parse("zeropoint/base/b.hpp", "#define A(x) \\\n  (x)\nint a;\n")));
  REQUIRE(upward(parse("zeropoint/base/b.hpp", "#include <zeropoint/math/params.hpp>\n")).size() ==
          1);
  REQUIRE(upward(parse("zeropoint/gemm/c.hpp", "#include <zeropoint/nn/linear.hpp>\n")).size() ==
          1);
  REQUIRE(upward(parse("zeropoint/gemm/c.hpp", "#include <zeropoint/zeropoint.hpp>\n")).size() ==
          1);
  REQUIRE(
      upward(parse("zeropoint/kernels/d.hpp", "#include <zeropoint/math/params.hpp>\n")).size() ==
      1);
}

TEST_CASE("includes point down only") {
  REQUIRE(headers().size() > 8);
  for (const auto& h : headers()) {
    INFO(h.name);
    REQUIRE(below.count(layer(h.name)) == 1);
    CHECK(joined(upward(h)) == "");
  }
}

TEST_CASE("no header does I/O; threads, Eigen and xsimd have one home each") {
  for (const auto& h : headers()) {
    INFO(h.name);
    CHECK(joined(forbidden(h)) == "");
  }
}

TEST_CASE("every header opens with a comment, then #pragma once, and stays under 300 lines") {
  for (const auto& h : headers()) {
    INFO(h.name << ", " << h.lines.size() << " lines");
    REQUIRE_FALSE(h.lines.empty());
    CHECK(h.lines[0].rfind("// ", 0) == 0);
    CHECK(first_code(h) == (is_page(h) ? "#if defined(ZP_DPBUSD)" : "#pragma once"));
    CHECK(h.lines.size() < 300);
  }
}

TEST_CASE("every header puts the baseline into its namespace, so that units never share code") {
  for (const auto& h : headers()) {
    if (!declares(h) || is_page(h)) continue;
    INFO(h.name);
    CHECK(contains_line(h, "namespace zeropoint::inline ZP_BASELINE {"));
  }
}

TEST_CASE("zeropoint.hpp is short and reaches every header") {
  std::map<std::string, const header*> by_name;
  for (const auto& h : headers()) by_name[h.name] = &h;
  REQUIRE(by_name.count("zeropoint/zeropoint.hpp") == 1);
  CHECK(by_name["zeropoint/zeropoint.hpp"]->lines.size() <= 48);

  std::set<std::string> reached;
  std::vector<std::string> waiting = {"zeropoint/zeropoint.hpp"};
  while (!waiting.empty()) {
    const std::string name = waiting.back();
    waiting.pop_back();
    if (by_name.count(name) == 0 || !reached.insert(name).second) continue;
    for (const auto& i : by_name[name]->includes) waiting.push_back(i);
  }
  for (const auto& h : headers()) {
    INFO(h.name);
    CHECK(reached.count(h.name) == 1);
  }
}
