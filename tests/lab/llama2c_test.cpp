// Models of llama2.c: the published text of stories260K (tests/lab/data/stories260K, made by zp-lab convert),
// ids of the package tokenizers, and files that lie.
#include <lab/experiments/generation.hpp>
#include <lab/experiments/llama2c.hpp>
#include <lab/experiments/schemes.hpp>
#include <lab/io/json.hpp>
#include <lab/io/tokenizer.hpp>
#include <lab/models/rotary_rows.hpp>

#include "lab/command.hpp"
#include "lab/golden.hpp"
#include "support/test.hpp"

#include <cstring>
#include <limits>
#include <sstream>

namespace {

namespace fs = std::filesystem;
const fs::path stories = test::data / "stories260K";

/// karpathy/tinyllamas, stories260K/readme.md: temperature 0.
constexpr const char* published =
    "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. "
    "One day, she saw a big, red ball. She wanted to play with it, but it was too high.\n"
    "Lily's mom said, \"Lily, let's go to the park.\" Lily was sad and didn't know what to do. She "
    "said, \"I want to play with your ball, but I can't find it.\"\n"
    "Lily was sad and didn't know what to do. She said, \"I'm sorry, Lily. I didn't know what to "
    "do.\"\n"
    "Lily didn't want to help her mom, so she said, \"I'm sorry, mom. I didn't know what to do.\" "
    "Her mom said, \"Don't worry, Lily. We can help you.";

std::string number(auto value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

/// The two files of a tiny model: width 8, ffn 6, 2 layers, 2 heads, 1 key head, 262 tokens, 5 positions.
struct tiny {
  std::string model, tokenizer;

  explicit tiny(std::int32_t vocab = 262) {
    for (const std::int32_t n : {8, 6, 2, 2, 1, vocab, 5}) model += number(n);
    const std::size_t rows = 262, head = vocab < 0 ? rows * 8 : 0;
    const std::size_t layer = 8 + 64 + 32 + 32 + 64 + 8 + 3 * 48;
    const std::size_t floats = rows * 8 + 2 * layer + 8 + 5 * 4 + head;
    for (std::size_t i = 0; i < floats; ++i) model += number(static_cast<float>(i) / 64);
    tokenizer = number(std::int32_t{9});
    const auto token = [&](const std::string& text, float score) {
      tokenizer += number(score) + number(static_cast<std::int32_t>(text.size())) + text;
    };
    for (const char* text : {"<unk>", "\n<s>\n", "\n</s>\n"}) token(text, 0);
    for (unsigned b = 0; b < 256; ++b) {
      char text[8];
      std::snprintf(text, sizeof text, "<0x%02X>", b);
      token(text, 0);
    }
    token(" ", -2);
    token("a", -3);
    token(" a", -1);
  }
};

std::string convert_error(const tiny& t) {
  const test::scratch dir;
  const auto message = test::rejection([&] {
    return lab::convert_llama2c(dir.write("m.bin", t.model), dir.write("t.bin", t.tokenizer),
                                dir.path() / "out");
  });
  CHECK((message.empty() || !fs::exists(dir.path() / "out" / "config.json")));
  CHECK(!test::contains(message, "\n"));
  return message;
}

}  // namespace

TEST_CASE("stories260K tells the published story") {
  const auto run = test::zp_lab({"generate", "--model", stories.string(), "--prompt", "",
                                 "--max-new-tokens", "256", "--threads", "1"});
  CHECK(run.code == 0);
  CHECK(run.out.substr(0, std::strlen(published)) == published);
}

TEST_CASE("Ids of a SentencePiece vocabulary are those of HuggingFace") {
  const lab::tokenizer t(stories);
  CHECK(t.size() == 512);
  CHECK(t.leading_bos() == 1u);
  CHECK(t.begins_with_space());
  std::istringstream lines(test::slurp(stories / "texts.jsonl"));
  std::size_t count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    const auto item = lab::json::parse(line);
    const auto text = item["text"].get<std::string>();
    CAPTURE(text);
    const auto ids = t.encode(text);
    CHECK(ids == item["ids"].get<std::vector<std::uint32_t>>());
    std::string expected = text.empty() ? "" : " " + text;
    for (std::size_t at; (at = expected.find("\xE2\x96\x81")) != std::string::npos;)
      expected.replace(at, 3, " ");
    CHECK(t.decode_bytes(ids) == expected);
  }
  CHECK(count == 12);
  const std::string bad = "\xFF\xC3 a\xE2\x96";  // not UTF-8: bytes
  CHECK(t.decode_bytes(t.encode(bad)) == " " + bad);
  CHECK(t.encode("a<s>b", lab::special_tokens::recognised)[1] == 1);
}

