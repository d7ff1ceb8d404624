// Tokenizers from GGUF: the ids of the package tokenizers (tests/make_gguf_model.py), the same
// vocabulary as tokenizer.json, and metadata that lies.
#include <lab/io/gguf_metadata.hpp>
#include <lab/io/gguf_writer.hpp>
#include <lab/io/tokenizer.hpp>
#include <lab/io/tokenizer_gguf.hpp>

#include "lab/gguf_model.hpp"
#include "lab/tiny_model.hpp"
#include "support/test.hpp"

#include <functional>
#include <limits>
#include <sstream>

namespace {

using ids = std::vector<std::uint32_t>;
using lab::json;

const std::filesystem::path golden = test::data / "gguf" / "llama.gguf";

/// Texts and what the package tokenizers makes of them.
std::vector<std::pair<std::string, ids>> golden_texts() {
  std::istringstream lines(test::slurp(test::data / "gguf" / "llama.texts.jsonl"));
  std::vector<std::pair<std::string, ids>> result;
  for (std::string line; std::getline(lines, line);) {
    const json item = json::parse(line);
    result.emplace_back(item["text"].get<std::string>(), item["ids"].get<ids>());
  }
  return result;
}

test::gguf_model tiny() {
  const test::scratch dir;
  test::write_tiny_model(dir, "llama");
  return test::as_gguf(dir.path());
}

lab::tokenizer tokenizer_of(const test::gguf_model& g) {
  const test::scratch dir;
  return lab::tokenizer(dir.write("t.gguf", g.bytes()));
}

}  // namespace

TEST_CASE("Ids of a GGUF tokenizer with single digits are those of HuggingFace") {
  const lab::tokenizer t(golden);
  CHECK(t.size() == 264);
  CHECK(!t.leading_bos());
  CHECK(t.find("<|end|>") == 0u);
  const auto texts = golden_texts();
  REQUIRE(texts.size() == 10);
  for (const auto& [text, expected] : texts) {
    CAPTURE(text);
    CHECK(t.encode(text) == expected);
    std::string kept = text;  // but for the bytes that have no token
    std::erase_if(kept, [](char c) { return c == '\x04' || c == '\xFF'; });
    CHECK(t.decode_bytes(t.encode(text)) == kept);
  }
  CHECK(t.encode("\x04\xFF\x04").empty());
  CHECK(t.encode("a<|end|>b", lab::special_tokens::recognised)[1] == 0);
}

TEST_CASE("A SentencePiece tokenizer in GGUF gives the ids of its tokenizer.json") {
  const auto folder = test::data / "stories260K";
  const test::scratch dir;
  const auto entries = lab::gguf_tokenizer_entries(lab::load_tokenizer(folder), 514);
  std::vector<lab::gguf_layout> none;
  const auto write = [&](const lab::gguf_entries& metadata) {
    const auto file = dir.path() / "s.gguf";
    auto all = metadata;
    all.emplace_back("tokenizer.ggml.bos_token_id", lab::gguf_u32(1));
    lab::gguf_writer(file, all, none).finish();
    return lab::tokenizer(file);
  };
  const lab::tokenizer t = write(entries), expected(folder);
  CHECK(t.size() == 514);  // two of them unused
  CHECK(t.begins_with_space());
  CHECK(t.leading_bos() == 1u);
  CHECK(t.find("<s>") == 1u);
  std::istringstream lines(test::slurp(folder / "texts.jsonl"));
  std::size_t texts = 0;
  for (std::string line; std::getline(lines, line); ++texts) {
    const std::string text = json::parse(line)["text"].get<std::string>();
    CAPTURE(text);
    CHECK(t.encode(text) == json::parse(line)["ids"].get<ids>());
    CHECK(t.decode_bytes(t.encode(text)) == expected.decode_bytes(expected.encode(text)));
  }
  CHECK(texts >= 10);
  const auto says = [&](const std::string& key, std::optional<lab::gguf_value> value) {
    lab::gguf_entries changed = entries;
    std::erase_if(changed, [&](const auto& e) { return e.first == key; });
    if (value) changed.emplace_back(key, *value);
    return test::rejection([&] { return write(changed); });
  };
  const std::string p = "tokenizer.ggml.";
  std::vector<float> scores(514, -1.0f);
  CHECK(test::contains(says(p + "scores", {}), "scores: is missing; expected a list of floats"));
  CHECK(test::contains(says(p + "scores", lab::gguf_f32s(std::span(scores).first(513))),
                       "scores: has 513 elements; expected one for each of 514 tokens"));
  CHECK(test::contains(says(p + "scores", lab::gguf_u32(1)), "is 1; expected a list of floats"));
  scores[400] = std::numeric_limits<float>::quiet_NaN();
  CHECK(test::contains(says(p + "scores", lab::gguf_f32s(scores)), "element 400 is nan"));
  CHECK(test::contains(says(p + "add_space_prefix", lab::gguf_boolean(false)), "expected true"));
  CHECK(test::contains(says(p + "remove_extra_whitespaces", lab::gguf_boolean(true)),
                       "remove_extra_whitespaces: is not supported; expected false"));
  std::vector<std::string> tokens;
  for (const auto& [key, value] : entries)
    if (key == p + "tokens")
      for (std::size_t i = 0; i < value.size(); ++i)
        tokens.push_back(std::get<std::string>(value[i]));
  const auto with = [&](std::size_t at, std::string text) {
    auto changed = tokens;
    changed[at] = std::move(text);
    return says(p + "tokens", lab::gguf_texts(std::move(changed)));
  };
  CHECK(test::contains(with(68, "A0"), "has no token <0x41>"));
  CHECK(test::contains(with(300, "a b"), "\"a b\" has a space; expected U+2581"));
  CHECK(test::contains(with(300, std::string(257, 'a')), "has 257 bytes; expected at most 256"));
}

