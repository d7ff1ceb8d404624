// Table, findings, JSON and CSV of rows with known numbers.
#include "scratch.hpp"
#include "support/test.hpp"

#include <lab/report/format.hpp>
#include <lab/report/study.hpp>
#include <nlohmann/json.hpp>

namespace {

using test::contains;

lab::measurement row(const std::string& scheme, double delta, double clipped = 0,
                     double se = 0.001) {
  lab::measurement m;
  m.model = "tiny";
  m.variant = "natural";
  m.scheme = scheme;
  m.loss = 3.5 + delta;
  m.delta = delta;
  m.delta_se = se;
  m.ppl = std::exp(m.loss);
  m.kl = 2 * std::fabs(delta);
  m.top1 = 0.9;
  m.clipped = clipped;
  m.weight_bytes = 3456789;
  m.weight_bytes_memory = 4000000;
  m.tokens = 12345;
  m.seconds = 1.25;
  return m;
}

lab::study example(std::vector<lab::measurement> rows) {
  lab::study s;
  s.model = "tiny";
  s.variant = "natural";
  s.family = "gpt2";
  s.parameters = 4273664;
  s.linear_parameters = 3154944;
  s.linears = 16;
  s.float_kernels = "avx2";
  s.integer_kernel = "scalar";
  s.threads = 2;
  s.protocol.window = s.protocol.stride = 256;
  s.protocol.bos = 2;
  s.protocol.text = "wiki.test.raw";
  s.protocol.text_hash = "7619faf37bb0e80d";
  s.protocol.ids_hash = "3913de2588f7f476";
  s.protocol.calibration = "wiki.valid.raw";
  s.protocol.calibration_tokens = 16384;
  s.protocol.windows = 49;
  s.protocol.scored = 12345;
  s.rows = std::move(rows);
  return s;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::string unwrapped(const std::string& text) {
  std::string joined;
  for (const std::string& line : lines_of(text)) {
    joined += " " + line.substr(std::min(line.find_first_not_of(' '), line.size()));
  }
  return joined;
}

/// "yes" or "no" in front of the finding that contains `words`.
std::string verdict(const lab::study& s, const std::string& words) {
  for (const std::string& line : lines_of(lab::findings_of(s))) {
    if (contains(line, words)) return line.substr(2, line.find(' ', 2) - 2);
  }
  return "";
}

}  // namespace

TEST_CASE("The table says what was measured and fits 100 columns, whatever the numbers") {
  auto broken = row("w8a8-static-p99.9", 123456.789, 1.0, 1234.5);
  broken.ppl = std::numeric_limits<double>::infinity();
  broken.weight_bytes = 123456789012;
  broken.seconds = 123456;
  auto nothing = row("w8a8-dynamic-token", std::nan(""));
  nothing.delta_se = std::nan("");
  auto rounding = row("f16", 0);
  rounding.kl = -1e-10;  // rounding, not a negative divergence
  lab::study s = example({row("fp32", 0), rounding, row("w8", -0.00012), broken, nothing});
  for (const std::size_t planted : {0u, 20u}) {
    for (std::size_t j = 0; j < planted; ++j) s.planted.push_back(1000 + j);
    const std::string text = lab::text_of(s);
    for (const std::string& line : lines_of(text)) {
      INFO(line);
      CHECK(line.size() <= 100);
    }
    for (const char* part :
         {"tiny", "4,273,664", "protocol chunk", "window 256", "BOS 2",
          "12,345 tokens scored in 49 windows", "7619faf37bb0e80d", "3913de2588f7f476", "16,384",
          "avx2", "scalar", "2 threads", "-0.00012", "w8a8-static-p99.9"}) {
      INFO(part);
      CHECK(contains(unwrapped(text), part));
    }
    CHECK(!contains(text, "-0.000000"));
    CHECK(contains(text, "synthetic") == (planted > 0));
  }
}

TEST_CASE("Columns stay aligned") {
  const std::string text =
      lab::text_of(example({row("fp32", 0), row("w8", 0.5), row("w8a8-static", 5)}));
  const auto lines = lines_of(text);
  REQUIRE(lines.size() > 4);
  const std::size_t header = lines.size() - 4;
  CHECK(lines[header].size() == lines[header + 1].size());
  CHECK(lines[header].size() == lines[header + 2].size());
  CHECK(lines[header].size() == lines[header + 3].size());
}

TEST_CASE("Findings are computed from the rows") {
  // The original experiment's own numbers reproduce all of them.
  const lab::study original =
      example({row("fp32", 0), row("f16", 1e-6), row("bf16", 1e-4), row("w8", -0.0015),
               row("w8a8-dynamic", 0.099), row("w8a8-static", 3.07, 1e-5),
               row("w8a8-static-p99.9", 1.3, 4e-4)});
  const char* words[] = {"rounding the weights", "W8 is free", "dynamic W8A8 costs a little",
                         "static per-tensor W8A8 breaks", "low clipping is not low error"};
  for (const char* w : words) CHECK(verdict(original, w) == "yes");
  const std::string text = lab::findings_of(original);
  for (const char* number : {"+0.09900", "+3.07000", "0.0010 % clipped", "-0.00150"}) {
    CHECK(contains(text, number));
  }
  for (const std::string& line : lines_of(text)) CHECK(line.size() <= 100);

  // And rows that say the opposite reproduce none.
  const lab::study opposite =
      example({row("fp32", 0), row("f16", 2e-5), row("w8", 0.02), row("w8a8-dynamic", 0.4),
               row("w8a8-static", 3.07, 0.2), row("w8a8-static-p99.9", 3.0, 0.1)});
  for (const char* w : words) CHECK(verdict(opposite, w) == "no");

  // "A little" has to be measurable; breaking by clipping is another finding.
  CHECK(verdict(example({row("fp32", 0), row("w8a8-dynamic", 0.0015)}), words[2]) == "no");
  CHECK(verdict(example({row("fp32", 0), row("w8a8-static", 0.4)}), words[3]) == "no");
  const double nan = std::nan("");
  CHECK(verdict(example({row("fp32", 0), row("w8a8-static", nan, 0, nan)}), words[3]) == "no");
  CHECK(lab::findings_of(example({row("fp32", 0)})).empty());
  lab::study planted = original;
  planted.planted = {1, 2};
  CHECK(contains(lab::findings_of(planted), "synthetic"));
}

TEST_CASE("JSON has the promised keys, and null for what is no number") {
  auto one = row("w8", 0.25);
  one.delta_se = std::nan("");
  one.ppl = std::numeric_limits<double>::infinity();
  lab::study natural = example({row("fp32", 0), one}), planted = example({row("fp32", 0)});
  planted.variant = planted.rows[0].variant = "planted 4:8";
  planted.planted = {3, 7};
  const lab::study both[] = {natural, planted};
  const auto j = nlohmann::json::parse(lab::json_of(both));
  REQUIRE(j.size() == 2);
  CHECK(j["protocol"]["name"] == "chunk");
  CHECK(j["protocol"]["window"] == 256);
  CHECK(j["protocol"]["bos"] == 2);
  CHECK(j["protocol"]["tokens"] == 12345);
  CHECK(j["protocol"]["models"].size() == 2);
  CHECK(j["protocol"]["models"][1]["planted_channels"] == nlohmann::json({3, 7}));
  REQUIRE(j["rows"].size() == 3);
  for (const char* key : {"model", "variant", "scheme", "loss", "delta", "delta_se", "ppl", "kl",
                          "top1", "clipped", "weight_bytes", "tokens", "seconds"}) {
    INFO(key);
    for (const auto& r : j["rows"]) CHECK(r.contains(key));
  }
  CHECK(j["rows"][1]["delta"] == 0.25);
  CHECK(j["rows"][1]["delta_se"].is_null());
  CHECK(j["rows"][1]["ppl"].is_null());
  CHECK(j["rows"][2]["variant"] == "planted 4:8");
}

TEST_CASE("CSV: one line per row, quoted where it has to be, empty for what is no number") {
  auto odd = row("w8", 0.25);
  odd.model = "a,\"b\"";
  odd.delta_se = std::nan("");
  const lab::study s[] = {example({row("fp32", 0), odd})};
  const auto lines = lines_of(lab::csv_of(s));
  REQUIRE(lines.size() == 3);
  CHECK(lines[0] ==
        "model,variant,scheme,loss,delta,delta_se,ppl,kl,top1,clipped,weight_bytes,"
        "weight_bytes_memory,tokens,demoted,seconds");
  CHECK(lines[1].starts_with("tiny,natural,fp32,3.5,0.0,"));
  CHECK(lines[2].starts_with("\"a,\"\"b\"\"\",natural,w8,3.75,0.25,,"));
}

TEST_CASE("Thousands are grouped") {
  CHECK(lab::grouped(0) == "0");
  CHECK(lab::grouped(999) == "999");
  CHECK(lab::grouped(1000) == "1,000");
  CHECK(lab::grouped(1234567) == "1,234,567");
}
