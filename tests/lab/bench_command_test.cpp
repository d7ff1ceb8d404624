// zp-lab bench on small models: the table and the JSON say the same, sizes are those of the files.
// How fast anything was is nobody's promise here.
#include <lab/experiments/peak_speed.hpp>
#include <lab/experiments/quantile.hpp>
#include <lab/experiments/read_speed.hpp>
#include <lab/experiments/schemes.hpp>
#include <lab/experiments/speed.hpp>
#include <lab/models/load.hpp>
#include <lab/models/random_checkpoint.hpp>

#include "lab/command.hpp"
#include "lab/tiny_model.hpp"
#include "support/memory.hpp"

#include <cmath>

namespace {

using nlohmann::json;
using test::contains;
using test::zp_lab;

/// bench on the model, on a text of its own.
test::outcome bench(const test::scratch& model, std::vector<std::string> more) {
  const std::string text = model.write("text.txt", test::some_text(400)).string();
  std::vector<std::string> all = {"bench",         "--model", model.path().string(), "--text", text,
                                  "--calibration", text,      "--threads",           "2"};
  all.insert(all.end(), more.begin(), more.end());
  return zp_lab(all);
}

/// The words of the line that begins with this one, behind the text `after`.
std::vector<std::string> row_of(const std::string& table, const std::string& first,
                                const std::string& after = "") {
  std::istringstream lines(table.substr(std::min(table.find(after), table.size())));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::vector<std::string> row{std::istream_iterator<std::string>(words), {}};
    if (!row.empty() && row[0] == first) return row;
  }
  return {};
}

/// What a checkpoint's file has behind its header.
std::uint64_t tensor_bytes(const std::string& folder) {
  const std::string bytes = test::slurp(folder + "/model.safetensors");
  std::uint64_t header = 0;
  std::memcpy(&header, bytes.data(), sizeof header);
  return bytes.size() - sizeof header - header;
}

/// A printed number is the other one to half a unit of its last digit.
bool shows(const std::string& printed, double value) {
  if (printed == "-") return !std::isfinite(value);
  if (contains(printed, "e")) return std::fabs(std::stod(printed) / value - 1) < 0.5;
  const auto point = printed.find('.');
  const auto digits = point == std::string::npos ? 0 : printed.size() - point - 1;
  return std::fabs(std::stod(printed) - value) <=
         0.5000001 * std::pow(10.0, -static_cast<double>(digits));
}

}  // namespace

TEST_CASE("quantile is between neighbours") {
  CHECK(lab::median({3, 1, 2}) == 2);
  CHECK(lab::median({4, 1, 2, 3}) == 2.5);
  CHECK(lab::quantile({10, 20}, 0.25) == 12.5);
  CHECK(lab::quantile({7}, 0.95) == 7);
  CHECK(lab::quantile({1, 2, 3}, 1) == 3);
  CHECK(std::isnan(lab::median({})));
}

TEST_CASE("A plan is 128 and 512 tokens, or what the model takes") {
  const auto plan = [](std::size_t positions) { return lab::plan_speed(positions); };
  using sizes = std::vector<std::size_t>;
  CHECK(plan(1024).prefills == sizes{128, 512});
  CHECK(plan(512).prefills == sizes{128, 512});
  CHECK(plan(511).prefills == sizes{128, 511});
  CHECK(plan(128).prefills == sizes{128});
  CHECK(plan(32).prefills == sizes{32});
  CHECK(plan(1024).prompt == 128);
  CHECK(plan(1024).decoded == 64);
  for (const std::size_t positions : {4u, 5u, 32u, 128u, 192u, 193u, 256u}) {
    CHECK(plan(positions).decoded >= 1);
    CHECK(plan(positions).prompt + plan(positions).decoded < positions);
  }
  CHECK(contains(test::rejection([&] { return plan(3); }), "3 positions"));
}

TEST_CASE("Reading takes time, whatever the number of threads") {
  const std::vector<std::byte> bytes(5000);
  for (const std::size_t threads : {1u, 2u, 7u, 20u}) {
    CHECK(lab::read_seconds(bytes, threads) > 0);
  }
}