TEST_CASE("convert keeps every number, with rows of q and k in HuggingFace's order") {
  for (const std::int32_t vocab : {262, -262}) {
    const test::scratch dir;
    const tiny t(vocab);
    const fs::path out = dir.path() / "out";
    CHECK(lab::convert_llama2c(dir.write("m.bin", t.model), dir.write("t.bin", t.tokenizer), out) ==
          262u * 8 * (vocab < 0 ? 2 : 1) + 2 * (16 + 192 + 144) + 8);
    const lab::transformer m = lab::load_model(out);
    CHECK((m.config.width == 8 && m.config.ffn == 6 && m.config.layers == 2));
    CHECK((m.config.heads == 2 && m.config.kv_heads == 1 && m.config.positions == 5));
    CHECK(m.config.tied_head == (vocab > 0));
    const auto at = [&](std::size_t i) { return static_cast<float>(i) / 64; };
    const std::size_t norms = 262 * 8, q = norms + 16, k = q + 128, v = k + 64, o = v + 64;
    CHECK(m.embedding[9] == at(9));
    CHECK(m.blocks[1].attention_norm.gain[0] == at(norms + 8));
    // Row 1 of a head of 4 was its row 2.
    CHECK(m.blocks[1].qkv[0].weight[8] == at(q + 64 + 2 * 8));
    CHECK(m.blocks[0].qkv[1].weight[2 * 8 + 1] == at(k + 8 + 1));
    CHECK(m.blocks[0].qkv[2].weight[8] == at(v + 8));
    const std::size_t gate = o + 128 + 16, down = gate + 96, up = down + 96, last = up + 96;
    CHECK(m.blocks[1].attention_out.weight[0] == at(o + 64));
    CHECK(m.blocks[1].gate->weight[5] == at(gate + 48 + 5));
    CHECK(m.blocks[0].fc2.weight[7] == at(down + 7));
    CHECK(m.blocks[0].fc1.weight[7] == at(up + 7));
    CHECK(m.final_norm->gain[3] == at(last + 3));
    if (vocab < 0) CHECK(m.head[1] == at(last + 8 + 20 + 1));
    const lab::tokenizer tokens(out);
    CHECK(tokens.encode("a ab") == std::vector<std::uint32_t>{261, 261, 3 + 'b'});
  }
}

TEST_CASE("Files of llama2.c that lie") {
  const auto with = [](std::size_t at, auto value, bool tokenizer = false) {
    tiny t;
    (tokenizer ? t.tokenizer : t.model).replace(at, sizeof value, number(value));
    return convert_error(t);
  };
  CHECK(convert_error(tiny()) == "");
  CHECK(test::contains(with(0, 0), "byte offset 0: the width is 0; expected 1 to"));
  CHECK(test::contains(with(8, -2), "byte offset 8: the number of layers is -2"));
  CHECK(test::contains(with(12, 3), "3 heads and 1 key heads do not divide a width of 8"));
  CHECK(test::contains(with(12, 8), "into even parts"));
  CHECK(test::contains(with(16, 3), "do not divide"));
  CHECK(test::contains(with(20, std::numeric_limits<std::int32_t>::min()), "the vocabulary is"));
  CHECK(test::contains(with(24, 6), "bytes; expected"));
  CHECK(test::contains(with(28 + 4 * 2096, std::numeric_limits<float>::quiet_NaN()),
                       "byte offset 8412: a weight of model.layers.0.input_layernorm.weight is"));
  CHECK(test::contains(with(8, -1, true), "token 0 has -1 bytes"));
  CHECK(test::contains(with(8, 1 << 30, true), "within the file"));
  CHECK(
      test::contains(with(8, 10, true), "byte offset 8: token 0 has 10 bytes; the longest has 9"));
  CHECK(test::contains(with(0, 129, true), "byte offset 0: tokens of up to 129 bytes"));
  CHECK(test::contains(with(4, std::numeric_limits<float>::quiet_NaN(), true), "a score of nan"));
  const tiny good;
  for (std::size_t size = 0; size < 120; ++size) {
    tiny t;
    t.model.resize(size);
    CHECK(convert_error(t) != "");
    t = good;
    t.tokenizer.resize(size);
    CHECK(convert_error(t) != "");
  }
  tiny longer;
  longer.tokenizer += '\0';
  CHECK(test::contains(convert_error(longer), "bytes behind its last token"));
  tiny invalid;
  invalid.tokenizer[invalid.tokenizer.size() - 10 - 8 + 7] = '\xFF';
  CHECK(convert_error(invalid) != "");
}

TEST_CASE("tokenizer.json with byte_fallback and other parts") {
  const std::string good = test::slurp(stories / "tokenizer.json");
  const auto says = [&](const char* pointer, const lab::json& value) {
    const test::scratch dir;
    auto tree = lab::json::parse(good);
    tree[lab::json::json_pointer(pointer)] = value;
    dir.write("tokenizer.json", tree.dump());
    return test::rejection([&] { return lab::tokenizer(dir.path()); });
  };
  CHECK(says("/version", "1.0") == "");
  CHECK(
      test::contains(says("/normalizer", nullptr), "normalizer: is not supported with byte_fall"));
  CHECK(test::contains(says("/normalizer/normalizers/0/prepend", "x"), "normalizer: is not"));
  CHECK(test::contains(says("/decoder/decoders/3/start", 2), "decoder: is not supported"));
  CHECK(test::contains(says("/pre_tokenizer", {{"type", "ByteLevel"}}), "pre_tokenizer: is not"));
  CHECK(test::contains(says("/model/byte_fallback", false), "normalizer: is not supported"));
  CHECK(test::contains(says("/model/vocab/<0x41>", 600000), "has id 600000"));
  auto fewer = lab::json::parse(good);
  fewer["model"]["vocab"].erase("<0x41>");
  CHECK(test::contains(says("/model/vocab", fewer["model"]["vocab"]), "has no token <0x41>"));
}
