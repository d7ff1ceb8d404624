// zp-lab perplexity and zp-lab logits from the command line to the files they write.
#include "command.hpp"
#include "tiny_model.hpp"

#include <lab/experiments/schemes.hpp>
#include <lab/io/text.hpp>

namespace {

using nlohmann::json;

using test::outcome;
using test::some_text;
using test::zp_lab;

}  // namespace

TEST_CASE("Two models and their twins: tables, JSON and CSV say the same") {
  const test::scratch gpt2, opt, files;
  test::write_tiny_model(gpt2, "gpt2");
  test::write_tiny_model(opt, "opt");
  const auto text = files.write("text.txt", some_text(3000)),
             other = files.write("other.txt", some_text(2000));
  const std::string json_file = files.path() / "r.json", csv_file = files.path() / "r.csv";
  const outcome o = zp_lab({"perplexity", "--model",   gpt2.path(), "--model",
                            opt.path(),   "--text",    text,        "--calibration",
                            other,        "--plant",   "2:6",       "--max-tokens",
                            "1000",       "--threads", "2",         "--check-parity",
                            "--json",     json_file,   "--csv",     csv_file});
  INFO(o.err);
  REQUIRE(o.code == 0);
  CHECK(o.err.empty());
  const json j = json::parse(test::slurp(json_file));
  const auto& rows = j["rows"];
  REQUIRE(rows.size() == 2 * 2 * lab::default_schemes().size());
  for (const auto& r : rows) {
    INFO(r.dump());
    CHECK(r["tokens"] == 31 * 31);  // 1000 tokens are 31 windows of 32
    CHECK(r["loss"].is_number());
    CHECK(r["seconds"].get<double>() > 0);
    CHECK((r["variant"] == "natural" || r["variant"] == "planted 2:6"));
  }
  // The twins' float losses are the models' own, to the last bit.
  const std::size_t n = lab::default_schemes().size();
  CHECK(rows[0]["loss"] == rows[n]["loss"]);
  CHECK(rows[2 * n]["loss"] == rows[3 * n]["loss"]);
  CHECK(rows[0]["loss"] != rows[2 * n]["loss"]);
  CHECK(rows[n]["variant"] == "planted 2:6");
  CHECK(j["protocol"]["models"][0]["bos"].is_null());
  CHECK(j["protocol"]["models"][2]["bos"] == 256);
  CHECK(j["protocol"]["models"][1]["planted_channels"].size() == 2);
  CHECK(j["protocol"]["text_fnv1a64"] == lab::text_hash(some_text(3000)));
  CHECK(j["protocol"]["models"][1]["outlier_ratio"].get<double>() >
        10 * j["protocol"]["models"][0]["outlier_ratio"].get<double>());
  const std::string csv = test::slurp(csv_file);
  CHECK(std::count(csv.begin(), csv.end(), '\n') == static_cast<std::ptrdiff_t>(rows.size()) + 1);
  for (const std::string& scheme : lab::default_schemes()) CHECK(test::contains(o.out, scheme));
  for (const char* part :
       {"synthetic", "protocol chunk: window 32", "no BOS", "BOS 256 once",
        "layers agree with their float twins", "W8 is free", "outliers: the largest channel is"}) {
    INFO(part);
    CHECK(test::contains(o.out, part));
  }
}

TEST_CASE("The stride protocol scores every token but the first") {
  const test::scratch gpt2, files;
  test::write_tiny_model(gpt2, "gpt2");
  const auto text = files.write("text.txt", some_text(500));
  const std::string json_file = files.path() / "r.json";
  const auto run = [&](std::vector<std::string> more) {
    std::vector<std::string> all = {"perplexity", "--model", gpt2.path(),    "--text", text,
                                    "--schemes",  "w8",      "--plain-text", "--json", json_file};
    all.insert(all.end(), more.begin(), more.end());
    const outcome o = zp_lab(all);
    INFO(o.err);
    REQUIRE(o.code == 0);
    return json::parse(test::slurp(json_file));
  };
  const std::size_t tokens = some_text(500).size();
  const json stride = run({"--protocol", "stride", "--stride", "5", "--window", "20"});
  CHECK(stride["rows"].size() == 2);  // fp32 comes by itself
  CHECK(stride["rows"][0]["tokens"] == tokens - 1);
  CHECK(stride["protocol"]["stride"] == 5);
  CHECK(stride["protocol"]["window"] == 20);
  CHECK(stride["protocol"]["lines_joined"] == false);
  CHECK(run({"--protocol", "stride"})["protocol"]["stride"] == 16);
  CHECK(run({})["rows"][0]["tokens"] == tokens / 32 * 31);
}

