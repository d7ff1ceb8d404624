// The two layouts say the same; what would change ids is refused; who begins with a BOS.
#include <lab/io/pre_tokens.hpp>
#include <lab/io/tokenizer.hpp>
#include <lab/io/tokenizer_files.hpp>

#include "lab/scratch.hpp"
#include "support/test.hpp"

#include <nlohmann/json.hpp>

#include <sstream>
#include <tuple>

namespace {

using nlohmann::json;
using ids = std::vector<std::uint32_t>;

/// 256 bytes, "ab" 256, "abc" 257, " a" 258, <s> 259.
json vocabulary() {
  json result;
  for (unsigned b = 0; b < 256; ++b)
    result[lab::written_token(std::string(1, static_cast<char>(b)))] = b;
  result["ab"] = 256;
  result["abc"] = 257;
  result[lab::written_token(" a")] = 258;
  return result;
}

json tokenizer_json() {
  return {{"version", "1.0"},
          {"added_tokens", {{{"id", 259}, {"content", "<s>"}, {"special", true}}}},
          {"normalizer", nullptr},
          {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}}},
          {"post_processor", nullptr},
          {"decoder", {{"type", "ByteLevel"}}},
          {"model",
           {{"type", "BPE"},
            {"dropout", nullptr},
            {"unk_token", nullptr},
            {"vocab", vocabulary()},
            {"merges", {"a b", "ab c", lab::written_token(" ") + " a"}}}}};
}

std::string says(const json& value) {
  const test::scratch dir;
  dir.write("tokenizer.json", value.dump());
  return test::rejection([&] { lab::tokenizer t(dir.path()); });
}

/// tokenizer.json with one member changed.
std::string says(const std::string& pointer, const json& value) {
  json changed = tokenizer_json();
  changed[json::json_pointer(pointer)] = value;
  return says(changed);
}

ids encode(const json& value, const std::string& text,
           lab::special_tokens special = lab::special_tokens::as_text) {
  const test::scratch dir;
  dir.write("tokenizer.json", value.dump());
  return lab::tokenizer(dir.path()).encode(text, special);
}

}  // namespace

TEST_CASE("tokenizer.json in both forms of merges, vocab.json with merges.txt") {
  json pairs = tokenizer_json();
  pairs["model"]["merges"] = json::parse(R"([["a","b"],["ab","c"],["\u0120","a"]])");
  const ids expected{257, 258, 'c', ' ', 256, 'x', 259};  // "a b" comes before " a"
  const std::string text = "abc ac abx<s>";
  using lab::special_tokens;
  CHECK(encode(tokenizer_json(), text, special_tokens::recognised) == expected);
  CHECK(encode(pairs, text, special_tokens::recognised) == expected);

  const test::scratch dir;
  dir.write("vocab.json", vocabulary().dump());
  dir.write("added_tokens.json", R"({"<s>":259})");
  for (const char* end : {"", "\n", "\r\n"}) {  // the last line counts with or without its end
    dir.write("merges.txt", "#version: 0.2\na b\nab c\n\xC4\xA0 a" + std::string(end));
    CHECK(lab::tokenizer(dir.path()).encode(text, special_tokens::recognised) == expected);
  }
}

TEST_CASE("GPT-2 as tokenizer.json gives the ids of its vocab.json and merges.txt") {
  json model = tokenizer_json();
  model["added_tokens"] = json::array();
  model["model"]["vocab"] = json::parse(test::slurp(test::data / "gpt2" / "vocab.json"));
  json merges = json::array();
  std::istringstream lines(test::slurp(test::data / "gpt2" / "merges.txt"));
  for (std::string line; std::getline(lines, line);)
    if (merges.size() > 0 || line.rfind("#version", 0) != 0) merges.push_back(line);
  CHECK(merges.size() == 50000);
  model["model"]["merges"] = merges;
  const std::string text =
      test::slurp("examples/data/wikitext-2-raw/wiki.valid.raw").substr(0, 100000);
  CHECK(encode(model, text) == lab::tokenizer(test::data / "gpt2").encode(text));
}

