// The layout of the Python package compressed-tensors (vLLM, llm-compressor), for Llama and OPT: config.json
// has "quantization_config" with one group of targets ["Linear"]; for every linear layer L of the blocks the
// weights file has
//
//   int8 or packed   int8 activations                      float activations
//   format           int-quantized                         pack-quantized
//   codes            L.weight         I8 [out, in]         L.weight_packed  I32 [out, ceil(in bits / 32)]
//                                                          L.weight_shape   I64 [2]
//   scales           L.weight_scale   float [out, 1], [out, in / g], or [1] when per tensor
//   zero points      L.weight_zero_point, affine only: I8 as the scales; packed along the outputs in
//                    pack-quantized, I32 [ceil(out bits / 32), groups]
//   inputs           L.input_scale    float [1], static only
//
// A word holds 32 / bits codes plus 2^(bits - 1), the first in its low bits. weight = scale * (code - zero
// point), and symmetric codes are -128 .. 127 or -8 .. 7, of which we write all but the lowest. Inputs of a
// static scheme are clipped to -128 .. 127 too, where ours in memory end at -127. Format:
// vllm-project/compressed-tensors 0.20.
#pragma once

#include <lab/experiments/quantized_checkpoint.hpp>
#include <lab/experiments/tensor_list.hpp>
#include <lab/io/json.hpp>

#include <set>

namespace lab {

/// Throws input_error unless the format has such a scheme: 4 or 8 bits, attention in float.
void require_compressible(const scheme_name& scheme);
/// Throws input_error unless the layers of such a model are "Linear" and groups divide their inputs.
void require_compressible(const scheme_name& scheme, const transformer& model);

/// The tensors of one layer, `name` with its prefix.
void add_compressed_layer(tensor_list& to, const std::string& name, const scheme_name& scheme,
                          const quantized_layer& layer);
/// quantization_config.
[[nodiscard]] json compressed_description(const scheme_name& scheme, const transformer& model);

/// Layers of a checkpoint that such a config describes.
class compressed_reader {
 public:
  /// `config` is that of the whole model. Throws input_error for what is described above as nothing.
  compressed_reader(const json_object& config, const safetensors& weights);

  [[nodiscard]] const scheme_name& scheme() const noexcept { return scheme_; }
  /// `name` with its prefix. Shapes are checked before anything is allocated for them.
  [[nodiscard]] quantized_layer read(const std::string& name, std::size_t out, std::size_t in);
  /// Throws input_error for a tensor of a quantized layer that nobody asked for: a quantized head, an
  /// order of groups.
  void refuse_rest() const;

 private:
  void read_weights(const json_object& group);
  void read_activations(const json_object& group);
  std::string take(const std::string& name);
  std::vector<float> scales(const std::string& name, const std::vector<std::uint64_t>& shape);
  void read_codes(const std::string& name, zeropoint::quantized_matrix<std::int8_t>& codes);
  std::vector<std::int8_t> zero_points(const std::string& name, std::size_t out, std::size_t groups,
                                       const std::vector<std::uint64_t>& shape);
  void read_inputs(const std::string& name, quantized_layer& layer);

  const safetensors* weights_;
  scheme_name scheme_;
  bool packed_ = false, per_tensor_ = false;
  std::set<std::string> used_;
};

namespace compressed_format {
inline constexpr const char* method = "compressed-tensors";
inline constexpr const char *packed = "pack-quantized", *plain = "int-quantized",
                            *naive = "naive-quantized";
}  // namespace compressed_format

}  // namespace lab
