// Converts models of llama2.c (karpathy/llama2.c, karpathy/tinyllamas) to the layout of HuggingFace.
//
//   model.bin       i32 width, ffn, layers, heads, kv_heads, vocab, positions; a negative vocab says that
//                   the head is not the embedding. Then float32, each for all layers together: embedding,
//                   attention norm, wq, wk, wv, wo, mlp norm, w1 (gate), w2 (down), w3 (up); final norm;
//                   positions * d/2 cosines and as many sines, which are not needed; perhaps the head
//   tokenizer.bin   i32 longest token; for every token float32 score, i32 n, n bytes
//
// All little-endian. Rows of wq and wk are in the order of neighbours (rotary_rows.hpp).
#pragma once

#include <cstdint>
#include <filesystem>

namespace lab {

/// Writes config.json, model.safetensors (F32, the same numbers), tokenizer.json and
/// tokenizer_config.json into `out`, which is made when it does not exist. Returns the number of
/// parameters. Throws input_error for a file that is not as above, to the byte.
std::uint64_t convert_llama2c(const std::filesystem::path& model,
                              const std::filesystem::path& tokenizer,
                              const std::filesystem::path& out);

}  // namespace lab
