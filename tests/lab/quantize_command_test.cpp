// zp-lab quantize, and perplexity and logits on what it wrote.
#include <lab/experiments/quantized_checkpoint.hpp>
#include <lab/io/text.hpp>

#include "lab/command.hpp"
#include "lab/file_size_limit.hpp"
#include "lab/golden.hpp"
#include "lab/tiny_model.hpp"

#include <set>

namespace {

using test::zp_lab;

/// A tiny model, texts, and a folder to write into.
struct bench {
  test::scratch model, dir;
  std::string text, calibration, out = (dir.path() / "out").string();

  explicit bench(const std::string& family)
      : text(dir.write("text", test::some_text(400)).string()),
        calibration(dir.write("calibration", test::some_text(400, 43)).string()) {
    test::write_tiny_model(model, family);
  }
  [[nodiscard]] test::outcome quantize(const std::string& schemes,
                                       std::vector<std::string> more = {}) const {
    std::vector<std::string> all{
        "quantize", "--model",       model.path().string(), "--scheme",  schemes, "-o",
        out,        "--calibration", calibration,           "--threads", "1"};
    all.insert(all.end(), more.begin(), more.end());
    return zp_lab(all);
  }
  /// The last row of the JSON of zp-lab perplexity.
  [[nodiscard]] nlohmann::json row(const std::string& folder,
                                   std::vector<std::string> more = {}) const {
    const std::string json = (dir.path() / "rows.json").string();
    std::vector<std::string> all{"perplexity", "--model",       folder,     "--text",
                                 text,         "--threads",     "1",        "--json",
                                 json,         "--calibration", calibration};
    all.insert(all.end(), more.begin(), more.end());
    const auto result = zp_lab(all);
    REQUIRE(result.err == "");
    REQUIRE(result.code == 0);
    return nlohmann::json::parse(test::slurp(json))["rows"].back();
  }
};

std::set<std::string> names_in(const std::filesystem::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    names.insert(entry.path().filename().string());
  return names;
}

}  // namespace

TEST_CASE("what quantize wrote scores exactly as the scheme in memory") {
  for (const char* family : {"gpt2", "opt"}) {
    const bench b(family);
    const std::string schemes = "w8,w4-g32,w4a8-g32,w8a8-dynamic,w8a8-dynamic-token,w8a8-static";
    const auto result = b.quantize(schemes);
    REQUIRE(result.err == "");
    REQUIRE(result.code == 0);
    for (const std::string scheme :
         {"w8", "w4-g32", "w4a8-g32", "w8a8-dynamic", "w8a8-dynamic-token", "w8a8-static"}) {
      CAPTURE(family, scheme);
      const std::string folder = b.out + "/" + scheme;
      CHECK(test::contains(result.out, folder + ": " + scheme + ", "));
      const auto stored = b.row(folder),
                 memory = b.row(b.model.path().string(), {"--schemes", scheme});
      CHECK(stored["scheme"] == scheme);
      for (const char* key : {"loss", "ppl", "clipped", "weight_bytes", "tokens"}) {
        CAPTURE(key);
        REQUIRE(stored.contains(key));
        CHECK(stored[key] == memory[key]);
      }
      CHECK(stored["delta"].is_null());  // there is nothing to compare with
      CHECK(memory["delta"].is_number());
      CHECK(names_in(folder) == std::set<std::string>{"README.md", "config.json",
                                                      "model.safetensors", "tokenizer.json",
                                                      "tokenizer_config.json"});
    }
  }
}

TEST_CASE("logits of a quantized checkpoint") {
  const bench b("gpt2");
  REQUIRE(b.quantize("w8a8-dynamic").code == 0);
  const std::vector<std::uint32_t> ids{7, 0, 256, 31, 99};
  const std::string file = (b.dir.path() / "ids.u16").string(),
                    out = (b.dir.path() / "logits.f32").string();
  lab::write_ids(file, ids);
  const auto result = zp_lab({"logits", "--model", b.out, "--ids", file, "--out", out});
  CHECK(result.code == 0);
  const lab::transformer m = lab::load_model(b.model.path());
  const auto made = lab::make_scheme("w8a8-dynamic", m, {});
  CHECK(test::read_array<float>(out) == test::logits_of(m, made, ids));
}

TEST_CASE("the model card says what was done and measured") {
  const bench b("gpt2");
  const auto result = b.quantize("w8a8-static-mse", {"--evaluate-tokens", "64", "--text", b.text});
  REQUIRE(result.err == "");
  const std::string card = test::slurp(b.out + "/README.md");
  CAPTURE(card);
  for (const char* part :
       {", quantized with w8a8-static-mse\n", "symmetric 8-bit integers from -127 to 127",
        "one scale per layer, fixed by calibration", "- calibration: calibration, its first ",
        "| weight files | ", "protocol chunk: window 32", "62 tokens scored in 2 windows",
        "\nfp32 ", "\nw8a8-static-mse ", "L.input_range", "no other engine reads it"})
    CHECK(test::contains(card, part));
  CHECK(!test::contains(card, b.dir.path().string()));
  CHECK(!test::contains(card, b.model.path().parent_path().string() + "/"));
  CHECK(test::contains(result.out, "delta to"));
}

