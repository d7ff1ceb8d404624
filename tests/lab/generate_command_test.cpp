// zp-lab generate and compare on small models of every family: text, speeds, prompts and limits.
#include <lab/io/safetensors.hpp>

#include "lab/command.hpp"
#include "lab/tiny_model.hpp"

#include <algorithm>
#include <numeric>

namespace {

using test::contains;
using test::zp_lab;

/// generate with these arguments, and this text on standard input.
test::outcome generate(const test::scratch& model, std::vector<std::string> more,
                       const std::string& input = "") {
  std::istringstream in(input);
  auto* const old = std::cin.rdbuf(in.rdbuf());
  std::vector<std::string> all = {"generate", "--model", model.path().string()};
  all.insert(all.end(), more.begin(), more.end());
  auto result = zp_lab(all);
  std::cin.rdbuf(old);
  std::cin.clear();
  return result;
}

bool one_line(const std::string& text) {
  return !text.empty() && text.find('\n') == text.size() - 1;
}

}  // namespace

TEST_CASE("generate stops at each of the tokens that generation_config.json names") {
  const test::scratch model, quantized;
  test::write_tiny_model(model, "llama");
  const std::vector<std::string> words{"--prompt", "some words", "--max-new-tokens", "12"};
  REQUIRE(generate(model, words).out.size() >= 2);
  const auto stopped = [&](const test::scratch& folder, const nlohmann::json& ends) {
    folder.write("generation_config.json", nlohmann::json{{"eos_token_id", ends}}.dump());
    return generate(folder, words);
  };
  std::vector<unsigned> all(257);
  std::iota(all.begin(), all.end(), 0u);
  CHECK(stopped(model, all).out == "\n");
  const auto refused = stopped(model, {256, 257});
  CHECK(refused.code == 2);
  CHECK(one_line(refused.err));
  CHECK(contains(refused.err,
                 "generation_config.json: eos_token_id: has token 257; expected less than "
                 "257, the vocabulary of config.json"));
  (void)stopped(model, all);
  REQUIRE(zp_lab({"quantize", "--model", model.path().string(), "--scheme", "w8", "--force", "-o",
                  quantized.path().string()})
              .code == 0);
  CHECK(generate(quantized, words).out == "\n");  // the file went with it
  CHECK(stopped(quantized, {257}).code == 2);
}

TEST_CASE("generate writes text, and a line of speeds and sizes") {
  const std::string family = GENERATE("gpt2", "opt", "llama");
  INFO(family);
  const test::scratch model;
  test::write_tiny_model(model, family);
  const auto plain =
      generate(model, {"--prompt", "some words", "--max-new-tokens", "12", "--threads", "1"});
  CHECK(plain.code == 0);
  CHECK(plain.out.size() >= 2);
  CHECK(plain.out.back() == '\n');
  CHECK(one_line(plain.err));
  const std::string prompt = family == "opt" ? "11" : "10";  // with its BOS
  for (const std::string& part :
       {"fp32, 1 thread: prefill of " + prompt + " tokens at ", std::string(" tokens/s, "),
        std::string("first token after "), std::string("peak memory "), std::string("weights "),
        std::string("KV cache ")}) {
    CAPTURE(plain.err, part);
    CHECK(contains(plain.err, part));
  }
  // The same text on other threads, in several runs, and from standard input.
  const auto threads =
      generate(model, {"--prompt", "-", "--max-new-tokens", "12", "--threads", "3", "--runs", "3"},
               "some words\n");
  CHECK(threads.code == 0);
  CHECK(threads.out == plain.out);
  CHECK(contains(threads.err, "(medians of 3 runs)"));
  // A drawn text is that of its seed.
  const auto drawn = [&](const char* seed) {
    return generate(model, {"--prompt", "some words", "--max-new-tokens", "12", "--temperature",
                            "5", "--top-k", "100", "--top-p", "0.95", "--seed", seed})
        .out;
  };
  CHECK(drawn("3") == drawn("3"));
  CHECK(drawn("3") != drawn("4"));
}

TEST_CASE("generate runs every kind of scheme") {
  const std::string family = GENERATE("gpt2", "llama");
  const test::scratch model;
  test::write_tiny_model(model, family);
  const std::string text = model.write("t", test::some_text(300)).string();
  for (const std::string scheme : {"w8", "w4-g8", "w8a8-dynamic", "w8a8-dynamic-token-attn8",
                                   "w8a8-static-smooth", "w8a8-outlier", "bf16-kv8"}) {
    const auto run = generate(model, {"--prompt", "ab", "--max-new-tokens", "5", "--scheme", scheme,
                                      "--calibration", text, "--calibration-tokens", "64"});
    CAPTURE(family, scheme, run.err);
    CHECK(run.code == 0);
    CHECK(one_line(run.err));
    CHECK(run.err.rfind(scheme + ", ", 0) == 0);
  }
}

