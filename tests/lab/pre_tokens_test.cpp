// The cutting rule on hand-made cases (the ids of tokenizer_test check the rest), the byte alphabet
// and termination on any bytes.
#include <lab/io/pre_tokens.hpp>

#include "support/test.hpp"

#include <set>
#include <vector>

namespace {

std::vector<std::string> cut(std::string_view text) {
  std::vector<std::string> result;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = lab::pre_token_end(text, at);
    if (end <= at || end > text.size()) throw std::logic_error("no progress");
    result.emplace_back(text.substr(at, end - at));
    at = end;
  }
  return result;
}

using pieces = std::vector<std::string>;

}  // namespace

TEST_CASE("words, numbers, symbols, with one leading space") {
  CHECK(cut("Hello world") == pieces{"Hello", " world"});
  CHECK(cut("a1!b") == pieces{"a", "1", "!", "b"});
  CHECK(cut(" 12 ab  ?!") == pieces{" 12", " ab", " ", " ?!"});
  CHECK(cut("x\xC2\xBD"
            "a\xE2\x85\xA7") == pieces{"x", "\xC2\xBD", "a", "\xE2\x85\xA7"});
  CHECK(cut("caf\xC3\xA9s e\xCC\x81") == pieces{"caf\xC3\xA9s", " e", "\xCC\x81"});  // a mark
  CHECK(cut("").empty());
}

TEST_CASE("numbers are cut out one code point at a time") {
  const auto numbers = [](std::string_view text) {
    pieces result;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = lab::number_cut(text, at);
      if (end <= at || end > text.size()) throw std::logic_error("no progress");
      result.emplace_back(text.substr(at, end - at));
      at = end;
    }
    return result;
  };
  CHECK(numbers("a 12b") == pieces{"a ", "1", "2", "b"});
  CHECK(numbers("x\xC2\xBD \xD9\xA3\xFF") == pieces{"x", "\xC2\xBD", " ", "\xD9\xA3", "\xFF"});
  CHECK(numbers("no number") == pieces{"no number"});
  CHECK(numbers("").empty());
}

TEST_CASE("contractions: lower case ASCII only, before anything else") {
  CHECK(cut("I'll we've he's can't I'd I'm they're") == pieces{"I", "'ll", " we", "'ve", " he",
                                                               "'s", " can", "'t", " I", "'d", " I",
                                                               "'m", " they", "'re"});
  CHECK(cut("I'LL") == pieces{"I", "'", "LL"});
  CHECK(cut("'so") == pieces{"'s", "o"});
  CHECK(cut(" 's") == pieces{" '", "s"});  // the space form of the symbols comes first
  CHECK(cut("''s") == pieces{"''", "s"});
  CHECK(cut("'l") == pieces{"'", "l"});
}

TEST_CASE("white space: the last character of a run goes with what follows") {
  CHECK(cut("a  b") == pieces{"a", " ", " b"});
  CHECK(cut("a   b") == pieces{"a", "  ", " b"});
  CHECK(cut("a\n\nb") == pieces{"a", "\n", "\n", "b"});
  CHECK(cut("a\nb") == pieces{"a", "\n", "b"});
  CHECK(cut("a \nb") == pieces{"a", " ", "\n", "b"});
  CHECK(cut("a\n b") == pieces{"a", "\n", " b"});
  CHECK(cut("a  ") == pieces{"a", "  "});
  CHECK(cut("\t\t ") == pieces{"\t\t "});
  CHECK(cut("a\xC2\xA0"
            "b") == pieces{"a", "\xC2\xA0", "b"});
  CHECK(cut("a\xC2\xA0\xE3\x80\x80"
            "b") == pieces{"a", "\xC2\xA0", "\xE3\x80\x80", "b"});
}

TEST_CASE("bytes that are not UTF-8 are symbols") {
  CHECK(cut("a\xFF\xFE"
            "b") == pieces{"a", "\xFF\xFE", "b"});
  CHECK(cut(" \xC3") == pieces{" \xC3"});
  CHECK(cut("\xE3\x80 a") == pieces{"\xE3\x80", " a"});
}

TEST_CASE("any bytes are cut into pieces that give the text again") {
  const auto seed = test::seed(7);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  const std::string pool = " \n\t'slre1!\xC3\xA9\xE4\xB8\x80\xFF";
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    for (std::size_t n = g() % 20; n > 0; --n)
      text += round % 2 == 0 ? static_cast<char>(g()) : pool[g() % pool.size()];
    std::string again;
    for (const auto& piece : cut(text)) again += piece;
    REQUIRE(again == text);
  }
}

TEST_CASE("the byte alphabet is a bijection with 256 symbols, all printable") {
  std::set<std::uint32_t> symbols;
  for (unsigned b = 0; b < 256; ++b) {
    const auto byte = static_cast<std::uint8_t>(b);
    const std::string one(1, static_cast<char>(byte));
    symbols.insert(lab::byte_symbol(byte));
    CHECK(lab::token_bytes(lab::written_token(one)) == one);
  }
  CHECK(symbols.size() == 256);
  CHECK(*symbols.begin() == '!');
  CHECK(*symbols.rbegin() == 0x143);  // 256 + 67
  CHECK(lab::byte_symbol(' ') == 0x120);
  CHECK(lab::byte_symbol('\n') == 0x10A);
  CHECK(lab::byte_symbol(0xAD) == 0x143);
  CHECK(lab::written_token(" a") ==
        "\xC4\xA0"
        "a");
  CHECK(lab::token_bytes("\xC4\xA0"
                         "a") == " a");
  CHECK(!lab::token_bytes(" a"));            // a real space is not in the alphabet
  CHECK(!lab::token_bytes("\xE4\xB8\x80"));  // nor is U+4E00
  CHECK(!lab::token_bytes("\xFF"));
}