TEST_CASE("a folder that is not empty is refused, and overwritten only when told") {
  const bench b("opt");
  REQUIRE(b.quantize("w8").code == 0);
  const std::string before = test::slurp(b.out + "/config.json");
  const auto again = b.quantize("w4-g64");
  CHECK(again.code == 2);
  CHECK(test::contains(again.err, "out: is not empty; --force overwrites what is there\n"));
  CHECK(test::slurp(b.out + "/config.json") == before);
  CHECK(b.quantize("w4-g64", {"--force"}).code == 0);
  CHECK(lab::load_quantized(b.out).scheme.text == "w4-g64");
  const auto itself = zp_lab({"quantize", "--model", b.model.path().string(), "--scheme", "w8",
                              "-o", b.model.path().string(), "--force"});
  CHECK(itself.code == 2);
  CHECK(test::contains(itself.err, "is the folder of the model itself"));
}

TEST_CASE("wrong use of quantize and of what it wrote") {
  const bench b("gpt2");
  for (const auto& [scheme, expected] : std::vector<std::pair<std::string, std::string>>{
           {"fp32", "expected a scheme with integer weights"},
           {"", "expected a scheme with integer weights"},
           {"w8a8-static-watch", "-watch changes while it runs"},
           {"w8,w4-awq", "w4-awq cannot be written as a checkpoint: AWQ scales the inputs"},
           {"w4-bias", "w4-bias cannot be written as a checkpoint: -bias changes the biases"},
           {"w4-equalize", "-smooth, -rotate and -equalize change the model"},
           {"w9", "--scheme: \"w9\" is not a scheme"},
           {"w8,q4_0", "--scheme: \"q4_0\" is a type of --format gguf, not of zeropoint"}}) {
    const auto result = b.quantize(scheme);
    CAPTURE(scheme, result.err);
    CHECK(result.code == 2);
    CHECK(test::contains(result.err, expected));
    CHECK(!std::filesystem::exists(b.out));  // refused before any work
  }
  REQUIRE(b.quantize("w8").code == 0);
  const auto schemes =
      zp_lab({"perplexity", "--model", b.out, "--text", b.text, "--schemes", "w4-g32"});
  CHECK(schemes.code == 2);
  CHECK(test::contains(schemes.err, "--schemes: " + b.out + " is quantized already"));
  const auto planted = zp_lab({"perplexity", "--model", b.out, "--text", b.text, "--plant", "1:3"});
  CHECK(planted.code == 2);
  CHECK(test::contains(planted.err, "--plant: "));
  const auto twice = zp_lab({"quantize", "--model", b.out, "--scheme", "w8", "-o", b.out + "2"});
  CHECK(twice.code == 2);
  CHECK(test::contains(twice.err, "quantized already"));
}

TEST_CASE("quantize finds a place that cannot be written before it reads the model") {
  const test::scratch dir;
  const std::string none = (dir.path() / "none").string(), file = dir.write("f", "x").string();
  for (const auto& [out, expected] : std::vector<std::pair<std::string, std::string>>{
           {file, "f: is a file; expected a folder"},
           {file + "/x", "f/x: cannot be made: "},
           {file + "/x/y/", "f/x/y/: cannot be made: "},
           {"/proc/x", "/proc/x: cannot be made: "}}) {
    for (const char* format : {"zeropoint", "gguf"}) {
      const auto run = zp_lab({"quantize", "--model", none, "--scheme",
                               format[0] == 'g' ? "q8_0" : "w8", "--format", format, "-o", out});
      CAPTURE(out, run.err);
      CHECK(run.code == 2);
      CHECK(test::contains(run.err, expected));
    }
  }
  // One that can be written leaves no folder behind when the rest of the command line is wrong.
  const std::string deep = (dir.path() / "a/b/c").string();
  const auto run = zp_lab({"quantize", "--model", none, "--scheme", "w8,w4-g32", "-o", deep});
  CHECK(run.code == 2);
  CHECK(test::contains(run.err, none));
  CHECK(!std::filesystem::exists(dir.path() / "a"));
}