TEST_CASE("The operations of a prefill, by what its products multiply") {
  const test::scratch folder;
  test::write_tiny_model(folder, "gpt2");
  const lab::transformer model = lab::load_model(folder.path());
  const auto of = [&](const char* scheme, std::size_t tokens) {
    return lab::operations_of(model, lab::make_scheme(scheme, model, {}), tokens);
  };
  // Two blocks of width C = 16: 3 C^2 + C^2 + 4 C^2 + 4 C^2 weights each; a head of 257 tokens for the
  // last one; T (T + 1) / 2 pairs of tokens, C multiply-adds each in both products, in both blocks.
  const double layers = 2.0 * 10 * 2 * 12 * 16 * 16, head = 2.0 * 257 * 16;
  const double attention = 2.0 * 55 * 2 * 16 * 2;
  for (const char* scheme : {"fp32", "w8", "w4-g8"}) {
    CHECK(of(scheme, 10).layers.floats == layers + head);
    CHECK(of(scheme, 10).layers.integers == 0);
  }
  CHECK(of("w8a8-dynamic-token-kv8", 10).layers.integers == layers);
  CHECK(of("w8a8-dynamic-token-kv8", 10).layers.floats == head);
  CHECK(of("w8a8-dynamic-token-head8", 10).layers.floats == head);
  CHECK(of("w8a8-dynamic-token-head4", 10).layers.integers == layers + head);
  CHECK(of("w8a8-outlier", 10).layers.integers == layers);
  CHECK(of("w8a8-dynamic-token-kv8", 10).attention.floats == attention);
  CHECK(of("w8a8-dynamic-token-attn8", 10).attention.integers == attention);
  CHECK(of("w8a8-dynamic-token-attn8", 10).attention.floats == 0);
  CHECK(of("fp32", 1).layers.floats == layers / 10 + head);
}

TEST_CASE("Peaks: what is not wanted is not measured, and takes no time") {
  const lab::peak_rates none = lab::measure_peaks({}, 1);
  CHECK(none.seconds({}) == 0);
  const lab::peak_rates both = lab::measure_peaks({1, 1}, 2);
  for (const double rate : {both.integers, both.floats}) {
    CHECK((std::isnan(rate) || (rate > 1e8 && std::isfinite(rate))));
  }
  const lab::peak_rates known{2e9, 1e9};
  CHECK(known.seconds({4e9, 3e9}) == 5);
  CHECK(std::isnan(lab::peak_rates{std::nan(""), 1e9}.seconds({1, 1})));
  CHECK(lab::peak_rates{std::nan(""), 1e9}.seconds({0, 1e9}) == 1);
}

