// From a folder with config.json and model.safetensors (or shards) to a transformer in float32.
#pragma once

#include <lab/io/safetensors.hpp>
#include <lab/models/transformer.hpp>

#include <filesystem>

namespace lab {

/// Loads a GPT-2 or OPT checkpoint. Tensor names may carry any of the usual prefixes (transformer.,
/// model.decoder., decoder., model., none); GPT-2's Conv1D weights [in, out] are transposed;
/// attention-mask buffers and a tied lm_head are ignored. A tensor that is missing, has another
/// shape than the config says, or holds a NaN or an infinity is an input_error that names it.
[[nodiscard]] transformer load_model(const std::filesystem::path& folder);

/// The same from parts already opened.
[[nodiscard]] transformer load_model(const model_config& config, const safetensors& weights);

}  // namespace lab
