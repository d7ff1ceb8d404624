// The commands on a .gguf file give what they give on the folder that it was made of.
#include "lab/command.hpp"
#include "lab/gguf_model.hpp"
#include "lab/tiny_model.hpp"

#include <lab/io/text.hpp>

namespace {

using test::contains;
using test::zp_lab;

struct pair_of_models {
  test::scratch dir;
  std::string folder = dir.path().string(), gguf, text;

  pair_of_models() {
    test::write_tiny_model(dir, "llama");
    gguf = dir.write("tiny.gguf", test::as_gguf(dir.path()).bytes()).string();
    text = dir.write("text", test::some_text(400)).string();
  }
  /// Both answers, without the name of the model.
  void same(std::vector<std::string> arguments, bool errors_too = true) const {
    const auto run = [&](const std::string& model) {
      std::vector<std::string> all{arguments.front(), "--model", model, "--threads", "1"};
      all.insert(all.end(), arguments.begin() + 1, arguments.end());
      return zp_lab(all);
    };
    const auto expected = run(folder), found = run(gguf);
    CAPTURE(arguments.front(), found.err);
    CHECK(expected.code == 0);
    CHECK(found.code == 0);
    CHECK(found.out.size() > 2);
    CHECK(found.out == expected.out);
    if (errors_too) CHECK(found.err == expected.err);
  }
};

}  // namespace

TEST_CASE("generate and compare take a GGUF file") {
  const pair_of_models m;
  m.same({"generate", "--prompt", "some words", "--max-new-tokens", "12"}, false);
  m.same({"generate", "--prompt-tokens", "9", "--max-new-tokens", "20", "--scheme",
          "w8a8-dynamic-token"},
         false);
  m.same({"generate", "--prompt", "ab", "--max-new-tokens", "9", "--scheme", "w8a8-static",
          "--calibration", m.text, "--calibration-tokens", "64"},
         false);
  m.same({"compare", "--prompt", "some words", "--max-new-tokens", "16", "--schemes", "w2"});
}

TEST_CASE("tokenize and logits take a GGUF file") {
  const pair_of_models m;
  const std::string ids = (m.dir.path() / "ids.u16").string(),
                    first = (m.dir.path() / "first.f32").string(),
                    second = (m.dir.path() / "second.f32").string();
  std::vector<std::uint32_t> read[2];
  for (std::size_t i = 0; i < 2; ++i) {
    const auto run =
        zp_lab({"tokenize", "--model", i == 0 ? m.folder : m.gguf, "--text", m.text, "--out", ids});
    CHECK(run.code == 0);
    read[i] = lab::read_ids(ids);
  }
  CHECK(read[0].size() == test::slurp(m.text).size());
  CHECK(read[0] == read[1]);
  read[0].resize(30);
  lab::write_ids(ids, read[0]);
  CHECK(zp_lab({"logits", "--model", m.folder, "--ids", ids, "--out", first}).code == 0);
  CHECK(zp_lab({"logits", "--model", m.gguf, "--ids", ids, "--out", second}).code == 0);
  CHECK(test::slurp(first).size() == 30u * 257 * 4);
  CHECK(test::slurp(first) == test::slurp(second));
}

TEST_CASE("perplexity takes a GGUF file") {
  const pair_of_models m;
  const auto loss = [&](const std::string& model) {
    const std::string json = (m.dir.path() / "rows.json").string();
    const auto run =
        zp_lab({"perplexity", "--model", model, "--text", m.text, "--calibration", m.text,
                "--schemes", "w8,w8a8-static", "--threads", "1", "--json", json});
    CAPTURE(run.err);
    REQUIRE(run.code == 0);
    std::vector<double> losses;
    const auto report = nlohmann::json::parse(test::slurp(json));
    for (const auto& row : report["rows"]) {
      losses.push_back(row["loss"].get<double>());
    }
    return losses;
  };
  const auto found = loss(m.gguf);
  CHECK(found.size() == 3);
  CHECK(found == loss(m.folder));
}

TEST_CASE("What is wrong with a GGUF file is one line and exit code 2") {
  const pair_of_models m;
  const auto refused = [](std::vector<std::string> arguments, const std::string& expected) {
    const auto run = zp_lab(std::move(arguments));
    CAPTURE(run.err, expected);
    CHECK(run.code == 2);
    CHECK(run.out.empty());
    CHECK(std::count(run.err.begin(), run.err.end(), '\n') == 1);
    CHECK(contains(run.err, expected));
  };
  const std::string none = (m.dir.path() / "none.gguf").string();
  refused({"generate", "--model", none, "--prompt", "x"}, "none.gguf: cannot be opened");
  const std::string whole = test::slurp(m.gguf);
  const std::string cut =
      m.dir.write("cut.gguf", std::string_view(whole).substr(0, whole.size() - 64)).string();
  refused({"generate", "--model", cut, "--prompt", "x"}, "cut.gguf: ");
  const std::string other =
      (test::data / "gguf" / "sample.gguf").string();  // no model, though gpt2 by its name
  refused({"generate", "--model", other, "--prompt-tokens", "2"},
          "metadata gpt2.embedding_length: is missing");
  refused({"tokenize", "--model", other, "--text", m.text, "--out", none},
          "metadata tokenizer.ggml.model: is missing");
  refused({"quantize", "--model", m.gguf, "--scheme", "w8", "-o", (m.dir.path() / "q").string()},
          "tiny.gguf: is a GGUF file; expected a folder");
}
