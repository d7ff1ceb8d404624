// From a float checkpoint to quantized ones: what `zp-lab quantize` runs.
#pragma once

#include <lab/experiments/checkpoint_format.hpp>
#include <lab/report/model_card.hpp>

#include <filesystem>
#include <functional>

namespace lab {

struct quantize_options {
  std::filesystem::path model, out;
  std::filesystem::path text, calibration;  ///< read only when something needs them
  checkpoint_format format = checkpoint_format::zeropoint;
  std::vector<scheme_name> schemes;  ///< from storable_schemes() of that format
  std::size_t calibration_tokens = 16384;
  std::size_t evaluate_tokens = 0;  ///< 0: no loss is measured; else at least one window is
  std::size_t threads = 1;
  bool force = false;  ///< write into a folder that is not empty
};

/// The file that a GGUF "checkpoint" consists of, besides its README.md.
inline constexpr const char* gguf_file_name = "model.gguf";

/// Writes `out`, or `out`/<scheme> for each of several schemes: model.safetensors, the files of the
/// tokenizer, config.json, README.md, or model.gguf and README.md; each appears whole or not at all, and
/// without config.json a folder is no model. `done` hears of each checkpoint. Throws input_error before any work when a
/// folder is not empty (unless forced), cannot be written or is the model's own.
void quantize_checkpoints(
    const quantize_options& o,
    const std::function<void(const std::filesystem::path&, const model_card&)>& done);

}  // namespace lab