TEST_CASE("Merges that no scores give cannot be written") {
  auto data = lab::load_tokenizer(test::data / "stories260K");
  CHECK(data.merges[6].result ==
        data.merges[7].result);  // " the" in two ways: either order is fine
  std::swap(data.merges[6], data.merges[7]);
  CHECK(lab::gguf_tokenizer_entries(data, 512).size() == 7);
  std::swap(data.merges[7], data.merges[8]);  // another between them
  const auto text = test::rejection([&] { return lab::gguf_tokenizer_entries(data, 512); });
  CHECK(test::contains(text, "cannot be written as GGUF: no scores give its merges"));
}

TEST_CASE("tokenizer.json with Digits and ByteLevel gives the same ids") {
  const lab::gguf_file file(golden);
  const lab::gguf_metadata m(file);
  const auto tokens = m.texts("tokenizer.ggml.tokens");
  json vocabulary;
  for (std::size_t i = 0; i < tokens.size(); ++i) vocabulary[tokens[i]] = i;
  const json level = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}};
  const json digits = {{"type", "Digits"}, {"individual_digits", true}};
  json whole = {{"added_tokens", {{{"id", 0}, {"content", "<|end|>"}, {"special", true}}}},
                {"normalizer", nullptr},
                {"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", {digits, level}}}},
                {"post_processor", nullptr},
                {"decoder", level},
                {"model",
                 {{"type", "BPE"},
                  {"unk_token", nullptr},
                  {"vocab", vocabulary},
                  {"merges", m.texts("tokenizer.ggml.merges")}}}};
  const auto load = [&] {
    const test::scratch dir;
    dir.write("tokenizer.json", whole.dump());
    return lab::tokenizer(dir.path());
  };
  for (const auto& [text, expected] : golden_texts()) {
    CAPTURE(text);
    CHECK(load().encode(text) == expected);
  }
  const auto says = [&](const std::string& pointer, const json& value) {
    const json kept = std::exchange(whole[json::json_pointer(pointer)], value);
    const auto message = test::rejection(load);
    whole[json::json_pointer(pointer)] = kept;
    CAPTURE(message);
    return message;
  };
  const std::string pre = "/pre_tokenizer/pretokenizers";
  CHECK(test::contains(says(pre + "/0/individual_digits", false),
                       "pre_tokenizer.pretokenizers[0].individual_digits: false is not supported"));
  CHECK(test::contains(says(pre + "/0/type", "Punctuation"), "expected Digits"));
  CHECK(test::contains(says(pre + "/1/add_prefix_space", true), "behind Digits is not supported"));
  CHECK(test::contains(says(pre, json::array()), "expected ByteLevel, or Digits and ByteLevel"));
  CHECK(test::contains(says(pre, {digits, digits, level}), "expected ByteLevel, or Digits"));
  CHECK(test::contains(says(pre, {level, digits}), "expected ByteLevel"));
  const auto told = [&] {
    const test::scratch dir;
    dir.write("tokenizer.json", whole.dump());
    dir.write("tokenizer_config.json", R"({"add_prefix_space":true})");
    return lab::tokenizer(dir.path());
  };
  CHECK(test::contains(test::rejection(told), "behind Digits is not supported"));
  whole["pre_tokenizer"]["pretokenizers"] = json::array({level});  // numbers may stay together
  CHECK(load().encode("x 12") == ids{120, 260, 50});
}