TEST_CASE("options of tokenizer.json that are implemented") {
  json prefix = tokenizer_json();
  prefix["pre_tokenizer"]["add_prefix_space"] = true;
  CHECK(encode(prefix, "a") == ids{258});
  CHECK(encode(prefix, " a") == ids{258});
  CHECK(encode(tokenizer_json(), "a") == ids{'a'});
  CHECK(encode(prefix, "").empty());
  json whole = tokenizer_json();
  whole["model"]["vocab"]["xyz"] = 260;
  CHECK(encode(whole, "xyz") == ids{'x', 'y', 'z'});
  whole["model"]["ignore_merges"] = true;
  CHECK(encode(whole, "xyz") == ids{260});
  CHECK(encode(whole, "abc") == ids{257});
  json unknown = tokenizer_json();
  unknown["model"]["vocab"].erase("z");
  CHECK(test::contains(says(unknown), "no token for the byte 122 (written \"z\")"));
  unknown["model"]["unk_token"] = "y";
  CHECK(encode(unknown, "xz") == ids{'x', 'y'});
  json rare = tokenizer_json();  // what a vocabulary made from clean text may lack
  for (const char byte : {'\x04', '\xC0', '\xF1', '\xFF'})
    rare["model"]["vocab"].erase(lab::written_token(std::string(1, byte)));
  CHECK(encode(rare, "a\xFF\x04z\xC0\xF1") == ids{'a', 'z'});
  rare["model"]["unk_token"] = "y";
  CHECK(encode(rare, "a\xFFz") == ids{'a', 'y', 'z'});
  for (const unsigned byte : {10u, 0x80u, 0xC2u, 0xF0u}) {
    json common = tokenizer_json();
    common["model"]["vocab"].erase(lab::written_token(std::string(1, static_cast<char>(byte))));
    CHECK(test::contains(says(common), "no token for the byte " + std::to_string(byte) + " "));
  }
}

TEST_CASE("what would change the ids and is not implemented is refused") {
  CHECK(says(tokenizer_json()) == "");
  for (const auto& [pointer, value, expected] :
       std::vector<std::tuple<std::string, json, std::string>>{
           {"/normalizer", {{"type", "NFC"}}, "normalizer: is not supported"},
           {"/pre_tokenizer", nullptr, "pre_tokenizer: is missing"},
           {"/pre_tokenizer/type", "Whitespace", "pre_tokenizer.type: is \"Whitespace\""},
           {"/pre_tokenizer/use_regex", false, "use_regex"},
           {"/decoder/type", "WordPiece", "decoder.type"},
           {"/model/type", "Unigram", "model.type: is \"Unigram\""},
           {"/model/dropout", 0.1, "dropout"},
           {"/model/byte_fallback", true, "byte_fallback"},
           {"/model/end_of_word_suffix", "</w>", "end_of_word_suffix"},
           {"/model/continuing_subword_prefix", "##", "continuing_subword_prefix"},
           {"/model/merges", "a b", "expected a list"},
           {"/model/merges/1", "ab", "merge 1: \"ab\"; expected two tokens"},
           {"/model/merges/1", "a b c", "expected two tokens"},
           {"/model/merges/1", " b", "expected two tokens"},
           {"/model/merges/1", 7, "merge 1; expected"},
           {"/model/merges/1", {"a"}, "merge 1; expected"},
           {"/model/merges/1", "ab zz", "merge 1: the token \"zz\" is not in the vocabulary"},
           {"/model/merges/1", "b a", "the token \"ba\" is not in the vocabulary"},
           {"/model/merges/1", "a b", "merge 1 (counted from 0) repeats"},
           {"/model/vocab/ab", -1, "model.vocab.ab: is -1"},
           {"/model/vocab/ab", "1", "model.vocab.ab: is \"1\""},
           {"/model/vocab/ab", 16777216, "expected an integer from 0 to 16777215"},
           {"/model/vocab/ab", 16777215, "has id 16777215; expected at most 1543 in a"},
           {"/model/vocab/ab", 5, "has id 5, which"},
           {"/added_tokens/0/id", 256, "has id 256, which"},
           {"/added_tokens/0/content", "", "is empty"},
           {"/added_tokens/0", 3, "expected an object"},
           {"/added_tokens", 3, "expected a list"},
           {"/post_processor", {{"type", "BertProcessing"}}, "post_processor.type"},
       }) {
    const std::string message = says(pointer, value);
    CAPTURE(message, pointer, value.dump());
    CHECK(test::contains(message, "tokenizer.json: "));
    CHECK(test::contains(message, expected));
  }
  json trimming = tokenizer_json();
  trimming["added_tokens"][0]["lstrip"] = true;
  CHECK(encode(trimming, "ab") == ids{256});  // only matters when added tokens are looked for
  CHECK(test::contains(
      test::rejection([&] { return encode(trimming, "ab", lab::special_tokens::recognised); }),
      "lstrip"));
}

