// Evaluations in shards: what merging gives is the single run to the last bit, whatever their number,
// and what does not belong together is refused.
#include <lab/experiments/shard_json.hpp>

#include "lab/command.hpp"
#include "lab/tiny_model.hpp"

#include <cmath>

namespace {

using nlohmann::json;
using test::contains;
using test::zp_lab;

using words = std::vector<std::string>;

words joined(words all, const words& more) {
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

/// A model and a text of seven windows.
struct fixture {
  test::scratch model, files;
  words run;

  explicit fixture(const std::string& family, const words& more,
                   const std::string& command = "perplexity") {
    test::write_tiny_model(model, family);
    const std::string text = files.write("text.txt", test::some_text(240)).string();
    run = joined(
        {command, "--model", model.path(), "--text", text, "--calibration", text, "--threads", "2"},
        more);
  }
  std::string file(const std::string& name) const { return files.path() / name; }
  /// Writes shard I of N and returns its file.
  std::string shard(std::size_t i, std::size_t n, const words& more = {}) const {
    const std::string part = std::to_string(i) + "/" + std::to_string(n);
    const std::string out = file(std::to_string(i) + "-" + std::to_string(n) + ".json");
    const auto o = zp_lab(joined(joined(run, {"--shard", part, "--json", out}), more));
    INFO(o.err);
    REQUIRE(o.code == 0);
    CHECK(contains(o.out, "shard " + part + ", "));
    return out;
  }
  words shards(std::size_t n) const {
    words all;
    for (std::size_t i = n; i >= 1; --i) all.push_back(shard(i, n));  // any order will do
    return all;
  }
};

/// Without what a clock says.
json timeless(const std::string& path) {
  json all = json::parse(test::slurp(path));
  for (json& row : all["rows"]) row.erase("seconds");
  return all;
}

void require_refused(const words& files, const std::string& expected) {
  const auto o = zp_lab(joined({"merge"}, files));
  CAPTURE(o.err, expected);
  CHECK(o.code == 2);
  CHECK(o.out.empty());
  CHECK(contains(o.err, expected));
  CHECK(std::count(o.err.begin(), o.err.end(), '\n') == 1);
}

}  // namespace

TEST_CASE("A shard is named I/N and takes every N-th window") {
  const auto s = lab::shard::parse("2/3");
  CHECK(s.index == 2);
  CHECK(s.count == 3);
  CHECK(s.text() == "2/3");
  std::vector<lab::window> windows;
  for (std::size_t i = 0; i < 7; ++i) windows.push_back({10 * i, 10, 9});
  const auto own = s.deal(windows);
  REQUIRE(own.size() == 2);
  CHECK(own[0] == windows[1]);
  CHECK(own[1] == windows[4]);
  for (std::size_t n = 1; n <= 9; ++n) {
    std::size_t all = 0;
    for (std::size_t i = 1; i <= n; ++i) {
      const lab::shard one{i, n};
      CHECK(one.share(7) == one.deal(windows).size());
      all += one.share(7);
    }
    CHECK(all == 7);
  }
  for (const char* wrong : {"", "/", "1", "0/3", "4/3", "1/0", "-1/3", "1/3 ", " 1/3", "1/3/5",
                            "a/b", "1/99999999999999999999", "1/32769"}) {
    CHECK(contains(test::rejection([&] { return lab::shard::parse(wrong); }), "is not I/N"));
  }
}

TEST_CASE("Merged shards are the single run to the bit, whatever their number") {
  const std::string family = GENERATE("gpt2", "llama");
  const bool planted = family == "gpt2";  // calibration takes most of the time
  const fixture f(family, planted ? words{"--schemes", "w4-g8,w8a8-static-p99.9", "--plant", "2:6"}
                                  : words{"--schemes", "w4-g8,w8a8-dynamic"});
  const std::string whole = f.file("whole.json"), merged = f.file("merged.json");
  REQUIRE(zp_lab(joined(f.run, {"--json", whole})).code == 0);
  const json expected = timeless(whole);
  REQUIRE(expected["rows"].size() == (planted ? 6 : 3));
  REQUIRE(expected["protocol"]["windows"] == 7);
  for (const std::size_t n : {1u, 2u, 3u, 7u, 9u}) {
    CAPTURE(family, n);
    const auto o = zp_lab(joined(joined({"merge"}, f.shards(n)), {"--json", merged}));
    INFO(o.err);
    REQUIRE(o.code == 0);
    CHECK(timeless(merged) == expected);
    CHECK(contains(o.out, planted ? "w8a8-static-p99.9" : "w8a8-dynamic"));
  }
}

TEST_CASE("The table and the findings of merged shards are those of the single run") {
  const fixture f("gpt2", {"--protocol", "stride", "--stride", "12"});
  const auto whole = zp_lab(f.run);
  const auto merged = zp_lab(joined({"merge"}, f.shards(4)));
  REQUIRE(whole.code == 0);
  REQUIRE(merged.code == 0);
  std::istringstream ours(merged.out), theirs(whole.out);
  std::size_t lines = 0;
  for (std::string a, b; std::getline(theirs, b); ++lines) {
    REQUIRE(std::getline(ours, a));
    const bool timed = b.starts_with("w") || b.starts_with("fp32") || b.starts_with("f16") ||
                       b.starts_with("bf16");
    if (timed) {  // the last column is the time
      a = a.substr(0, a.rfind(' '));
      b = b.substr(0, b.rfind(' '));
      a.erase(a.find_last_not_of(' ') + 1);
      b.erase(b.find_last_not_of(' ') + 1);
    }
    CHECK(a == b);
  }
  CHECK(lines > 15);
}

TEST_CASE("A quantized checkpoint merges into its one row") {
  const fixture f("gpt2", {});
  const std::string out = f.file("w8");
  REQUIRE(zp_lab({"quantize", "--model", f.model.path(), "--scheme", "w8", "-o", out}).code == 0);
  fixture q("gpt2", {});
  q.run[2] = out;
  const std::string whole = q.file("whole.json"), merged = q.file("merged.json");
  REQUIRE(zp_lab(joined(q.run, {"--json", whole})).code == 0);
  REQUIRE(zp_lab(joined(joined({"merge"}, q.shards(3)), {"--json", merged})).code == 0);
  CHECK(timeless(whole)["rows"].size() == 1);
  CHECK(timeless(merged) == timeless(whole));
}

TEST_CASE("Merged shards of sensitivities are the single run to the bit") {
  const std::string family = GENERATE("gpt2", "llama");
  const fixture f(family, {"--scheme", "w8a8-static", "--sensitivity"}, "diagnose");
  const std::string whole = f.file("whole.json"), merged = f.file("merged.json");
  const auto single = zp_lab(joined(f.run, {"--json", whole}));
  INFO(single.err);
  REQUIRE(single.code == 0);
  const json expected = json::parse(test::slurp(whole));
  REQUIRE(expected["sensitivity"].size() == (family == "gpt2" ? 2 * 8 + 2 : 2 * 14 + 2));
  for (const std::size_t n : {1u, 3u, 9u}) {
    CAPTURE(family, n);
    const words shards = f.shards(n);
    const auto o = zp_lab(joined(joined({"merge"}, shards), {"--json", merged}));
    INFO(o.err);
    REQUIRE(o.code == 0);
    const json found = json::parse(test::slurp(merged));
    CHECK(found["sensitivity"] == expected["sensitivity"]);
    CHECK(found["protocol"] == expected["protocol"]);
    CHECK(found["scheme"] == "w8a8-static");
    const auto table = single.out.find("\nsensitivity: ");
    REQUIRE(table != std::string::npos);
    CHECK(contains(o.out, single.out.substr(table)));
    if (n == 3) {
      require_refused(joined(shards, {"--csv", f.file("x.csv")}), "no --csv");
      require_refused({shards[0], shards[1], f.shard(1, 3, {"--plant", "1:2"})}, "another run");
    }
  }
}

TEST_CASE("A run that is not a number stays one through a shard") {
  lab::shard_file file;
  lab::shard_study& s = file.studies.emplace_back();
  s.description.protocol.window = s.description.protocol.stride = 2;
  s.description.protocol.windows = s.description.protocol.scored = 1;
  s.schemes.push_back({"fp32", 1, 2, {3, 4}, 0, 0.1, {{std::nan(""), -0.0, INFINITY, 1, 1}}});
  const auto read = lab::parse_shard(lab::json_of(file), "x");
  const lab::window_sums& w = read.studies.at(0).schemes.at(0).windows.at(0);
  CHECK(std::isnan(w.loss));
  CHECK((w.reference_loss == 0 && std::signbit(w.reference_loss)));
  CHECK(w.kl == INFINITY);
  CHECK(lab::json_of(read) == lab::json_of(file));
}

TEST_CASE("merge refuses shards that are not the parts of one run") {
  const fixture f("gpt2", {"--schemes", "w8"});
  const words three = f.shards(3);  // 3/3, 2/3, 1/3
  require_refused({three[0], three[2]}, "shard 2/3 is missing");
  require_refused({three[1], three[2]}, "shard 3/3 is missing");
  require_refused({three[0], three[1]}, "shard 1/3 is missing");
  require_refused({three[0], three[1], three[2], three[1]}, "is shard 2/3, and so is ");
  require_refused({three[0], three[1], f.shard(1, 2)}, "is shard 1/2, but ");

  const auto other = [&](const words& more) {
    const fixture g("gpt2", {});
    const std::string text = f.file("text.txt"), out = f.file("other.json");
    const words all = joined(
        {"perplexity", "--model", g.model.path(), "--text", text, "--shard", "1/3", "--json", out},
        more);
    const auto o = zp_lab(all);
    INFO(o.err);
    REQUIRE(o.code == 0);
    return out;
  };
  require_refused({three[0], three[1], other({"--schemes", "w8"})}, "is of another run: model is ");
  const auto changed = [&](const words& more) {
    const std::string out = f.shard(1, 3, more);
    const std::string copy = f.file("changed.json");
    std::filesystem::rename(out, copy);
    (void)f.shard(1, 3);
    return copy;
  };
  const std::string foreign = f.files.write("foreign.txt", test::some_text(240, 5)).string();
  require_refused({three[0], three[1], changed({"--plain-text"})},
                  "is of another run: ids_fnv1a64");
  require_refused({three[0], three[1], changed({"--window", "16"})}, "is of another run: ");
  require_refused({three[0], three[1], changed({"--plant", "1:2"})}, "has 2 studies, ");
  // Options may be given once, so another text and other schemes need a line of their own.
  fixture g("gpt2", {});
  std::filesystem::copy(f.model.path(), g.files.path() / f.model.path().filename(),
                        std::filesystem::copy_options::recursive);
  const std::string same_model = g.files.path() / f.model.path().filename();
  const auto with = [&](const std::string& text, const std::string& schemes) {
    const std::string out = g.file("x.json");
    REQUIRE(zp_lab({"perplexity", "--model", same_model, "--text", text, "--schemes", schemes,
                    "--calibration", text, "--shard", "1/3", "--json", out})
                .code == 0);
    return out;
  };
  require_refused({three[0], three[1], with(foreign, "w8")}, "is of another run: ");
  require_refused({three[0], three[1], with(f.file("text.txt"), "w4")},
                  "is of another run: schemes is [\"fp32\",\"w4\"], in ");
  CHECK(zp_lab({"merge", three[0], three[1], with(f.file("text.txt"), "w8")}).code == 0);
}

TEST_CASE("Other weights under the same name are another run") {
  const fixture f("gpt2", {"--schemes", "w8"});
  const std::string first = f.shard(1, 2);
  test::write_tiny_model(f.model, "gpt2", 0.31f);
  require_refused({first, f.shard(2, 2)}, "weights_fnv1a64");
}

TEST_CASE("The same weights under another config are another run") {
  const fixture f("llama", {"--schemes", "w8"});
  const std::string first = f.shard(1, 2);
  json config = json::parse(test::slurp(f.model.path() / "config.json"));
  config["rope_theta"] = 5000;
  f.model.write("config.json", config.dump());
  require_refused({first, f.shard(2, 2)}, "weights_fnv1a64");
}

TEST_CASE("A shard that was damaged is refused") {
  const fixture f("gpt2", {"--schemes", "w8"});
  const std::string good = test::slurp(f.shard(1, 1));
  const auto refused = [&](const std::string& text, const std::string& expected) {
    require_refused({f.files.write("bad.json", text).string()}, expected);
  };
  refused(good.substr(0, good.size() / 2), "bad.json: byte offset ");
  refused("", "bad.json");
  refused("[]", "bad.json");
  refused("{}", "zp_lab_shard");
  // One digit of a sum, and anything else that is still JSON.
  const auto at = good.find("\"windows\"");
  std::string flipped = good;
  const auto digit = flipped.find_first_of("0123456789", at);
  flipped[digit] = flipped[digit] == '1' ? '2' : '1';
  refused(flipped, "the file was changed");
  // A hash that fits does not make it right.
  const auto rehashed = [&](auto&& change) {
    json all = json::parse(good);
    change(all);
    all.erase("fnv1a64");
    all["fnv1a64"] = lab::shard_hash(all);
    return all.dump();
  };
  refused(rehashed([](json& j) { j["shard"] = 2; }), "shard: ");
  refused(rehashed([](json& j) { j["studies"] = json::array(); }), "studies: there are none");
  refused(rehashed([](json& j) { j["studies"][0]["schemes"][0]["windows"].erase(0); }),
          "fp32.windows: are 6, expected 7");
  refused(rehashed([](json& j) { j["studies"][0]["schemes"][1]["windows"][0][0] = 1.5; }),
          "w8.windows: expected the bits of a double");
  refused(rehashed([](json& j) { j["studies"][0]["schemes"][1]["windows"][0][3] = 0; }),
          "w8.windows: ");
  refused(rehashed([](json& j) { j["studies"][0]["schemes"][1]["windows"][0][3] = 32; }),
          "the shards scored ");
  refused(rehashed([](json& j) { j["studies"][0]["schemes"].erase(1); }), "schemes: ");
  refused(rehashed([](json& j) { j["studies"][0]["run"].erase("ids_fnv1a64"); }), "ids_fnv1a64");
  refused(rehashed([](json& j) { j["studies"][0]["run"]["protocol"] = "none"; }), "protocol");
  refused(rehashed([](json& j) { j["studies"][0]["run"]["windows"] = -1; }), "windows");
  refused(rehashed([](json& j) { j["studies"][0]["run"]["sensitivity_of"] = "w8"; }),
          "run.schemes: are 2, not as such a run has them");
}

TEST_CASE("Bad arguments of --shard and merge are one line and exit code 2") {
  const fixture f("gpt2", {});
  const auto refused = [&](const words& more, const std::string& expected) {
    const auto o = zp_lab(joined(f.run, more));
    CAPTURE(o.err, expected);
    CHECK(o.code == 2);
    CHECK(contains(o.err, expected));
    CHECK(std::count(o.err.begin(), o.err.end(), '\n') == 1);
  };
  const std::string out = f.file("x.json");
  refused({"--shard", "3/2", "--json", out}, "\"3/2\" is not I/N");
  refused({"--shard", "1/2"}, "--json FILE");
  refused({"--shard", "1/2", "--json", out, "--csv", out}, "no table");
  refused({"--shard", "1/2", "--json", out, "--schemes", "w8a8-static-watch"},
          "windows have to stay together");
  for (const words& more :
       {words{"--shard", "1/2", "--sensitivity"}, words{"--shard", "1/2", "--json", out}}) {
    const auto o = zp_lab(joined({"diagnose", "--model", f.model.path()}, more));
    CHECK(o.code == 2);
    CHECK(contains(o.err, "only --sensitivity has shards, and they are written to --json FILE"));
  }
  require_refused({}, "files");
  require_refused({"/nowhere/x.json"}, "/nowhere/x.json");
}