TEST_CASE("What quantize wrote continues a prompt as the scheme in memory, token for token") {
  const std::string family = GENERATE("gpt2", "opt", "llama");
  const test::scratch model, dir;
  test::write_tiny_model(model, family);
  const std::string text = dir.write("t", test::some_text(300)).string();
  const std::vector<std::string> schemes = {"w2",           "w4-g8-affine",       "w3-gptq",
                                            "w8a8-dynamic", "w8a8-dynamic-token", "w8a8-static",
                                            "w2-kv8"};
  std::string list;
  for (const std::string& s : schemes) list += (list.empty() ? "" : ",") + s;
  const std::string out = (dir.path() / "out").string();
  const auto written = zp_lab({"quantize", "--model", model.path().string(), "--scheme", list, "-o",
                               out, "--calibration", text, "--calibration-tokens", "64"});
  CAPTURE(family, written.err);
  REQUIRE(written.code == 0);
  const auto ids = [&](const std::string& folder, std::vector<std::string> more) {
    std::vector<std::string> all{
        "generate", "--model",       folder, "--prompt-tokens",      "9", "--max-new-tokens",
        "23",       "--calibration", text,   "--calibration-tokens", "64"};
    all.insert(all.end(), more.begin(), more.end());
    return zp_lab(all);
  };
  for (const std::string& scheme : schemes) {
    const std::string folder = out + "/" + scheme;
    std::size_t other = 0;
    for (const char* seed : {"1", "2", "3"}) {
      const auto memory = ids(model.path().string(), {"--scheme", scheme, "--seed", seed});
      const auto stored = ids(folder, {"--seed", seed, "--threads", "2"});
      CAPTURE(scheme, seed, memory.err, stored.err);
      CHECK(stored.code == 0);
      CHECK(std::count(stored.out.begin(), stored.out.end(), ' ') == 22);
      CHECK(stored.out == memory.out);
      CHECK(stored.err.rfind(scheme + ", 2 threads: ", 0) == 0);
      other += stored.out != ids(model.path().string(), {"--seed", seed}).out ? 1 : 0;
    }
    if (scheme.starts_with("w2")) CHECK(other == 3);  // two bits change a random model
  }
  const auto told = ids(out + "/w2", {"--scheme", "w8"});
  CHECK(told.code == 2);
  CHECK(one_line(told.err));
  CHECK(contains(told.err, "--scheme: " + out + "/w2 is quantized already"));
}

TEST_CASE("generate with random ids needs no tokenizer and writes ids") {
  const test::scratch model;
  test::write_tiny_model(model, "llama");
  std::filesystem::remove(model.path() / "tokenizer.json");
  std::filesystem::remove(model.path() / "tokenizer_config.json");
  const auto run = generate(model, {"--prompt-tokens", "20", "--max-new-tokens", "12"});
  CHECK(run.code == 0);
  std::istringstream ids(run.out);
  std::vector<std::uint32_t> found;
  for (std::uint32_t id = 0; ids >> id;) {
    CHECK(id < 257);
    found.push_back(id);
  }
  CHECK(found.size() == 12);
  CHECK(ids.eof());
  CHECK(contains(run.err, "prefill of 20 tokens"));
  CHECK(contains(run.err, "decode of 11 at "));
  const auto other =
      generate(model, {"--prompt-tokens", "20", "--max-new-tokens", "12", "--seed", "2"});
  CHECK(other.code == 0);
  CHECK(other.out != run.out);
  const std::vector<std::string> calibrated{"--prompt-tokens",  "20", "--scheme", "w8a8-static",
                                            "--max-new-tokens", "4"};
  const auto of_random_ids = generate(model, calibrated);
  CHECK(of_random_ids.code == 0);
  CHECK(std::count(of_random_ids.out.begin(), of_random_ids.out.end(), ' ') == 3);
}

