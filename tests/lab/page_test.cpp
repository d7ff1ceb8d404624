// zp-lab report on a tiny model: the three forms say the same, the same bytes twice, and nothing in
// them can leave its place.
#include "command.hpp"
#include "support/test.hpp"
#include "tiny_model.hpp"
#include "xml.hpp"

#include <lab/report/content.hpp>
#include <lab/report/format.hpp>

namespace {

using nlohmann::json;
using test::contains;
using test::outcome;
using test::zp_lab;

std::string some_text(std::size_t bytes) {
  test::generator g(test::seed(43));
  std::string text;
  while (text.size() < bytes) text += static_cast<char>(g() % 7 == 0 ? ' ' : 'a' + g() % 26);
  return text;
}

const std::string hostile = "a<script>alert(1)<|'`\"&_*";

/// A tiny model under a hostile name, and texts.
struct files {
  explicit files(const std::string& family) {
    test::write_tiny_model(model, family);
    std::filesystem::create_directory_symlink(model.path(), other.path() / hostile);
    text = other.write("a<b>c.txt", some_text(400));
    seen = other.write("seen.txt", some_text(300));
  }
  std::vector<std::string> command(std::vector<std::string> more) const {
    std::vector<std::string> all = {"report",
                                    "--model",
                                    (other.path() / hostile).string(),
                                    "--text",
                                    text,
                                    "--calibration",
                                    seen,
                                    "--threads",
                                    "2",
                                    "--examine-tokens",
                                    "64"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  std::string path(const std::string& name) const { return other.path() / name; }

  test::scratch model, other;
  std::string text, seen;
};

json without_seconds(json j) {
  for (auto& row : j["rows"]) row.erase("seconds");
  return j;
}

/// HTML without entities, Markdown without backslashes: what a reader sees.
std::string seen_by_reader(std::string text) {
  const std::pair<const char*, const char*> all[] = {
      {"&lt;", "<"}, {"&gt;", ">"}, {"&quot;", "\""}, {"&#39;", "'"}, {"&amp;", "&"}};
  for (const auto& [from, to] : all) {
    for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; ++at) {
      text.replace(at, std::string(from).size(), to);
    }
  }
  return text;
}

}  // namespace

TEST_CASE("HTML, Markdown and JSON carry the same numbers, the same bytes every time") {
  const files f("gpt2");
  const auto run = [&](const std::string& name) {
    const outcome o =
        zp_lab(f.command({"--plant", "2:6", "--out", f.path(name + ".html"), "--markdown",
                          f.path(name + ".md"), "--json", f.path(name + ".json")}));
    INFO(o.err);
    REQUIRE(o.code == 0);
    CHECK(o.out.empty());
    CHECK(o.err.empty());
  };
  run("one");
  run("two");
  const std::string html = test::slurp(f.path("one.html")),
                    markdown = test::slurp(f.path("one.md"));
  CHECK(html == test::slurp(f.path("two.html")));
  CHECK(markdown == test::slurp(f.path("two.md")));
  const json j = json::parse(test::slurp(f.path("one.json")));
  CHECK(without_seconds(j) == without_seconds(json::parse(test::slurp(f.path("two.json")))));

  test::xml_reader reader(html);
  INFO(reader.problem());
  CHECK(reader.problem().empty());
  CHECK(reader.count("script") == 0);
  CHECK(reader.count("link") == 0);
  CHECK(reader.count("img") == 0);
  CHECK(reader.count("svg") > 8);
  for (const char* elsewhere : {"src=", "href=", "url(", "@import"}) {
    CHECK(!contains(html, elsewhere));
  }
  CHECK(html.size() < 1500000);

  REQUIRE(j["rows"].size() == 8);
  REQUIRE(j["layers"].size() == 8);
  REQUIRE(j["sensitivity"].size() == 18);
  REQUIRE(j["ranges"].size() == 8);
  REQUIRE(j["distributions"].size() == 3);
  REQUIRE(j["attribution"].size() == 8);
  std::vector<std::string> numbers;
  for (const auto& row : j["rows"]) {
    numbers.push_back(lab::format("%.4f", row["loss"].get<double>()));
    if (row["scheme"] == "fp32") continue;
    numbers.push_back(lab::format("%+.5f", row["delta"].get<double>()));
    numbers.push_back(lab::format("%.5f", row["delta_se"].get<double>()));
    numbers.push_back(lab::format("%.6f", std::max(0.0, row["kl"].get<double>())));
  }
  for (const auto& layer : j["layers"]) {
    for (const char* key : {"weight_sqnr_db", "input_sqnr_db", "output_sqnr_db_local",
                            "output_sqnr_db_propagated", "channel_ratio", "kurtosis"}) {
      numbers.push_back(lab::format("%.1f", layer[key].get<double>()));
    }
  }
  for (std::size_t i = 1; i < j["sensitivity"].size(); ++i) {
    numbers.push_back(lab::format("%+.5f", j["sensitivity"][i]["delta"].get<double>()));
  }
  for (const auto& layer : j["attribution"]) {
    numbers.push_back(lab::format("%.6f", layer["kl"]["input rounding"]["mean"].get<double>()));
    numbers.push_back(lab::format("%.6f", layer["total_kl"]["se"].get<double>()));
  }
  for (const auto& range : j["ranges"]) {
    numbers.push_back(lab::format("%.5g", range["min_max"][0].get<double>()));
    numbers.push_back(lab::format("%.5g", range["percentile_99.9"][1].get<double>()));
  }
  for (const std::string& n : numbers) {
    INFO(n);
    CHECK(contains(html, ">" + n + "<"));
    CHECK(contains(markdown, " " + n + " |"));
  }
  for (const auto& d : j["distributions"]) {
    CHECK(d["inputs"]["after"].size() == 255);
    for (const auto& n : d["inputs"]["after"]) {
      CHECK(contains(html, ">" + std::to_string(n.get<std::uint64_t>()) + "<"));
    }
  }
  for (const std::string& part :
       {hostile, std::string("a<b>c.txt"), j["protocol"]["text_fnv1a64"].get<std::string>(),
        j["repeat"]["weights_fnv1a64"].get<std::string>(), std::string("planted 2:6"),
        std::string("--plant 2:6")}) {
    INFO(part);
    CHECK(contains(seen_by_reader(html), part));
  }
  CHECK(!contains(html, "<script"));
  // In Markdown the name is either escaped or in a code span, whose only end is another backtick.
  CHECK(contains(markdown, "# a\\<script\\>alert(1)\\<\\|'\\`\"&\\_\\*"));
  CHECK(contains(markdown, "`a<script>alert(1)<\\|''\"&_*`"));
}

TEST_CASE("Markdown on standard output, weights only") {
  const files f("opt");
  const outcome o = zp_lab(f.command({"--schemes", "w8", "--scheme", "w4-g32-gptq", "--markdown",
                                      "-", "--json", f.path("r.json")}));
  INFO(o.err);
  REQUIRE(o.code == 0);
  for (const char* part :
       {"# ", "| `fp32`", "| `w8`", "| `w4-g32-gptq`", "```", "## To repeat it"}) {
    INFO(part);
    CHECK(contains(o.out, part));
  }
  const json j = json::parse(test::slurp(f.path("r.json")));
  CHECK(j["rows"].size() == 3);
  CHECK(j["scheme"] == "w4-g32-gptq");
  CHECK(j["distributions"][0]["inputs"].is_null());
  CHECK(j["distributions"][0]["weights"]["after"].size() == 15);
}

TEST_CASE("What cannot be measured is left out, and the page says so") {
  const files f("gpt2");
  const auto run = [&](const std::string& scheme) {
    const outcome o = zp_lab(f.command({"--schemes", "w8", "--scheme", scheme, "--markdown", "-"}));
    INFO(o.err);
    REQUIRE(o.code == 0);
    return o.out;
  };
  const std::string watched = run("w8a8-static-watch");
  CHECK(contains(watched, "No sensitivity of single layers"));
  CHECK(!contains(watched, "What each layer costs"));
  const std::string outliers = run("w8a8-outlier");
  CHECK(contains(outliers, "No attribution of w8a8-outlier"));
  CHECK(contains(outliers, "What each layer costs"));
  for (const std::string& text : {watched, outliers}) {
    CHECK(!contains(text, "Where the damage comes from"));
  }
  const std::string exact = run("fp32");
  CHECK(!contains(exact, "Values and their grid"));
}

TEST_CASE("Bad options are one line and exit code 2") {
  const files f("gpt2");
  const struct {
    std::vector<std::string> more;
    const char* says;
  } cases[] = {
      {{}, "nothing to write; expected --out, --markdown or --json"},
      {{"--scheme", "w9", "-o", f.path("x.html")}, "\"w9\" is not a scheme"},
      {{"--schemes", "w8,w9", "-o", f.path("x.html")}, "\"w9\" is not a scheme"},
      {{"--plant", "99:1", "-o", f.path("x.html")}, "16 channels"},
      {{"--schemes", "w8", "-o", "/nowhere/x.html"}, "/nowhere/x.html"},
      {{"--examine-tokens", "0", "-o", f.path("x.html")}, "--examine-tokens"},
  };
  for (const auto& c : cases) {
    const outcome o = zp_lab(f.command(c.more));
    INFO(c.says << "\n" << o.err);
    CHECK(o.code == 2);
    CHECK(contains(o.err, c.says));
    CHECK(std::count(o.err.begin(), o.err.end(), '\n') == 1);
  }
}

TEST_CASE("Classes of channels and the codes of most values") {
  CHECK(lab::channel_classes().size() == 8);
  CHECK(lab::channel_class(0) == 0);
  CHECK(lab::channel_class(0.1) == 1);
  CHECK(lab::channel_class(1) == 3);
  CHECK(lab::channel_class(5.99) == lab::channel_outliers - 1);
  CHECK(lab::channel_class(6) == lab::channel_outliers);
  CHECK(lab::channel_class(std::numeric_limits<double>::infinity()) == 7);
  lab::input_shape s;
  s.channel_absmax = {0, 1, 2, 3, 24};
  CHECK(lab::channel_ratios(s) == std::vector<double>{0, 0.5, 1, 1.5, 12});
  s.channel_absmax = {0, 0, 0, 3};
  CHECK(std::isinf(lab::channel_ratios(s)[3]));
  lab::grid_histogram h;
  h.qmin = -3, h.qmax = 3;
  h.after = h.after_ordinary = {0, 1, 4000, 4000, 3999, 0, 0};
  CHECK(lab::usual_codes(h).first == -1);
  CHECK(lab::usual_codes(h).last == 1);
}