TEST_CASE("bench: table and JSON say the same of every scheme") {
  const std::string family = GENERATE("gpt2", "opt", "llama");
  const test::scratch model, files;
  test::write_tiny_model(model, family);
  const std::string file = files.path() / "bench.json";
  const auto run = bench(model, {"--schemes", "w8,w8a8-static,w4-g8-kv8", "--runs", "2",
                                 "--max-tokens", "200", "--json", file});
  INFO(family << "\n" << run.out << run.err);
  REQUIRE(run.code == 0);
  CHECK(run.err.empty());
  const json list = json::parse(test::slurp(file));
  REQUIRE(list.size() == 4);
  const char* names[] = {"fp32", "w8", "w8a8-static", "w4-g8-kv8"};
  for (std::size_t i = 0; i < 4; ++i) {
    const json& j = list[i];
    INFO(j.dump());
    CHECK(j["scheme"] == names[i]);
    CHECK(j["threads"] == 2);
    const json& d = j["details"];
    CHECK(d["rounds"] == 2);
    CHECK(j["prefill_128"].is_null());  // 32 positions
    CHECK(j["prefill_512"].is_null());
    CHECK(d["prefill_longest_tokens"] == 32);
    CHECK(d["decode_tokens"] == 15);
    CHECK(d["delta_tokens"] == 6 * 31);
    CHECK(d["protocol"]["windows"] == 6);
    for (const char* key : {"decode", "decode_p95_ms", "speedup_decode", "speedup_prefill"}) {
      INFO(key);
      CHECK(j[key].get<double>() > 0);
    }
    for (const char* key :
         {"prefill_longest", "decode_p50_ms", "read_bytes_per_second", "read_share"}) {
      INFO(key);
      CHECK(d[key].get<double>() > 0);
    }
    CHECK(d["decode_p50_ms"].get<double>() <= j["decode_p95_ms"].get<double>());
    const auto row = row_of(run.out, names[i]);
    REQUIRE(row.size() == 12);
    const bool reference = i == 0;
    const double values[] = {d["prefill_longest"].get<double>(),
                             j["decode"].get<double>(),
                             d["decode_p50_ms"].get<double>(),
                             j["decode_p95_ms"].get<double>(),
                             1e-6 * j["resident_bytes"].get<double>(),
                             1e-6 * j["disk_bytes"].get<double>(),
                             j["speedup_prefill"].get<double>(),
                             j["speedup_decode"].get<double>(),
                             reference ? std::nan("") : j["delta"].get<double>(),
                             reference ? std::nan("") : d["delta_se"].get<double>(),
                             100 * d["read_share"].get<double>()};
    for (std::size_t c = 0; c < std::size(values); ++c) {
      CAPTURE(c, row[c + 1], values[c]);
      CHECK(shows(row[c + 1], values[c]));
    }
  }
  for (const json& j : list) {
    const json& d = j["details"];
    CAPTURE(j["scheme"], d.dump());
    std::vector<double> values = {1e-9 * d["read_bytes_per_second"].get<double>()};
    const auto limit = [&](const char* key, double factor) {
      values.push_back(d[key].is_null() ? std::nan("") : factor * d[key].get<double>());
      CHECK((d[key].is_null() || values.back() > 0));
    };
    limit("peak_share", 100), limit("attention_peak_share", 100);
    limit("peak_operations_per_second", 1e-9);
    std::rotate(values.begin(), values.end() - 1, values.end());
    for (const char* pass : {"prefill_stages", "decode_stages"}) {
      double sum = 0;
      for (const char* stage : {"linears", "attention", "activation", "head", "others"}) {
        const double share = d[pass][stage].get<double>();
        CHECK((share > 0 && share < 1));
        sum += share;
        values.push_back(100 * share);
      }
      CHECK(sum == Approx(1));  // the median of two rounds is their mean
    }
    const auto row = row_of(run.out, j["scheme"], "what limits it");
    REQUIRE(row.size() == 1 + values.size());
    for (std::size_t c = 0; c < values.size(); ++c) {
      CAPTURE(c, row[c + 1], values[c]);
      CHECK(shows(row[c + 1], values[c]));
    }
  }
  CHECK(list[0]["speedup_decode"] == 1.0);
  CHECK(list[0]["speedup_prefill"] == 1.0);
  CHECK(list[0]["delta"] == 0.0);
  CHECK(list[3]["delta"] != 0.0);
  CHECK(list[3]["details"]["weight_bytes"] < list[0]["details"]["weight_bytes"]);
  for (const char* part :
       {"Skipped: a prefill of 128; the model has 32 positions", "Skipped: a prefill of 512",
        "protocol chunk: window 32", "186 tokens scored in 6 windows", "medians of 2 rounds"}) {
    INFO(part);
    CHECK(contains(run.out, part));
  }
}

