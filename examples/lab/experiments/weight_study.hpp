// What quantizing costs the weights themselves, for any safetensors checkpoint, also one that cannot
// run: SQNR = 10 log10(sum w^2 / sum (w - w')^2) by scheme.
#pragma once

#include <lab/experiments/scheme_name.hpp>
#include <zeropoint/math/statistics.hpp>

#include <filesystem>

namespace lab {

enum class weight_layout : std::uint8_t {
  automatic,  ///< Conv1D for GPT-2's names (attn.c_attn, attn.c_proj, mlp.c_fc, mlp.c_proj)
  linear,     ///< [out, in]
  conv1d      ///< [in, out]
};

/// One matrix of the checkpoint.
struct weight_matrix {
  std::string name;
  std::size_t out = 0, in = 0;
  bool conv1d = false;
  double deviation = 0;  ///< root mean square
  double largest = 0;    ///< largest |w| over deviation: about 5 for a million normal values
  double kurtosis = 0;   ///< mean w^4 over the square of mean w^2: 3 for a normal distribution
  /// Largest |w| of the largest output channel over that of the median one.
  double channel_ratio = 0;
  std::vector<zeropoint::quantization_statistics> damage;  ///< in the order of the schemes
  std::vector<std::size_t> bytes;                          ///< in a file, likewise
};

struct weight_study {
  std::string checkpoint;
  std::vector<std::string> schemes;
  std::vector<weight_matrix> matrices;

  /// Over all matrices.
  [[nodiscard]] zeropoint::quantization_statistics total(std::size_t scheme) const;
  [[nodiscard]] double bits_per_weight(std::size_t scheme) const;
};

/// The schemes of `zp-lab weights` unless told otherwise.
[[nodiscard]] const std::vector<std::string>& default_weight_schemes();

/// Every floating-point tensor of two dimensions, both at least 32, whose name has `filter` in it and
/// is no embedding table (wte, wpe, embed). Throws input_error when there is none, for a scheme that
/// is not weight-only round-to-nearest, and for weights that are not finite.
[[nodiscard]] weight_study study_weights(const std::filesystem::path& checkpoint,
                                         const std::vector<scheme_name>& schemes,
                                         const std::string& filter, weight_layout layout);

/// Schemes by rows: bits per weight, SQNR of all matrices and of the worst; lines of at most 100
/// columns.
[[nodiscard]] std::string text_of(const weight_study& s);
[[nodiscard]] std::string json_of(const weight_study& s);

}  // namespace lab