TEST_CASE("wrong vocab.json and merges.txt name the line") {
  const test::scratch dir;
  const auto open = [&] { return test::rejection([&] { lab::tokenizer t(dir.path()); }); };
  CHECK(test::contains(open(), "holds neither tokenizer.json nor vocab.json"));
  dir.write("vocab.json", vocabulary().dump());
  CHECK(test::contains(open(), "merges.txt: cannot be opened"));
  dir.write("merges.txt", "#version: 0.2\na b\nab\n");
  CHECK(test::contains(open(), "merges.txt: line 3: \"ab\"; expected two tokens and one space"));
  dir.write("merges.txt", "a b\nb zz\n");
  CHECK(test::contains(open(), "merges.txt: line 2: the token \"zz\" is not in the vocabulary"));
  dir.write("merges.txt", "a b\n");
  CHECK(open() == "");
  dir.write("vocab.json", R"({"a":0,"a":1})");
  CHECK(test::contains(open(), "\"a\" appears twice"));
  dir.write("vocab.json", "{}");
  CHECK(test::contains(open(), "merges.txt: line 1"));
  CHECK(test::contains(test::rejection([&] { lab::tokenizer t(dir.path() / "vocab.json"); }),
                       "is not a folder"));
}

TEST_CASE("who begins a text with a BOS") {
  const auto bos = [](const std::vector<std::pair<std::string, std::string>>& files,
                      const json& tokens = tokenizer_json()) {
    const test::scratch dir;
    dir.write("tokenizer.json", tokens.dump());
    for (const auto& [name, text] : files) dir.write(name, text);
    return lab::tokenizer(dir.path()).leading_bos();
  };
  using id = std::optional<std::uint32_t>;
  const std::string opt = R"({"model_type":"opt","bos_token_id":2})";
  CHECK(bos({}) == id());
  CHECK(bos({{"config.json", R"({"model_type":"gpt2","bos_token_id":2})"}}) == id());
  CHECK(bos({{"config.json", opt}}) == id(2));
  CHECK(bos({{"config.json", opt}, {"tokenizer_config.json", R"({"bos_token":"<s>"})"}}) ==
        id(259));
  CHECK(bos({{"config.json", opt},
             {"tokenizer_config.json", R"({"bos_token":{"content":"<s>"}})"}}) == id(259));
  CHECK(bos({{"config.json", opt}, {"special_tokens_map.json", R"({"bos_token":"<s>"})"}}) ==
        id(259));
  CHECK(bos({{"config.json", opt}, {"tokenizer_config.json", R"({"add_bos_token":false})"}}) ==
        id());
  CHECK(bos({{"tokenizer_config.json", R"({"add_bos_token":true,"bos_token":"<s>"})"}}) == id(259));
  json template_bos = tokenizer_json();
  template_bos["post_processor"] = {{"type", "TemplateProcessing"},
                                    {"single",
                                     {{{"SpecialToken", {{"id", "<s>"}, {"type_id", 0}}}},
                                      {{"Sequence", {{"id", "A"}, {"type_id", 0}}}}}}};
  CHECK(bos({}, template_bos) == id(259));

  const auto wrong = [&](const std::string& config, const json& tokens = tokenizer_json()) {
    return test::rejection([&] { return bos({{"tokenizer_config.json", config}}, tokens); });
  };
  CHECK(test::contains(wrong(R"({"add_bos_token":true})"), "no file names a token"));
  CHECK(test::contains(wrong(R"({"add_bos_token":true,"bos_token":"<none>"})"),
                       "\"<none>\" is not in the vocabulary"));
  CHECK(test::contains(wrong(R"({"add_bos_token":"yes"})"), "expected true or false"));
  json behind = template_bos;
  std::swap(behind["post_processor"]["single"][0], behind["post_processor"]["single"][1]);
  CHECK(test::contains(wrong("{}", behind), "expected the text last"));
  CHECK(
      test::contains(test::rejection([&] {
                       return bos({{"config.json", R"({"model_type":"opt","bos_token_id":4000})"}});
                     }),
                     "no file names a token"));
}

TEST_CASE("a damaged tokenizer.json is refused in one line or still gives every text back") {
  const auto seed = test::seed(5);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  const test::scratch dir;
  const std::string good = tokenizer_json().dump(), text = "abc ab\xFF\xC3\xA9 a<s>\n";
  std::size_t refused = 0, loaded = 0;
  for (int round = 0; round < 600; ++round) {
    std::string bad = good;
    const std::size_t at = g() % bad.size();
    if (round % 3 == 0) bad.resize(at);
    if (round % 3 == 1) bad[at] = static_cast<char>(g());
    if (round % 3 == 2) bad.erase(at, 1 + g() % 8);
    dir.write("tokenizer.json", bad);
    const std::string message = test::rejection([&] {
      const lab::tokenizer tokens(dir.path());
      std::string expected = text;  // the damage may have taken the token of the byte FF
      if (!tokens.find("\xFF")) std::erase(expected, '\xFF');
      REQUIRE(tokens.decode_bytes(tokens.encode(text)) == expected);
      ++loaded;
    });
    refused += !message.empty();
    REQUIRE(!test::contains(message, "\n"));
  }
  CHECK(refused + loaded == 600);
  CHECK(refused > 300);
  CHECK(loaded > 0);
}
