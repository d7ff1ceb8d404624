// The config of a model from the metadata of its GGUF file: general.architecture A = llama or gpt2.
//
//   width       A.embedding_length        heads       A.attention.head_count
//   layers      A.block_count             kv_heads    A.attention.head_count_kv  (llama)
//   ffn         A.feed_forward_length     head_width  A.attention.key_length     (llama)
//   positions   A.context_length
#pragma once

#include <lab/io/config.hpp>
#include <lab/io/gguf.hpp>

namespace lab {

/// As load_config(). Biases and a head of its own are where the file has such tensors, and the
/// vocabulary has a token per row of token_embd.weight.
[[nodiscard]] model_config gguf_config(const gguf_file& file);

/// The inverse: general.architecture and its keys. Throws input_error for a model that llama.cpp, which
/// the keys describe, would compute in another way: OPT, a GPT-2 with another activation or scale.
[[nodiscard]] gguf_entries gguf_config_entries(const model_config& c);

}  // namespace lab
