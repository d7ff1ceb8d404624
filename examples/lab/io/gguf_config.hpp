// The config of a model from the metadata of its GGUF file: general.architecture = llama.
//
//   width       llama.embedding_length        heads       llama.attention.head_count
//   layers      llama.block_count             kv_heads    llama.attention.head_count_kv
//   ffn         llama.feed_forward_length     head_width  llama.attention.key_length
//   positions   llama.context_length
#pragma once

#include <lab/io/config.hpp>
#include <lab/io/gguf.hpp>

namespace lab {

/// As load_config(). Biases and a head of its own are where the file has such tensors, and the
/// vocabulary has a token per row of token_embd.weight.
[[nodiscard]] model_config gguf_config(const gguf_file& file);

}  // namespace lab
