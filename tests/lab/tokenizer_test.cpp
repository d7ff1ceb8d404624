// The GPT-2 tokenizer: 47 published vectors, the token counts of WikiText-2, all byte strings.
#include <lab/io/text.hpp>
#include <lab/io/tokenizer.hpp>

#include "lab/scratch.hpp"
#include "support/test.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <sstream>

namespace {

using ids = std::vector<std::uint32_t>;

const lab::tokenizer& gpt2() {
  static const lab::tokenizer result(test::data / "gpt2");
  return result;
}

}  // namespace

TEST_CASE("the 47 vectors") {
  std::istringstream lines(test::slurp(test::data / "gpt2" / "vectors.jsonl"));
  std::size_t count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    const auto vector = nlohmann::json::parse(line);
    const auto text = vector["text"].get<std::string>();
    CAPTURE(text);
    CHECK(gpt2().encode(text) == vector["ids"].get<ids>());
    CHECK(gpt2().decode(vector["ids"].get<ids>()) == text);
  }
  CHECK(count == 47);
}

TEST_CASE("WikiText-2 raw test: both ways of reading it") {
  const std::string text = lab::read_text("examples/data/wikitext-2-raw/wiki.test.raw");
  const auto plain = gpt2().encode(text);
  CHECK(plain.size() == 286221);
  CHECK(gpt2().decode_bytes(plain) == text);
  CHECK(gpt2().encode(lab::join_lines_as_huggingface(text)).size() == 287644);
}

TEST_CASE("decode_bytes(encode(x)) == x for any bytes") {
  const auto seed = test::seed(3);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  for (int round = 0; round < 2000; ++round) {
    std::string text(g() % 60, '\0');
    for (char& c : text) c = static_cast<char>(g());
    REQUIRE(gpt2().decode_bytes(gpt2().encode(text)) == text);
  }
  for (int byte = 0; byte < 256; ++byte) {
    const std::string text(1, static_cast<char>(byte));
    CHECK(gpt2().decode_bytes(gpt2().encode(text)) == text);
    CHECK(gpt2().encode(text).size() == 1);
  }
}

TEST_CASE("decode replaces what is not UTF-8") {
  const auto half = gpt2().encode("\xE4\xB8");
  CHECK(gpt2().decode(half) == "\xEF\xBF\xBD");
  CHECK(gpt2().decode({}) == "");
}

TEST_CASE("special tokens are text unless asked for") {
  const std::string text = "a<|endoftext|><|endoftext|> b<|endof";
  const auto as_text = gpt2().encode(text);
  CHECK(std::count(as_text.begin(), as_text.end(), 50256u) == 0);
  CHECK(gpt2().decode(as_text) == text);
  const auto special = gpt2().encode(text, lab::special_tokens::recognised);
  ids expected{64, 50256, 50256};
  for (auto id : gpt2().encode(" b<|endof")) expected.push_back(id);
  CHECK(special == expected);
  CHECK(gpt2().decode(special) == text);
  CHECK(gpt2().encode("", lab::special_tokens::recognised).empty());
}

TEST_CASE("a pre-token of a megabyte does not take quadratic time") {
  const std::string letters(1000000, 'a');
  CHECK(gpt2().decode_bytes(gpt2().encode(letters)) == letters);
  CHECK(gpt2().encode(std::string(1000000, ' ')).size() > 0);
}

TEST_CASE("ids outside the vocabulary are refused, tokens are found by their bytes") {
  CHECK(gpt2().size() == 50257);
  CHECK(gpt2().find(" world") == 995u);
  CHECK(gpt2().find("<|endoftext|>") == 50256u);
  CHECK(!gpt2().find("no such token"));
  CHECK(!gpt2().leading_bos());
  const ids wrong{50257};
  CHECK(test::contains(test::rejection([&] { return gpt2().decode(wrong); }), "id 50257"));
}

TEST_CASE("encode reports how far it is") {
  std::string text;
  while (text.size() < 1000000) text += "some words again ";
  std::vector<std::size_t> seen;
  (void)gpt2().encode(text, lab::special_tokens::as_text,
                      [&](std::size_t done) { seen.push_back(done); });
  CHECK(seen.size() >= 10);
  CHECK(std::is_sorted(seen.begin(), seen.end()));
  CHECK(seen.back() <= text.size());
}
