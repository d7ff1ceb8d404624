// The keys of llama.cpp's converter, for what its graphs of llama and gpt2 compute.
#include <lab/io/gguf_config.hpp>
#include <lab/io/gguf_writer.hpp>

namespace lab {
namespace {

void require_known_graph(const model_config& c) {
  const bool llama = c.family == model_family::llama;
  const char* why = c.family == model_family::opt ? "llama.cpp has no OPT"
                    : c.act != (llama ? activation::silu : activation::gelu_new)
                        ? "llama.cpp's graph has another activation"
                    : !c.scale_attention || c.scale_by_inverse_layer
                        ? "llama.cpp scales attention otherwise"
                    : c.eos.size() > 3 ? "it has more than three ends of a text"
                                       : nullptr;
  if (why != nullptr)
    throw input_error("this " + std::string(name(c.family)) +
                      " model cannot be a GGUF file: " + why);
}

}  // namespace

gguf_entries gguf_config_entries(const model_config& c) {
  require_known_graph(c);
  const std::string a = std::string(name(c.family)) + ".";
  const bool llama = c.family == model_family::llama;
  gguf_entries entries{{"general.architecture", gguf_text(std::string(name(c.family)))}};
  const auto number = [&](const std::string& key, std::size_t value) {
    entries.emplace_back(a + key, gguf_u32(static_cast<std::uint32_t>(value)));
  };
  number("block_count", c.layers);
  number("context_length", c.positions);
  number("embedding_length", c.width);
  number("feed_forward_length", c.ffn);
  number("attention.head_count", c.heads);
  number("vocab_size", c.vocab);  // llama.cpp wants it where there is no tokenizer
  if (!llama) {
    entries.emplace_back(a + "attention.layer_norm_epsilon", gguf_f32(c.norm_eps));
    return entries;
  }
  number("attention.head_count_kv", c.kv_heads);
  if (c.head_width * c.heads != c.width) {
    number("attention.key_length", c.head_width);
    number("attention.value_length", c.head_width);
  }
  number("rope.dimension_count", c.head_width);
  entries.emplace_back(a + "rope.freq_base", gguf_f32(static_cast<float>(c.rope_theta)));
  entries.emplace_back(a + "attention.layer_norm_rms_epsilon", gguf_f32(c.norm_eps));
  return entries;
}

}  // namespace lab
