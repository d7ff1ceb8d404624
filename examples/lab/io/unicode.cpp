// UTF-8 after table 3-7 of the Unicode standard: the second byte of a sequence has a narrower range
// after E0, ED, F0 and F4; that is what excludes overlong forms, surrogates and values too large.
#include <lab/io/unicode.hpp>
#include <lab/io/unicode_tables.hpp>

#include <algorithm>
#include <array>
#include <iterator>

namespace lab::unicode {
namespace {

/// As decode(), but an invalid piece has the size of its maximal subpart: what one U+FFFD stands
/// for.
code_point scan(std::string_view text, std::size_t at) noexcept {
  const auto byte = [&](std::size_t i) -> std::uint32_t {
    return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0u;
  };
  const std::uint32_t lead = byte(0);
  if (lead < 0x80) return {lead, 1, true};
  if (lead < 0xC2 || lead > 0xF4) return {lead, 1, false};
  const std::uint8_t size = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  std::uint32_t low = 0x80, high = 0xBF;
  if (lead == 0xE0) low = 0xA0;
  if (lead == 0xED) high = 0x9F;
  if (lead == 0xF0) low = 0x90;
  if (lead == 0xF4) high = 0x8F;
  std::uint32_t value = lead & (0xFFu >> (size + 1));
  for (std::uint8_t i = 1; i < size; ++i) {
    const std::uint32_t next = byte(i);
    if (next < low || next > high) return {lead, i, false};
    value = (value << 6) | (next & 0x3F);
    low = 0x80;
    high = 0xBF;
  }
  return {value, size, true};
}

template <std::size_t N>
bool contains(const range (&table)[N], std::uint32_t point) noexcept {
  const auto* after = std::upper_bound(std::begin(table), std::end(table), point,
                                       [](std::uint32_t p, const range& r) { return p < r.first; });
  return after != std::begin(table) && point <= std::prev(after)->last;
}

kind look_up(std::uint32_t point) noexcept {
  if (contains(letters, point)) return kind::letter;
  if (contains(spaces, point)) return kind::space;
  if (contains(numbers, point)) return kind::number;
  return kind::other;
}

}  // namespace

code_point decode(std::string_view text, std::size_t at) noexcept {
  code_point point = scan(text, at);
  if (!point.valid) point.size = 1;
  return point;
}

kind kind_of(std::uint32_t point) noexcept {
  static const auto ascii = [] {
    std::array<kind, 128> result{};
    for (std::uint32_t i = 0; i < 128; ++i) result[i] = look_up(i);
    return result;
  }();
  return point < 128 ? ascii[point] : look_up(point);
}

std::string replace_invalid(std::string_view bytes) {
  std::string result;
  result.reserve(bytes.size());
  for (std::size_t at = 0; at < bytes.size();) {
    const code_point point = scan(bytes, at);
    result.append(point.valid ? bytes.substr(at, point.size) : "\xEF\xBF\xBD");
    at += point.size;
  }
  return result;
}

}  // namespace lab::unicode
