// From a GGUF file of a Llama or a GPT-2 to a transformer in float32; its layers have HuggingFace's
// names (gguf_names.hpp).
//
//   token_embd, position_embd (gpt2), output_norm, output (absent when tied)
//   blk.N.{attn_norm, ffn_norm} and the layers, each .weight, perhaps .bias
//
// Linear weights are [out, in], gpt2's too; q and k of a Llama are in another order (rotary_rows.hpp).
#pragma once

#include <lab/io/gguf.hpp>
#include <lab/models/load.hpp>

namespace lab {

/// F32, F16, BF16, Q8_0, Q4_0 and Q4_1 become float as ggml dequantizes them. A tensor that is missing,
/// has another shape than the metadata says, holds a NaN or an infinity, or has no place in such a
/// model is an input_error that names it. Memory is that of load_model().
[[nodiscard]] transformer load_gguf_model(const gguf_file& file,
                                          std::size_t threads = loading_threads(),
                                          const weight_taker* taker = nullptr);

}  // namespace lab
