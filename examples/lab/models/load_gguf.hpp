// From a GGUF file of the Llama family to a transformer in float32; its layers have HuggingFace's names.
//
//   token_embd, output_norm, output (absent when tied)
//   blk.N.attn_{norm, q, k, v, output}, blk.N.ffn_{norm, gate, up, down}, each .weight, perhaps .bias
//
// llama.cpp turns neighbours of a head, (x_2j, x_2j+1), where HuggingFace turns (x_j, x_j+d/2): its
// converter moves row j + i d/2 of every head of q and k to row 2j + i, and loading moves it back.
#pragma once

#include <lab/io/gguf.hpp>
#include <lab/models/transformer.hpp>

namespace lab {

/// F32, F16, BF16, Q8_0, Q4_0 and Q4_1 become float as ggml dequantizes them. A tensor that is missing,
/// has another shape than the metadata says, holds a NaN or an infinity, or has no place in such a
/// model is an input_error that names it.
[[nodiscard]] transformer load_gguf_model(const gguf_file& file);

}  // namespace lab
