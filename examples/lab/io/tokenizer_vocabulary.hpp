// From the tokens that the files of a tokenizer list to its tables by id, by bytes and by single byte.
#pragma once

#include <lab/io/tokenizer_files.hpp>
#include <lab/io/tokenizer_merges.hpp>

namespace lab {

inline constexpr std::uint64_t largest_id = (std::uint64_t{1} << 24) - 1;

/// What becomes of a byte without a token.
enum class missing_bytes : std::uint8_t {
  refused,
  unknown,  ///< refused, too, when there is no unknown token
  dropped   ///< as HuggingFace does when there is none; refused when text is full of such bytes
};

/// Throws input_error for an empty text, or for one that has another id already.
void add_token(tokenizer_data& data, const std::string& text, std::uint32_t id);

/// Fills tokens, ids and byte_ids from the vocabulary as it is written and data.added.
void finish_vocabulary(tokenizer_data& data, const vocabulary& written, missing_bytes missing,
                       const std::optional<std::string>& unknown);

}  // namespace lab
