// Cuts a text where no token may cross. GPT-2's rule, the first alternative that matches:
//
//   's|'t|'re|'ve|'m|'ll|'d | ?\p{L}+ | ?\p{N}+ | ?[^\s\p{L}\p{N}]+ | \s+(?!\S) | \s+
//
// and the byte alphabet in which the files of such a tokenizer are written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lab {

/// End of the pre-token that begins at text[at]; at < text.size(), the result is larger than `at`.
/// A byte that is not UTF-8 counts as a symbol. Time: linear in the pre-token and one code point.
[[nodiscard]] std::size_t pre_token_end(std::string_view text, std::size_t at) noexcept;

/// End of the piece that begins at text[at] when numbers are cut out of a text, one code point of \p{N}
/// a piece, before that rule sees what is between them: "a 12b" is "a ", "1", "2", "b".
[[nodiscard]] std::size_t number_cut(std::string_view text, std::size_t at) noexcept;

/// The byte as the code point that stands for it in vocab.json: printable Latin-1 is itself, the
/// other 68 bytes in increasing order are U+0100, U+0101, ...; a space is U+0120.
[[nodiscard]] std::uint32_t byte_symbol(std::uint8_t byte) noexcept;

/// The bytes of a token written in that alphabet; nothing if some character is not of it.
[[nodiscard]] std::optional<std::string> token_bytes(std::string_view written);

/// The inverse: bytes written in the alphabet, as UTF-8.
[[nodiscard]] std::string written_token(std::string_view bytes);

}  // namespace lab