TEST_CASE("The loss and the bytes are those of perplexity and quantize") {
  const test::scratch model, files;
  test::write_tiny_model(model, "gpt2");
  const std::string ours = files.path() / "bench.json", theirs = files.path() / "perplexity.json";
  REQUIRE(
      bench(model, {"--schemes", "w8,w4-g8", "--runs", "1", "--max-tokens", "200", "--json", ours})
          .code == 0);
  const std::string text = model.path() / "text.txt", out = files.path() / "out";
  REQUIRE(zp_lab({"perplexity", "--model", model.path(), "--text", text, "--schemes", "w8,w4-g8",
                  "--max-tokens", "200", "--json", theirs})
              .code == 0);
  REQUIRE(zp_lab({"quantize", "--model", model.path(), "--scheme", "w8,w4-g8", "-o", out,
                  "--evaluate-tokens", "0"})
              .code == 0);
  const json list = json::parse(test::slurp(ours));
  const json expected = json::parse(test::slurp(theirs));
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(list[i]["delta"] == expected["rows"][i]["delta"]);
    CHECK(list[i]["details"]["delta_se"] == expected["rows"][i]["delta_se"]);
  }
  for (std::size_t i = 1; i < 3; ++i) {
    CHECK(list[i]["disk_bytes"] == tensor_bytes(out + "/" + list[i]["scheme"].get<std::string>()));
  }
  CHECK(list[0]["disk_bytes"] == std::filesystem::file_size(model.path() / "model.safetensors"));
}

TEST_CASE("A row of the JSON has these fields, and details") {
  const test::scratch model, files;
  test::write_tiny_model(model, "gpt2");
  const std::string file = files.path() / "bench.json";
  REQUIRE(bench(model, {"--schemes", "fp32", "--runs", "1", "--max-tokens", "64", "--json", file})
              .code == 0);
  const auto list = nlohmann::ordered_json::parse(test::slurp(file));
  REQUIRE(list.size() == 1);
  std::vector<std::string> keys;
  for (const auto& [key, value] : list[0].items()) keys.push_back(key);
  CHECK(keys == std::vector<std::string>{"scheme", "threads", "prefill_128", "prefill_512",
                                         "decode", "decode_p95_ms", "resident_bytes", "disk_bytes",
                                         "speedup_decode", "speedup_prefill", "delta", "details"});
}

TEST_CASE("A written checkpoint is a row of the same loss, with the size of its file") {
  const std::string family = GENERATE("gpt2", "opt", "llama");
  const test::scratch model, files;
  test::write_tiny_model(model, family);
  const std::string out = files.path() / "out", file = files.path() / "bench.json";
  REQUIRE(zp_lab({"quantize", "--model", model.path(), "--scheme", "w8,w4-g8", "-o", out}).code ==
          0);
  const auto run =
      bench(model, {"--schemes", "w4-g8,w8", "--quantized", out + "/w8", "--quantized",
                    out + "/w4-g8", "--runs", "1", "--max-tokens", "200", "--json", file});
  INFO(family << "\n" << run.out << run.err);
  REQUIRE(run.code == 0);
  const json list = json::parse(test::slurp(file));
  REQUIRE(list.size() == 5);
  const struct {
    const char* scheme;
    std::size_t stored, made;
  } pairs[] = {{"w8", 3, 2}, {"w4-g8", 4, 1}};
  for (const auto& [scheme, stored, made] : pairs) {
    const std::string folder = out + "/" + scheme;
    CHECK(list[stored]["scheme"] == scheme + (" of " + folder));
    CHECK(contains(run.out, scheme + (" of " + folder)));
    CHECK(list[made]["scheme"] == scheme);
    CHECK(list[stored]["delta"] == list[made]["delta"]);
    CHECK(list[stored]["disk_bytes"] == std::filesystem::file_size(folder + "/model.safetensors"));
    CHECK(list[made]["disk_bytes"] == tensor_bytes(folder));
    CHECK(list[stored]["details"]["weight_bytes"] == list[made]["details"]["weight_bytes"]);
  }
  CHECK(list[3]["delta"] != list[4]["delta"]);
}

