// A tokenizer from the metadata of a GGUF file, tokenizer.ggml.*: tokens, token_type,
// add_bos_token, bos_token_id, and
//
//   model "gpt2"    byte-level BPE: merges, pre ("gpt-2" or "smollm")
//   model "llama"   the BPE of SentencePiece: scores (tokenizer_scores.hpp), <0x00> .. <0xFF>
#pragma once

#include <lab/io/gguf.hpp>
#include <lab/io/tokenizer_files.hpp>

namespace lab {

/// tokenizer.ggml.token_type.
namespace gguf_token {
enum type : std::int32_t {
  normal = 1,
  unknown = 2,
  control = 3,
  user_defined = 4,
  unused = 5,
  byte = 6,
  last = 6
};
}

[[nodiscard]] tokenizer_data gguf_tokenizer(const gguf_file& file);

/// The inverse, for an embedding of `rows` tokens: ids without a token become unused ones, as
/// llama.cpp's converter has it. Throws input_error for a tokenizer that these keys would change:
/// more tokens than rows, ignore_merges, added tokens that trim, bytes that become the unknown
/// token, merges of SentencePiece that no scores give.
[[nodiscard]] gguf_entries gguf_tokenizer_entries(const tokenizer_data& data, std::size_t rows);

}  // namespace lab
