// config.json of the families that the laboratory runs, as one struct with one vocabulary.
//
//               width  layers             heads                ffn                positions
//   gpt2        n_embd n_layer            n_head               n_inner            n_positions or n_ctx
//   opt    hidden_size num_hidden_layers  num_attention_heads  ffn_dim            max_position_embeddings
//   llama  hidden_size num_hidden_layers  num_attention_heads  intermediate_size  max_position_embeddings
#pragma once

#include <lab/io/error.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>
#include <vector>

namespace lab {

enum class model_family : std::uint8_t { gpt2, opt, llama };
enum class activation : std::uint8_t {
  gelu_new,  ///< x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))
  gelu,      ///< x/2 (1 + erf(x / sqrt 2))
  relu,
  silu  ///< x / (1 + exp(-x))
};

[[nodiscard]] std::string_view name(model_family) noexcept;
[[nodiscard]] std::string_view name(activation) noexcept;

struct model_config {
  model_family family = model_family::gpt2;
  std::size_t vocab = 0;     ///< rows of the token embedding, V
  std::size_t width = 0;     ///< C
  std::size_t layers = 0;    ///
  std::size_t heads = 0;     ///< of queries
  std::size_t kv_heads = 0;  ///< a divisor of heads: heads / kv_heads of them share keys and values
  std::size_t head_width = 0;   ///< d; width / heads unless llama's head_dim says otherwise
  std::size_t ffn = 0;          ///< inner width of the MLP
  std::size_t positions = 0;    ///< longest window; the OPT table has two more rows
  std::size_t embed_width = 0;  ///< word_embed_proj_dim; project_in/out exist if it is not width
  std::size_t position_offset = 0;  ///< position p uses row p + offset: 0 for gpt2, 2 for opt
  activation act = activation::gelu_new;
  float norm_eps = 1e-5f;
  bool rms_norm = false;    ///< RMSNorm, with gain and without bias, for every LayerNorm
  bool pre_norm = true;     ///< LayerNorm before (true) or after (false: opt-350m) each block
  bool final_norm = true;   ///< a LayerNorm after the last layer; never with post-norm
  bool tied_head = true;    ///< lm_head is the token embedding
  bool bias = true;         ///< biases of attention's linear layers (enable_bias, attention_bias)
  bool mlp_bias = true;     ///< those of the MLP (enable_bias, mlp_bias)
  bool gated = false;       ///< the MLP is down(act(gate(x)) * up(x)), not fc2(act(fc1(x)))
  bool norm_affine = true;  ///< gain and bias of the LayerNorms (layer_norm_elementwise_affine)
  double rope_theta = 0;    ///< base of the rotary angles; 0: learned positions instead
  bool scale_attention = true;          ///< divide the scores by sqrt(head_width)
  bool scale_by_inverse_layer = false;  ///< and by layer + 1
  std::optional<std::uint32_t> bos;     ///< below vocab, as all of eos
  std::vector<std::uint32_t> eos;       ///< each of them ends a text

  [[nodiscard]] bool rotary() const noexcept { return rope_theta > 0; }
  [[nodiscard]] std::size_t q_width() const noexcept { return heads * head_width; }
  [[nodiscard]] std::size_t kv_width() const noexcept { return kv_heads * head_width; }
  /// Columns of q | k | v.
  [[nodiscard]] std::size_t qkv_width() const noexcept { return q_width() + 2 * kv_width(); }
};

/// Every field that a logit depends on, as text.
[[nodiscard]] std::string identity(const model_config& c);

/// In bytes; real ones have a few thousand.
inline constexpr std::uint64_t largest_config = 1 << 24;

/// The ends of a text that generation_config.json in `folder` names are taken in place of
/// config.json's, as by transformers' generate(); without such a file or without its eos_token_id
/// nothing changes. Throws input_error for one that cannot be read or is not JSON, or for a token
/// that the vocabulary does not have.
void read_generation_config(const std::filesystem::path& folder, model_config& c);

/// Reads and checks `path`, a config.json, a folder that holds one (and perhaps
/// generation_config.json), or a .gguf file. An architecture other than these, scaled rotary
/// positions, a quantized checkpoint, a missing size or a value out of range is an input_error.
[[nodiscard]] model_config load_config(const std::filesystem::path& path);

/// The same from text; `file` is for messages.
[[nodiscard]] model_config parse_config(std::string_view json, const std::string& file);

}  // namespace lab
