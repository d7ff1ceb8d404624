// The little Unicode that a byte-level BPE needs: UTF-8 decoding that never fails, and three
// properties. The tables are generated (unicode_tables.py) and say which version they are of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace lab::unicode {

struct code_point {
  std::uint32_t value = 0;  ///< the byte itself when not valid
  std::uint8_t size = 1;    ///< bytes taken: 1 to 4; an invalid byte is taken alone
  bool valid = false;
};

/// The code point at text[at]; at < text.size(). Overlong forms, surrogates, values above U+10FFFF
/// and truncated sequences are invalid.
[[nodiscard]] code_point decode(std::string_view text, std::size_t at) noexcept;

/// White_Space | general category L* | N* | everything else, invalid bytes included.
enum class kind : std::uint8_t { other, space, letter, number };
[[nodiscard]] kind kind_of(std::uint32_t code_point) noexcept;

/// Every maximal invalid piece replaced by U+FFFD, as the Unicode standard (3.9, U+FFFD
/// substitution of maximal subparts) and Python's errors="replace" do.
[[nodiscard]] std::string replace_invalid(std::string_view bytes);

}  // namespace lab::unicode
