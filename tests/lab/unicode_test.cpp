// UTF-8 decoding against an independent encoder for every code point, and the three properties at
// places where tables go wrong.
#include <lab/io/unicode.hpp>
#include <lab/io/unicode_tables.hpp>

#include "support/test.hpp"

#include <iterator>

namespace uc = lab::unicode;

namespace {

std::string encode(std::uint32_t p) {
  const auto c = [](std::uint32_t b) { return static_cast<char>(b); };
  if (p < 0x80) return {c(p)};
  if (p < 0x800) return {c(0xC0 | p >> 6), c(0x80 | (p & 63))};
  if (p < 0x10000) return {c(0xE0 | p >> 12), c(0x80 | (p >> 6 & 63)), c(0x80 | (p & 63))};
  return {c(0xF0 | p >> 18), c(0x80 | (p >> 12 & 63)), c(0x80 | (p >> 6 & 63)), c(0x80 | (p & 63))};
}

}  // namespace

TEST_CASE("every code point survives, every surrogate and every truncation is invalid") {
  std::size_t wrong = 0;
  for (std::uint32_t p = 0; p < 0x120000; ++p) {
    const std::string text = encode(p);
    const auto got = uc::decode(text, 0);
    const bool legal = p < 0x110000 && (p < 0xD800 || p >= 0xE000);
    if (legal && (!got.valid || got.value != p || got.size != text.size())) ++wrong;
    if (!legal && (got.valid || got.size != 1)) ++wrong;
    for (std::size_t n = 1; n < text.size(); ++n)
      if (uc::decode(std::string_view(text).substr(0, n), 0).valid) ++wrong;
  }
  CHECK(wrong == 0);
}

TEST_CASE("overlong forms are invalid") {
  for (const char* text : {"\xC0\x80", "\xC1\xBF", "\xE0\x9F\xBF", "\xF0\x8F\xBF\xBF",
                           "\xF4\x90\x80\x80", "\xF8\x88\x80\x80\x80", "\x80", "\xFE"})
    CHECK(!uc::decode(text, 0).valid);
}

TEST_CASE("replace_invalid substitutes maximal subparts") {
  const std::string r = "\xEF\xBF\xBD";
  CHECK(uc::replace_invalid("abc\xC3\xA9") == "abc\xC3\xA9");
  CHECK(uc::replace_invalid("") == "");
  CHECK(uc::replace_invalid("\x61\xF1\x80\x80\xE1\x80\xC2\x62\x80\x63\x80\xBF\x64") ==
        "a" + r + r + r + "b" + r + "c" + r + r + "d");  // table 3-8 of the Unicode standard
  CHECK(uc::replace_invalid("\xE2\x82") == r);
  CHECK(uc::replace_invalid("\xED\xA0\x80") == r + r + r);
}

TEST_CASE("properties") {
  using uc::kind;
  for (std::uint32_t p : {0x9u, 0xAu, 0xBu, 0xCu, 0xDu, 0x20u, 0x85u, 0xA0u, 0x1680u, 0x2000u,
                          0x200Au, 0x2028u, 0x2029u, 0x202Fu, 0x205Fu, 0x3000u})
    CHECK(uc::kind_of(p) == kind::space);
  for (std::uint32_t p : {0x41u, 0x7Au, 0xAAu, 0xB5u, 0xE9u, 0x3B1u, 0x436u, 0x5D0u, 0x4E00u,
                          0x9FFFu, 0xAC00u, 0x1D400u, 0x20000u})
    CHECK(uc::kind_of(p) == kind::letter);
  for (std::uint32_t p : {0x30u, 0x39u, 0xB2u, 0xBDu, 0x660u, 0x2167u, 0x3007u, 0x1D7CEu})
    CHECK(uc::kind_of(p) == kind::number);
  for (std::uint32_t p : {0x0u, 0x1Cu, 0x1Fu, 0x21u, 0x5Fu, 0x7Fu, 0x301u, 0x200Bu, 0x200Du,
                          0xFEFFu, 0xFFFDu, 0x1F600u, 0xE000u, 0x10FFFFu, 0x110000u, 0xFFFFFFFFu})
    CHECK(uc::kind_of(p) == kind::other);
}

TEST_CASE("the tables are sorted and do not overlap") {
  const auto check = [](const auto& table) {
    for (auto r = std::begin(table); r != std::end(table); ++r) {
      CHECK(r->first <= r->last);
      if (r != std::begin(table)) CHECK(std::prev(r)->last + 1 < r->first);
    }
  };
  check(uc::spaces);
  check(uc::letters);
  check(uc::numbers);
}
