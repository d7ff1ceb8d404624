// The rule of pre_tokens.hpp by hand: no regular expression engine, no backtracking.
#include <lab/io/pre_tokens.hpp>
#include <lab/io/unicode.hpp>

#include <array>

namespace lab {
namespace {

using unicode::kind;

struct piece {
  kind what = kind::other;
  std::size_t size = 0;  ///< 0 at the end of the text
};

piece look(std::string_view text, std::size_t at) noexcept {
  if (at >= text.size()) return {};
  const auto point = unicode::decode(text, at);
  return {point.valid ? unicode::kind_of(point.value) : kind::other, point.size};
}

/// Length of the contraction that `text` begins with, or 0.
std::size_t contraction(std::string_view text) noexcept {
  if (text.empty() || text[0] != '\'') return 0;
  for (std::string_view end : {"s", "t", "re", "ve", "m", "ll", "d"})
    if (text.substr(1, end.size()) == end) return 1 + end.size();
  return 0;
}

std::size_t run_end(std::string_view text, std::size_t at, kind what) noexcept {
  for (piece p = look(text, at); p.size > 0 && p.what == what; p = look(text, at)) at += p.size;
  return at;
}

constexpr std::array<std::uint16_t, 256> make_symbols() {
  std::array<std::uint16_t, 256> result{};
  std::uint16_t next = 256;
  for (unsigned b = 0; b < 256; ++b) {
    const bool printable = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
    result[b] = printable ? static_cast<std::uint16_t>(b) : next++;
  }
  return result;
}
constexpr auto symbols = make_symbols();

constexpr std::array<int, 324> make_bytes() {  // 256 + 68 code points
  std::array<int, 324> result{};
  for (int& b : result) b = -1;
  for (int b = 0; b < 256; ++b) result[symbols[static_cast<std::size_t>(b)]] = b;
  return result;
}
constexpr auto bytes_of_symbols = make_bytes();

}  // namespace

std::size_t pre_token_end(std::string_view text, std::size_t at) noexcept {
  if (const std::size_t size = contraction(text.substr(at))) return at + size;
  const piece first = look(text, at);
  if (first.what != kind::space) return run_end(text, at, first.what);
  const piece second = look(text, at + first.size);
  if (text[at] == ' ' && second.size > 0 && second.what != kind::space)
    return run_end(text, at + 1, second.what);
  std::size_t end = at, last = at;  // a run of white space, and where its last character begins
  for (piece p = first; p.size > 0 && p.what == kind::space; p = look(text, end)) {
    last = end;
    end += p.size;
  }
  return end == text.size() || last == at ? end : last;
}

std::size_t number_cut(std::string_view text, std::size_t at) noexcept {
  piece p = look(text, at);
  if (p.what == kind::number) return at + p.size;
  for (; p.size > 0 && p.what != kind::number; p = look(text, at)) at += p.size;
  return at;
}

std::uint32_t byte_symbol(std::uint8_t byte) noexcept {
  return symbols[byte];
}

std::optional<std::string> token_bytes(std::string_view written) {
  std::string result;
  for (std::size_t at = 0; at < written.size();) {
    const auto point = unicode::decode(written, at);
    if (!point.valid || point.value >= bytes_of_symbols.size()) return std::nullopt;
    const int byte = bytes_of_symbols[point.value];
    if (byte < 0) return std::nullopt;
    result += static_cast<char>(byte);
    at += point.size;
  }
  return result;
}

std::string written_token(std::string_view bytes) {
  std::string result;
  for (char c : bytes) {
    const std::uint32_t symbol = byte_symbol(static_cast<std::uint8_t>(c));
    if (symbol < 0x80) {
      result += static_cast<char>(symbol);
    } else {  // all below U+0800
      result += static_cast<char>(0xC0 | (symbol >> 6));
      result += static_cast<char>(0x80 | (symbol & 0x3F));
    }
  }
  return result;
}

}  // namespace lab
