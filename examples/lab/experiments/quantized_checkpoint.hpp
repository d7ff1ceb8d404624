// A quantized checkpoint: what `zp-lab quantize` writes and `zp-lab perplexity`, `generate`, `compare`
// and `logits` read. There are two formats; that of others is in compressed_tensors.hpp, this is our own.
// config.json has "quantization_config": {"quant_method": "zeropoint", "format_version": 1,
// "scheme": "w4-g32", ...}; model.safetensors names scheme and version in its metadata too, and has
// for every linear layer L of the blocks, always [out, in], in place of L.weight
//
//   L.weight_codes        I8 [out, in]; with at most 4 bits U8 [out, (in + 1) / 2], two to a byte,
//                         the even column in bits 0 to 3
//   L.weight_scales       F32 [out], [out, groups], or [1] when a scale is per tensor
//   L.weight_zero_points  I8, as the scales; affine schemes only
//   L.input_scale, L.input_zero_point, L.input_range
//                         F32 [1], I8 [1], F32 [2]; static schemes only: the grid of the inputs and
//                         the calibrated range that it follows from
//
// weight = scale * (code - zero point). Everything else is stored as in the float checkpoint.
#pragma once

#include <lab/experiments/checkpoint_format.hpp>
#include <lab/experiments/perplexity.hpp>
#include <lab/experiments/schemes.hpp>
#include <lab/io/safetensors.hpp>

#include <filesystem>

namespace lab {

/// One linear layer after quantization.
struct quantized_layer {
  zeropoint::quantized_matrix<std::int8_t> codes;       ///< [out, in]
  zeropoint::value_range inputs;                        ///< static schemes only
  zeropoint::scheme input_grid = zeropoint::symmetric;  ///< the same
};

/// Throws input_error unless the scheme can be written: integer weights that multiply the layer's
/// inputs as they are (no -awq, -smooth, -rotate), and no layers that change (-watch).
void require_storable(const scheme_name& scheme);

/// What `made` keeps of the weights; the ranges of a static scheme are those of `seen`.
[[nodiscard]] std::vector<quantized_layer> quantized_layers(const scheme_name& scheme,
                                                            const scheme_layers& made,
                                                            const transformer& model,
                                                            const calibration& seen);

/// The layers that a scheme has once its weights are quantized: the same bits as make_scheme().
[[nodiscard]] scheme_layers restore_scheme(const scheme_name& scheme, const transformer& model,
                                           std::span<const quantized_layer> layers);

/// Writes model.safetensors and then config.json into `out`, which exists; each appears whole or not
/// at all. `weights` and `config` are those of the float checkpoint, `layers` in the order of
/// model.linears(); the format is one of the two that are read again. Returns the bytes of
/// model.safetensors.
std::uint64_t write_quantized(const std::filesystem::path& out, const scheme_name& scheme,
                              const std::filesystem::path& config, const safetensors& weights,
                              const transformer& model, std::span<const quantized_layer> layers,
                              checkpoint_format format = checkpoint_format::zeropoint);

/// The weights of linears(): 4 bytes each that only a float reference needs.
enum class float_weights : std::uint8_t { kept, dropped };

struct quantized_checkpoint {
  scheme_name scheme;
  transformer model;  ///< the weights of linears() are what the codes stand for, or empty
  scheme_layers layers;
  std::vector<zeropoint::value_range> input_ranges;  ///< in the order of linears(); static schemes
};

/// Whether the folder's config.json names one of the two formats. False when there is no such file, or another
/// problem that loading will report.
[[nodiscard]] bool is_quantized(const std::filesystem::path& folder);

/// Throws input_error for a scheme, shape, code, scale, zero point or range that is not as its format
/// says.
[[nodiscard]] quantized_checkpoint load_quantized(const std::filesystem::path& folder,
                                                  float_weights weights = float_weights::kept);

namespace quantized_format {
inline constexpr const char* method = "zeropoint";
inline constexpr std::uint64_t version = 1;
inline constexpr const char* version_key = "zeropoint.format_version";
inline constexpr const char* scheme_key = "zeropoint.scheme";
}  // namespace quantized_format

/// Which weights of a layer [out, in] share a scale, and the shape of the scales in a file.
[[nodiscard]] zeropoint::block_shape block_of(const scheme_name& scheme, std::size_t out,
                                              std::size_t in);
[[nodiscard]] std::vector<std::uint64_t> scales_shape(const scheme_name& scheme, std::size_t out,
                                                      std::size_t in);

}  // namespace lab