TEST_CASE("compressed-tensors folders score as the scheme in memory") {
  for (const char* family : {"opt", "llama"}) {
    const bench b(family);
    const auto result =
        b.quantize("w8,w4-g8,w8a8-dynamic-token", {"--format", "compressed-tensors"});
    REQUIRE(result.err == "");
    REQUIRE(result.code == 0);
    for (const std::string scheme : {"w8", "w4-g8", "w8a8-dynamic-token"}) {
      CAPTURE(family, scheme);
      const std::string folder = b.out + "/" + scheme;
      const auto stored = b.row(folder),
                 memory = b.row(b.model.path().string(), {"--schemes", scheme});
      CHECK(stored["scheme"] == scheme);
      for (const char* key : {"loss", "clipped", "weight_bytes", "tokens"})
        CHECK(stored[key] == memory[key]);
      const std::string card = test::slurp(folder + "/README.md");
      CHECK(test::contains(card, "- format: compressed-tensors\n"));
      CHECK(test::contains(card, "vllm serve DIR"));
      CHECK(!test::contains(card, "no other engine"));
    }
    const std::string model = b.model.path().string(), folder = b.out + "/w8a8-dynamic-token";
    const auto compared = zp_lab({"compare", "--model", model, "--quantized", folder, "--prompt",
                                  "ab", "--max-new-tokens", "4", "--threads", "1"});
    CHECK(compared.err == "");
    CHECK(test::contains(compared.out, "w8a8-dynamic-token of " + folder));
    const auto generated = zp_lab({"generate", "--model", folder, "--prompt", "ab",
                                   "--max-new-tokens", "4", "--threads", "1"});
    CHECK(generated.code == 0);
  }
}

TEST_CASE("GGUF files of quantize, their card, and what is said of models they cannot hold") {
  const test::scratch model, dir;
  test::write_tiny_model(model, "gpt2");
  const std::string text = dir.write("text", test::some_text(400)).string(),
                    out = (dir.path() / "out").string();
  const auto quantize = [&](const std::string& from, const std::string& schemes,
                            std::vector<std::string> more = {}) {
    std::vector<std::string> all{"quantize", "--model", from, "--scheme",  schemes, "--format",
                                 "gguf",     "-o",      out,  "--threads", "1"};
    all.insert(all.end(), more.begin(), more.end());
    return zp_lab(all);
  };
  const auto result =
      quantize(model.path().string(), "q8_0,q4_0", {"--evaluate-tokens", "64", "--text", text});
  REQUIRE(result.err == "");
  REQUIRE(result.code == 0);
  for (const std::string scheme : {"q8_0", "q4_0"}) {
    const std::string folder = out + "/" + scheme;
    CHECK(names_in(folder) == std::set<std::string>{"README.md", "model.gguf"});
    const std::string card = test::slurp(folder + "/README.md");
    CAPTURE(card);
    for (const std::string& part :
         {"quantized with " + scheme + "\n", std::string("- format: gguf\n"),
          std::string("a scale per 32 inputs of an output in float16"),
          std::string("6 layers have rows that are not whole blocks of 32"), "\n" + scheme + " ",
          std::string("llama-cli -m model.gguf")})
      CHECK(test::contains(card, part));
    const auto said = zp_lab({"generate", "--model", folder + "/model.gguf", "--prompt", "ab",
                              "--max-new-tokens", "4", "--threads", "1"});
    CHECK(said.code == 0);
  }
  const auto refused = [&](const test::outcome& run, const std::string& expected) {
    CAPTURE(run.err, expected);
    CHECK(run.code == 2);
    CHECK(std::count(run.err.begin(), run.err.end(), '\n') == 1);
    CHECK(test::contains(run.err, expected));
  };
  const std::string from = model.path().string();
  std::filesystem::remove_all(out);
  refused(quantize(from, "w8"), "\"w8\" is no type of --format gguf; expected q8_0, q4_0 or both");
  refused(quantize(from, ""), "expected q8_0, q4_0 or both");
  refused(zp_lab({"quantize", "--model", from, "--scheme", "w8", "--format", "onnx", "-o", out}),
          "--format: \"onnx\" is not a format; expected zeropoint, compressed-tensors or gguf");
  const test::scratch opt;
  test::write_tiny_model(opt, "opt");
  refused(quantize(opt.path().string(), "q8_0"), "llama.cpp has no OPT");
  CHECK(!std::filesystem::exists(out + "/model.gguf"));
  const auto conv1d = zp_lab({"quantize", "--model", from, "--scheme", "w8", "--format",
                              "compressed-tensors", "-o", out + "2", "--threads", "1"});
  refused(conv1d, "GPT-2's layers are Conv1D");
  CHECK(!std::filesystem::exists(out + "2"));
}

TEST_CASE("A disk that fills leaves no model under the final name") {
  const test::scratch model, dir;
  test::write_tiny_model(model, "gpt2");
  for (const std::string format : {"zeropoint", "gguf"}) {
    const std::string out = (dir.path() / format).string();
    test::outcome run;
    {
      const test::file_size_limit limit(8192);
      run = zp_lab({"quantize", "--model", model.path().string(), "--scheme",
                    format == "gguf" ? "q8_0" : "w8", "--format", format, "-o", out, "--threads",
                    "1"});
    }
    CAPTURE(format, run.err);
    CHECK(run.code == 1);  // nothing that the caller said is wrong
    CHECK(test::contains(run.err, "cannot be written"));
    for (const std::string& name : names_in(out)) {
      CAPTURE(name);
      CHECK((name == "tokenizer.json" || name == "tokenizer_config.json"));
    }
  }
}