TEST_CASE("Bad input is one line and exit code 2") {
  const test::scratch gpt2, files, foreign;
  test::write_tiny_model(gpt2, "gpt2");
  test::write_tiny_model(foreign, "gpt2");
  auto config = json::parse(test::slurp(gpt2.path() / "config.json"));
  config["vocab_size"] = 100;
  config["bos_token_id"] = config["eos_token_id"] = 99;
  foreign.write("config.json", config.dump());
  const std::string model = gpt2.path(), text = files.write("text.txt", some_text(400)),
                    small = files.write("small.txt", "abc"), empty = files.write("empty.txt", "");
  const struct {
    std::vector<std::string> more;
    const char* says;
  } cases[] = {
      {{"--schemes", "w9"}, "\"w9\" is not a scheme; expected fp32,"},
      {{"--window", "33"}, "--window 33"},
      {{"--window", "1"}, "--window 1"},
      {{"--protocol", "stride", "--stride", "40"}, "--stride 40"},
      {{"--stride", "8"}, "only --protocol stride has one"},
      {{"--protocol", "other"}, "--protocol"},
      {{"--plant", "4"}, "CHANNELS:POWER"},
      {{"--plant", "17:8"}, "16 channels"},
      {{"--text", small}, "small.txt: 3 tokens are less than one window of 32"},
      {{"--text", empty}, "empty.txt"},
      {{"--text", "/nowhere/x.txt"}, "/nowhere/x.txt"},
      {{"--calibration", "/nowhere/y.txt"}, "/nowhere/y.txt"},
      {{"--max-tokens", "-1"}, "--max-tokens"},
      {{"--window", "-1"}, "--window"},
      {{"--threads", "-1"}, "--threads"},
      {{"--threads", "2000"}, "--threads"},
      {{"--calibration-tokens", "0"}, "--calibration-tokens"},
      {{"--json", "/nowhere/r.json", "--schemes", "fp32"}, "/nowhere/r.json"},
  };
  for (const auto& c : cases) {
    std::vector<std::string> all = {"perplexity", "--model", model};
    if (c.more[0] != "--text") all.insert(all.end(), {"--text", text});
    if (c.more[0] != "--calibration") all.insert(all.end(), {"--calibration", text});
    all.insert(all.end(), c.more.begin(), c.more.end());
    const outcome o = zp_lab(all);
    INFO(c.says << "\n" << o.err);
    CHECK(o.code == 2);
    CHECK(o.out.empty());  // found before anything was measured
    CHECK(test::contains(o.err, c.says));
    CHECK(std::count(o.err.begin(), o.err.end(), '\n') == 1);
  }
  CHECK(zp_lab({"perplexity", "--text", text}).code == 2);  // no model
  const outcome o = zp_lab({"perplexity", "--model", foreign.path(), "--text", text});
  CHECK(o.code == 2);
  CHECK(test::contains(o.err, "wte.weight"));
}

TEST_CASE("logits writes [tokens, vocabulary] float32") {
  const test::scratch opt, files;
  test::write_tiny_model(opt, "opt");
  const std::vector<std::uint32_t> ids = {256, 10, 20, 30, 255};
  lab::write_ids(files.path() / "ids.u16", ids);
  const std::string in = files.path() / "ids.u16", out = files.path() / "out.f32";
  const outcome o = zp_lab({"logits", "--model", opt.path(), "--ids", in, "--out", out});
  INFO(o.err);
  REQUIRE(o.code == 0);
  CHECK(test::slurp(out).size() == 5 * 257 * 4);

  lab::write_ids(files.path() / "ids.u16", std::vector<std::uint32_t>(33, 1));
  const outcome longer = zp_lab({"logits", "--model", opt.path(), "--ids", in, "--out", out});
  CHECK(longer.code == 2);
  CHECK(test::contains(longer.err, "33 tokens: this model takes 1 to 32"));
  lab::write_ids(files.path() / "ids.u16", std::vector<std::uint32_t>{257});
  CHECK(zp_lab({"logits", "--model", opt.path(), "--ids", in, "--out", out}).code == 2);
}