TEST_CASE("What does not fit the context, and a prompt of nothing, are one line and exit code 2") {
  const test::scratch model;
  test::write_tiny_model(model, "gpt2");
  const auto refused = [&](std::vector<std::string> arguments, const std::string& expected) {
    const auto run = generate(model, std::move(arguments));
    CAPTURE(run.err, expected);
    CHECK(run.code == 2);
    CHECK(run.out.empty());
    CHECK(one_line(run.err));
    CHECK(contains(run.err, expected));
  };
  refused({"--prompt", std::string(20, 'x'), "--max-new-tokens", "13"},
          "a prompt of 20 tokens and 13 new ones: this model has 32 positions");
  refused({"--prompt-tokens", "33"}, "a prompt of 33 tokens");
  refused({"--prompt", ""}, "--prompt: is empty");
  refused({"--prompt", "-"}, "--prompt: is empty");
  refused({"--prompt", "x", "--scheme", "w8a8-static", "--calibration",
           (model.path() / "none").string()},
          "none: cannot be opened");
  const auto fits = generate(model, {"--prompt", std::string(20, 'x'), "--max-new-tokens", "12"});
  CHECK(fits.code == 0);
}

TEST_CASE("A weight file that breaks off is named before anything is written") {
  const test::scratch model;
  test::write_tiny_model(model, "llama");
  const auto path = model.path() / "model.safetensors";
  const std::string bytes = test::slurp(path);
  model.write("model.safetensors", std::string_view(bytes).substr(0, bytes.size() - 1));
  const auto run = generate(model, {"--prompt", "x"});
  CHECK(run.code == 2);
  CHECK(run.out.empty());
  CHECK(one_line(run.err));
  CHECK(contains(run.err, "model.safetensors: byte offset "));
}

TEST_CASE("compare shows texts, where they part, and the probabilities there") {
  const std::string family = GENERATE("gpt2", "opt", "llama");
  const test::scratch model;
  test::write_tiny_model(model, family);
  const auto run = zp_lab({"compare", "--model", model.path().string(), "--prompt", "some words",
                           "--max-new-tokens", "16", "--schemes", "f16,w2", "--threads", "2"});
  CAPTURE(run.out, run.err);
  CHECK(run.code == 0);
  CHECK(run.err.empty());
  CHECK(run.out.rfind("fp32:\n", 0) == 0);
  CHECK(contains(run.out, "\nf16:\n"));
  CHECK(contains(run.out, "\nw2:\n"));
  const std::string last = run.out.substr(run.out.find("\nw2:\n"));
  CHECK(contains(last, "\nAs fp32 for "));  // two bits change a random model
  CHECK(contains(last, "  taken by fp32\n"));
  CHECK(contains(last, "  taken by w2\n"));
}

TEST_CASE("compare takes what quantize wrote beside its float model") {
  const test::scratch model, other, dir;
  test::write_tiny_model(model, "gpt2");
  test::write_tiny_model(other, "opt");
  const std::string out = (dir.path() / "out").string();
  REQUIRE(
      zp_lab({"quantize", "--model", model.path().string(), "--scheme", "w2", "-o", out}).code ==
      0);
  const auto compare = [](const test::scratch& natural, std::vector<std::string> more) {
    std::vector<std::string> all{"compare",  "--model",    natural.path().string(),
                                 "--prompt", "some words", "--max-new-tokens",
                                 "16"};
    all.insert(all.end(), more.begin(), more.end());
    return zp_lab(all);
  };
  const auto memory = compare(model, {"--schemes", "w2"});
  const auto stored = compare(model, {"--quantized", out});
  CHECK(stored.err == "");
  REQUIRE(stored.code == 0);
  std::string expected = memory.out;
  const std::string name = "w2 of " + out;
  for (std::size_t at = 0; (at = expected.find("w2", at)) != std::string::npos; at += name.size()) {
    expected.replace(at, 2, name);
  }
  CHECK(stored.out == expected);
  CHECK(contains(stored.out, "\nAs fp32 for "));
  const auto both = compare(model, {"--schemes", "w2", "--quantized", out});
  CHECK(both.code == 0);
  CHECK(both.out == memory.out + stored.out.substr(stored.out.find("\n" + name + ":\n")));
  const auto refused = [&](const test::outcome& run, const std::string& part) {
    CAPTURE(run.err, part);
    CHECK(run.code == 2);
    CHECK(one_line(run.err));
    CHECK(contains(run.err, part));
  };
  refused(compare(model, {}), "--schemes or --quantized is required");
  refused(compare(other, {"--quantized", out}), out + " is not of this --model");
  refused(compare(model, {"--quantized", model.path().string()}), "quantization_config");
  refused(zp_lab({"compare", "--model", out, "--prompt", "x", "--schemes", "w8"}),
          "expected the float model, and this folder as --quantized");
}
