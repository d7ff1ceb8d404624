// A quantized checkpoint beside the float model that it was made from.
#pragma once

#include <lab/experiments/perplexity.hpp>

#include <filesystem>

namespace lab {

/// The scheme of a folder that zp-lab quantize wrote; its layers bring the embedding and norms of their
/// checkpoint, which have to be those of `natural`. Named "w8 of FOLDER". Throws input_error, which
/// names the option --quantized, for a folder of another model.
[[nodiscard]] scheme_layers load_stored_scheme(const std::filesystem::path& folder,
                                               const transformer& natural);

/// Throws input_error when --model is such a folder itself.
void require_float_model(const std::filesystem::path& model);

}  // namespace lab
