// A byte-level BPE from the metadata of a GGUF file, tokenizer.ggml.*: model "gpt2", tokens, merges,
// token_type, pre ("gpt-2" or "smollm"), add_bos_token, bos_token_id.
#pragma once

#include <lab/io/gguf.hpp>
#include <lab/io/tokenizer_files.hpp>

namespace lab {

[[nodiscard]] tokenizer_data gguf_tokenizer(const gguf_file& file);

}  // namespace lab
