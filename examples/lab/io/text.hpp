// Text to measure on: whole files of any bytes, and the HuggingFace way of joining the lines of
// WikiText, which changes the tokens and therefore the perplexity.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lab {

/// The whole file as it is. Files above 1 GiB, and empty ones, are an input_error.
[[nodiscard]] std::string read_text(const std::filesystem::path&);

/// The rows of the HuggingFace dataset joined as its perplexity scripts join them: a line that is
/// blank becomes empty, any other keeps its newline, and two newlines stand between two lines.
/// WikiText-2 raw test under the GPT-2 tokenizer: 287,644 tokens joined, 286,221 as it is.
[[nodiscard]] std::string join_lines_as_huggingface(std::string_view text);

/// FNV-1a, 64 bits: names the text of a measurement, "5f3c...". Not a cryptographic hash.
[[nodiscard]] std::string text_hash(std::string_view text);

/// Ids as little-endian uint16; an id above 65535 is an input_error.
void write_ids(const std::filesystem::path&, std::span<const std::uint32_t> ids);
/// The inverse; a file of an odd number of bytes is an input_error.
[[nodiscard]] std::vector<std::uint32_t> read_ids(const std::filesystem::path&);

}  // namespace lab