TEST_CASE("Sizes of a checkpoint in float16: what quantize writes, what memory shows") {
  const test::scratch files;
  const std::string model = files.path() / "model", out = files.path() / "out",
                    file = files.path() / "bench.json";
  lab::write_random_checkpoint(R"({"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2",
    "vocab_size": 2000, "n_positions": 32, "n_embd": 768, "n_layer": 4, "n_head": 12,
    "activation_function": "gelu_new", "layer_norm_epsilon": 1e-05})",
                               model, 1);
  REQUIRE(zp_lab({"quantize", "--model", model, "--scheme", "w8", "-o", out}).code == 0);
  const auto run = zp_lab({"bench", "--model", model, "--schemes", "w8,w4-g32", "--quantized", out,
                           "--runs", "1", "--threads", "2", "--json", file});
  INFO(run.out << run.err);
  REQUIRE(run.code == 0);
  const json list = json::parse(test::slurp(file));
  REQUIRE(list.size() == 4);
  CHECK(list[0]["disk_bytes"] == std::filesystem::file_size(model + "/model.safetensors"));
  CHECK(list[1]["disk_bytes"] == tensor_bytes(out));
  CHECK(list[3]["disk_bytes"] == std::filesystem::file_size(out + "/model.safetensors"));
  if (test::allocator_keeps_memory) return;
  for (const json& j :
       list) {  // 119 MB in float32, 35 in w8, 24 in w4; what is freed returns by 2 MB
    const double measured = j["resident_bytes"].get<double>(),
                 counted = j["details"]["weight_bytes"].get<double>() +
                           j["details"]["cache_bytes"].get<double>();
    CAPTURE(j["scheme"], measured, counted);
    CHECK(std::fabs(measured - counted) < 0.05 * counted + 2.1e6);
  }
}

TEST_CASE("bench of a model without a tokenizer has no loss") {
  const test::scratch model, files;
  test::write_tiny_model(model, "gpt2");
  std::filesystem::remove(model.path() / "tokenizer.json");
  const std::string file = files.path() / "bench.json";
  const auto run = bench(model, {"--schemes", "w8a8-static", "--runs", "1", "--json", file});
  INFO(run.err);
  REQUIRE(run.code == 0);
  CHECK(contains(run.out, "Delta: not measured, the model has no tokenizer."));
  const json list = json::parse(test::slurp(file));
  REQUIRE(list.size() == 2);
  for (const json& j : list) {
    CHECK(j.at("delta").is_null());
    for (const char* key : {"delta_se", "delta_tokens", "protocol"}) {
      CHECK(j.at("details").at(key).is_null());
    }
    CHECK(j["decode"].get<double>() > 0);
  }
}

TEST_CASE("Bad arguments of bench are one line and exit code 2") {
  const test::scratch model;
  test::write_tiny_model(model, "gpt2");
  const struct {
    std::vector<std::string> more;
    const char* says;
  } cases[] = {
      {{"--schemes", "w9"}, "\"w9\" is not a scheme"},
      {{"--schemes", "w8a8-static-watch"}, "w8a8-static-watch changes with what it has seen"},
      {{"--runs", "0"}, "--runs"},
      {{"--threads", "0"}, "--threads"},
      {{"--max-tokens", "0"}, "--max-tokens"},
      {{"--max-tokens", "20"}, "20 tokens are less than one window of 32"},
      {{"--json", "/nowhere/b.json", "--runs", "1", "--schemes", "w8"}, "/nowhere/b.json"},
  };
  for (const auto& c : cases) {
    std::vector<std::string> all = {"bench", "--model", model.path().string(), "--text",
                                    model.write("t", test::some_text(300)).string()};
    all.insert(all.end(), c.more.begin(), c.more.end());
    const auto run = zp_lab(all);
    CAPTURE(run.err, c.says);
    CHECK(run.code == 2);
    CHECK(contains(run.err, c.says));
    CHECK(std::count(run.err.begin(), run.err.end(), '\n') == 1);
  }
  const test::scratch other, files;
  test::write_tiny_model(other, "opt");
  const std::string out = files.path() / "w8";
  REQUIRE(zp_lab({"quantize", "--model", model.path(), "--scheme", "w8", "-o", out}).code == 0);
  const auto foreign = zp_lab({"bench", "--model", other.path(), "--quantized", out});
  CHECK(foreign.code == 2);
  CHECK(contains(foreign.err, "--quantized: " + out + " is not of this --model"));
  const auto twice = zp_lab({"bench", "--model", out});
  CHECK(twice.code == 2);
  CHECK(contains(twice.err, "--model: " + out + " is quantized; expected the float model"));
  CHECK(zp_lab({"bench"}).code == 2);
  CHECK(zp_lab({"bench", "--model", "/nowhere"}).code == 2);
}
