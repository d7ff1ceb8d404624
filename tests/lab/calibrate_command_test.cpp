// zp-lab calibrate from the command line to the table, and the table in the place of the text.
#include "command.hpp"
#include "tiny_model.hpp"

#include <lab/experiments/calibration_table.hpp>

namespace {

using nlohmann::json;
using test::zp_lab;

struct fixture {
  fixture() { test::write_tiny_model(model, "gpt2"); }
  std::string file(const std::string& name) const { return files.path() / name; }
  /// zp-lab calibrate over `text` into `name`.
  test::outcome calibrate(const std::string& text, const std::string& name,
                          std::vector<std::string> more = {}) const {
    std::vector<std::string> all = {"calibrate", "--model", model.path(), "--calibration",
                                    text,        "--out",   file(name)};
    all.insert(all.end(), more.begin(), more.end());
    return zp_lab(all);
  }
  json rows(std::vector<std::string> more) const {
    std::vector<std::string> all = {"perplexity",
                                    "--model",
                                    model.path(),
                                    "--text",
                                    scored,
                                    "--schemes",
                                    "w8a8-static,w8a8-static-kl,w8a8-static-smooth",
                                    "--json",
                                    file("r.json")};
    all.insert(all.end(), more.begin(), more.end());
    const auto result = zp_lab(all);
    INFO(result.err);
    REQUIRE(result.code == 0);
    return json::parse(test::slurp(file("r.json")))["rows"];
  }
  test::scratch model, files;
  std::string scored = files.write("scored.txt", test::some_text(1500));
  std::string first = files.write("first.txt", test::some_text(1000, 42));
  std::string second = files.write("second.txt", test::some_text(1200, 43));
};

}  // namespace

TEST_CASE("A table stands in for the text it was made from") {
  const fixture f;
  const auto made = f.calibrate(f.first, "t.json", {"--schemes", "w8a8-static-smooth"});
  INFO(made.err);
  REQUIRE(made.code == 0);
  CHECK(test::contains(made.out, "smooth inputs"));
  CHECK(test::contains(made.out, "h.1.mlp.c_proj"));
  const json from_text = f.rows({"--calibration", f.first}),
             from_table = f.rows({"--calibration-table", f.file("t.json")});
  REQUIRE(from_text.size() == 4);
  for (std::size_t r = 0; r < 4; ++r) {
    CHECK(from_text[r]["loss"] == from_table[r]["loss"]);
    CHECK(from_text[r]["clipped"] == from_table[r]["clipped"]);
  }
  // An edit counts: a range of nothing but the smallest float clips everything.
  auto table = lab::load_calibration_table(f.file("t.json"));
  for (auto& r : table.inputs[lab::activation_cure::none].ranges) r.min_max = {-1e-30f, 1e-30f};
  const auto edited = f.files.write("edited.json", lab::json_of(table));
  const json rows = f.rows({"--calibration-table", edited});
  CHECK(rows[1]["clipped"].get<double>() > 0.9);
  CHECK(rows[2]["loss"] == from_text[2]["loss"]);
}

TEST_CASE("Tables of two texts merge, in any order") {
  const fixture f;
  REQUIRE(f.calibrate(f.first, "a.json").code == 0);
  REQUIRE(f.calibrate(f.second, "b.json").code == 0);
  const auto merged = [&](const std::string& one, const std::string& two) {
    const auto result = zp_lab({"calibrate", "--merge", f.file(one), "--merge", f.file(two),
                                "--out", f.file("both.json")});
    INFO(result.err);
    REQUIRE(result.code == 0);
    return lab::load_calibration_table(f.file("both.json"));
  };
  const auto ab = merged("a.json", "b.json"), ba = merged("b.json", "a.json");
  CHECK(ab.texts.size() == 2);
  const auto& x = ab.inputs.at(lab::activation_cure::none);
  const auto& y = ba.inputs.at(lab::activation_cure::none);
  CHECK(x.values == y.values);
  CHECK(x.ranges == y.ranges);
  CHECK(x.channel_absmax == y.channel_absmax);
  CHECK(x.tokens == y.tokens);
}

TEST_CASE("A report on a table leaves out what the table does not have") {
  const fixture f;
  REQUIRE(f.calibrate(f.first, "a.json").code == 0);
  const auto page = zp_lab({"report", "--model", f.model.path(), "--text", f.scored,
                            "--calibration-table", f.file("a.json"), "--max-tokens", "320",
                            "--examine-tokens", "64", "--markdown", "-"});
  INFO(page.err);
  CHECK(page.code == 0);
  CHECK(test::contains(page.out, "no smoothed inputs"));
  CHECK(test::contains(page.out, "table a.json of first.txt, "));
  CHECK(test::contains(page.out, "w8a8-static"));
}

TEST_CASE("calibrate says what is wrong in one line") {
  const fixture f;
  const auto refused = [](const test::outcome& o, const std::string& part) {
    INFO(o.err);
    CHECK(o.code == 2);
    CHECK(test::contains(o.err, part));
    CHECK(std::count(o.err.begin(), o.err.end(), '\n') == 1);
  };
  REQUIRE(f.calibrate(f.first, "a.json").code == 0);
  refused(zp_lab({"calibrate", "--out", f.file("x")}), "either --model or --merge");
  refused(zp_lab({"calibrate", "--model", f.model.path(), "--merge", f.file("a.json"), "--out",
                  f.file("x")}),
          "either --model or --merge");
  refused(zp_lab({"calibrate", "--merge", f.file("a.json"), "--merge", f.file("a.json"), "--out",
                  f.file("x")}),
          "both have seen");
  refused(zp_lab({"calibrate", "--merge", f.scored, "--out", f.file("x")}), "scored.txt");
  refused(f.calibrate(f.first, "x", {"--calibration-tokens", "5"}), "less than one window");
  refused(f.calibrate(f.first, "x", {"--schemes", "w4-gptq"}), "w4-gptq needs the text itself");
  refused(f.calibrate(f.first, "x", {"--schemes", "w4-bias"}), "w4-bias needs the text itself");
  const auto perplexity = [&](std::vector<std::string> more) {
    std::vector<std::string> all = {"perplexity",    "--model", f.model.path(),
                                    "--text",        f.scored,  "--calibration-table",
                                    f.file("a.json")};
    all.insert(all.end(), more.begin(), more.end());
    return zp_lab(all);
  };
  refused(perplexity({"--schemes", "w8a8-static-smooth"}), "no smoothed inputs");
  refused(perplexity({"--schemes", "w4-gptq"}), "Gram");
  refused(perplexity({"--schemes", "w4-bias"}), "-bias needs the calibration text");
  refused(perplexity({"--schemes", "w8a8-static", "--plant", "2:6"}), "planted twin");
  refused(zp_lab({"diagnose", "--model", f.model.path(), "--text", f.scored, "--plant", "2:6",
                  "--calibration-table", f.file("a.json")}),
          "natural");
}
