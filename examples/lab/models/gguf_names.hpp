// What llama.cpp calls the layers of a block.
//
//   ours, as in HuggingFace's files                          in a GGUF file
//   layers.N.self_attn.{q,k,v}_proj, h.N.attn.c_attn         blk.N.attn_{q,k,v}, blk.N.attn_qkv
//   layers.N.self_attn.o_proj, h.N.attn.c_proj               blk.N.attn_output
//   layers.N.mlp.{gate,up,down}_proj, h.N.mlp.c_{fc,proj}    blk.N.ffn_{gate,up,down}
#pragma once

#include <string>
#include <string_view>

namespace lab {

/// Throws zeropoint::error for another name.
[[nodiscard]] std::string gguf_layer_name(std::string_view ours);

}  // namespace lab
