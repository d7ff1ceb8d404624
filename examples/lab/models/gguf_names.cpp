// One table for both families: no name of the one is a name of the other.
#include <lab/models/gguf_names.hpp>
#include <zeropoint/base/error.hpp>

#include <array>
#include <utility>

namespace lab {

std::string gguf_layer_name(std::string_view ours) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 11> names{{
      {"self_attn.q_proj", "attn_q"},
      {"self_attn.k_proj", "attn_k"},
      {"self_attn.v_proj", "attn_v"},
      {"self_attn.o_proj", "attn_output"},
      {"mlp.gate_proj", "ffn_gate"},
      {"mlp.up_proj", "ffn_up"},
      {"mlp.down_proj", "ffn_down"},
      {"attn.c_attn", "attn_qkv"},
      {"attn.c_proj", "attn_output"},
      {"mlp.c_fc", "ffn_up"},
      {"mlp.c_proj", "ffn_down"},
  }};
  const std::size_t dot = ours.find('.'), second = ours.find('.', dot + 1);
  ZP_REQUIRE(dot < second && second < ours.size(), "gguf_layer_name: no block in ",
             std::string(ours));
  for (const auto& [name, stored] : names) {
    if (ours.substr(second + 1) == name)
      return "blk" + std::string(ours.substr(dot, second - dot + 1)) + std::string(stored);
  }
  zeropoint::fail("gguf_layer_name: ", std::string(ours), " has no name in GGUF files");
}

}  // namespace lab
