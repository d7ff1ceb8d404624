// config.json of the two families that the laboratory runs, as one struct with one vocabulary.
//
//             width  layers             heads                ffn      positions
//   gpt2      n_embd n_layer            n_head               n_inner  n_positions or n_ctx
//   opt  hidden_size num_hidden_layers  num_attention_heads  ffn_dim  max_position_embeddings
#pragma once

#include <lab/io/error.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>

namespace lab {

enum class model_family : std::uint8_t { gpt2, opt };
enum class activation : std::uint8_t {
  gelu_new,  ///< x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))
  gelu,      ///< x/2 (1 + erf(x / sqrt 2))
  relu
};

[[nodiscard]] std::string_view name(model_family) noexcept;
[[nodiscard]] std::string_view name(activation) noexcept;

struct model_config {
  model_family family = model_family::gpt2;
  std::size_t vocab = 0;        ///< rows of the token embedding, V
  std::size_t width = 0;        ///< C, a multiple of heads
  std::size_t layers = 0;       ///
  std::size_t heads = 0;        ///
  std::size_t ffn = 0;          ///< inner width of the MLP
  std::size_t positions = 0;    ///< longest window; the OPT table has two more rows
  std::size_t embed_width = 0;  ///< word_embed_proj_dim; project_in/out exist if it is not width
  std::size_t position_offset = 0;  ///< position p uses row p + offset: 0 for gpt2, 2 for opt
  activation act = activation::gelu_new;
  float norm_eps = 1e-5f;
  bool pre_norm = true;         ///< LayerNorm before (true) or after (false: opt-350m) each block
  bool final_norm = true;       ///< a LayerNorm after the last layer; never with post-norm
  bool tied_head = true;        ///< lm_head is the token embedding
  bool bias = true;             ///< biases of the linear layers (enable_bias)
  bool norm_affine = true;      ///< gain and bias of the LayerNorms (layer_norm_elementwise_affine)
  bool scale_attention = true;  ///< divide the scores by sqrt(head_width)
  bool scale_by_inverse_layer = false;  ///< and by layer + 1
  std::optional<std::uint32_t> bos;     ///< as the file says: compare with vocab before use
  std::optional<std::uint32_t> eos;

  [[nodiscard]] std::size_t head_width() const noexcept { return width / heads; }
};

/// Reads and checks `path`, a config.json or a folder that holds one. An architecture other than
/// gpt2 and opt, a quantized checkpoint, a missing size or a value out of range is an input_error.
[[nodiscard]] model_config load_config(const std::filesystem::path& path);

/// The same from text; `file` is for messages.
[[nodiscard]] model_config parse_config(std::string_view json, const std::string& file);

}  // namespace lab
