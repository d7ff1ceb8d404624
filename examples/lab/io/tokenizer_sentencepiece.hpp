// The BPE of SentencePiece, as tokenizer.json has it for Llama: a text is one piece, begins with a
// space, and a character without a token becomes the tokens <0x00> .. <0xFF> of its bytes.
//
//   "an é" -> U+2581 "an" U+2581 "é" -> characters, <0xC3> <0xA9> where é has no token -> merges
#pragma once

#include <lab/io/json.hpp>
#include <lab/io/tokenizer_vocabulary.hpp>

#include <functional>
#include <string>
#include <string_view>

namespace lab {

/// Whether tokenizer.json has such a model: "byte_fallback": true.
[[nodiscard]] bool is_sentencepiece(const json_object& model);

/// Reads model, normalizer and decoder into `data`, whose added tokens are there already. Throws
/// input_error for a normalizer, pre-tokenizer or decoder other than Llama's, and for a byte
/// without a token.
void read_sentencepiece(tokenizer_data& data, const json_object& root, const json_object& model,
                        const vocabulary& written);

/// Fills tokens, ids and byte_ids of `data`, which has its added tokens, from the vocabulary as it
/// is written. `wrong` is called with a complaint, and throws.
void finish_sentencepiece(tokenizer_data& data, const vocabulary& written,
                          const std::function<void(const std::string&)>& wrong);

/// " the" -> U+2581 "the"; and the token of a byte, <0x0A>.
[[nodiscard]] std::string sentencepiece_text(std::string_view bytes);
[[nodiscard]] std::string byte_token(unsigned char byte);

}  // namespace lab