TEST_CASE("The pre-tokenizer, the BOS and the kinds of tokens are as the metadata says") {
  test::gguf_model g = tiny();
  CHECK(tokenizer_of(g).encode("a 12") == ids{97, 32, 49, 50});
  CHECK(!tokenizer_of(g).leading_bos());
  const std::string space = "\xC4\xA0";
  lab::gguf_value tokens = [&] {
    const test::scratch dir;
    return *lab::gguf_file(dir.write("t.gguf", g.bytes())).metadata("tokenizer.ggml.tokens");
  }();
  std::vector<std::string> all;
  for (std::size_t i = 0; i < tokens.size(); ++i) all.push_back(std::get<std::string>(tokens[i]));
  all.insert(all.end(), {"12", space + "12", "<x>"});
  std::vector<std::int32_t> types(all.size(), 1);
  types[256] = 3;
  types[259] = 4;
  g.set("tokenizer.ggml.tokens", test::texts_entry(all));
  g.set("tokenizer.ggml.token_type", test::i32s_entry(types));
  g.set("tokenizer.ggml.merges", test::texts_entry({"1 2", space + " 12"}));
  g.set("tokenizer.ggml.add_bos_token", test::bool_entry(true));
  const lab::tokenizer together = tokenizer_of(g);
  CHECK(together.leading_bos() == 256u);
  CHECK(together.encode("a 12") == ids{97, 258});
  CHECK(together.encode("<x>", lab::special_tokens::recognised) == ids{259});
  g.set("tokenizer.ggml.pre", test::text_entry("smollm"));
  CHECK(tokenizer_of(g).encode("a 12") == ids{97, 32, 49, 50});
}

TEST_CASE("Tokenizer keys that are missing, ill-typed or not supported are named") {
  const std::string p = "tokenizer.ggml.";
  std::vector<std::string> twice(257, "x");
  struct lie {
    std::string key;
    std::optional<std::string> value;
    std::string expected;
  };
  const std::vector<lie> lies{
      {p + "model", {}, "metadata tokenizer.ggml.model: is missing; expected a text"},
      {p + "model", test::text_entry("t5"), "is \"t5\", which is not supported"},
      {p + "model", test::text_entry("llama"), "scores: is missing; expected a list of floats"},
      {p + "pre", {}, "tokenizer.ggml.pre: is missing; expected a text"},
      {p + "pre", test::text_entry("llama-bpe"), "is \"llama-bpe\", which is not supported"},
      {p + "pre", test::u32_entry(1), "is 1; expected a text"},
      {p + "tokens", {}, "tokenizer.ggml.tokens: is missing; expected a list of texts"},
      {p + "tokens", test::text_entry("a"), "is \"a\"; expected a list of texts"},
      {p + "tokens", test::i32s_entry({1}), "is [1] (1 elements); expected a list of texts"},
      {p + "tokens", test::texts_entry(twice), "element 1 is \"x\", as is element 0"},
      {p + "tokens", test::texts_entry({"a"}), "token_type: has 257 elements; expected one"},
      {p + "token_type", test::i32s_entry(std::vector<std::int32_t>(257, 7)),
       "element 0 is not a type; expected 1 to 6"},
      {p + "token_type", test::i32s_entry(std::vector<std::int32_t>(257, -1)), "is not a type"},
      {p + "token_type", test::u32_entry(1), "is 1; expected a list of integers"},
      {p + "token_type", test::i32s_entry(std::vector<std::int32_t>(257, 3)),
       "the vocabulary has no token for the byte 9 "},
      {p + "merges", {}, "tokenizer.ggml.merges: is missing; expected a list of texts"},
      {p + "merges", test::texts_entry({"a b"}), "the token \"ab\" is not in the vocabulary"},
      {p + "merges", test::texts_entry({"ab"}), "merge 0: \"ab\"; expected two tokens"},
      {p + "add_bos_token", test::u32_entry(1), "is 1; expected true or false"},
      {p + "add_space_prefix", test::text_entry("no"), "expected true or false"},
      {p + "add_eos_token", test::bool_entry(true), "is not supported; expected false"},
      {p + "add_sep_token", test::bool_entry(true), "is not supported; expected false"},
  };
  const test::gguf_model good = tiny();
  const auto says = [](const test::gguf_model& g) {
    return test::rejection([&] { return tokenizer_of(g); });
  };
  for (const lie& one : lies) {
    test::gguf_model changed = good;
    changed.erase(one.key);
    if (one.value) changed.set(one.key, *one.value);
    const auto message = says(changed);
    CAPTURE(one.key, message);
    CHECK(test::contains(message, "t.gguf: "));
    CHECK(test::contains(message, one.expected));
    CHECK(!test::contains(message, "\n"));
  }
  test::gguf_model bos = good;
  bos.set(p + "add_bos_token", test::bool_entry(true));
  bos.set(p + "bos_token_id", test::u32_entry(257));
  CHECK(test::contains(says(bos), p + "bos_token_id: is 257; expected an integer from 0 to 256"));
  bos.erase(p + "bos_token_id");
  CHECK(test::contains(says(bos), p + "bos_token_id: is missing"));
  test::gguf_model spaced = good;
  spaced.set(p + "pre", test::text_entry("smollm"));
  spaced.set(p + "add_space_prefix", test::bool_entry(true));
  CHECK(test::contains(says(spaced), "is not supported with smollm"));
}
