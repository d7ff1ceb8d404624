// Schemes by name: what computes the linear layers of the blocks. Embeddings, norms, attention
// products, head and OPT-350m's projections stay float in all of them.
//
//   name               weights                   activations
//   fp32               float32                   float32
//   f16, bf16          rounded to 16 bits        float32
//   w8                 int8 per output channel   float32
//   w8-tensor          int8 per tensor           float32
//   w8a8-dynamic       int8 per output channel   int8, a scale per tensor and window
//   w8a8-dynamic-token int8 per output channel   int8, a scale per token
//   w8a8-static        int8 per output channel   int8, a scale per layer: calibrated min-max
//   w8a8-static-p99.9  int8 per output channel   int8, a scale per layer: calibrated 99.9th percentile
//
// All int8 grids are symmetric, -127..127.
#pragma once

#include <lab/experiments/calibration.hpp>
#include <lab/experiments/perplexity.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace lab {

/// Every name, in the order of the table above.
[[nodiscard]] const std::vector<std::string>& scheme_names();

/// "fp32,w8" to names: fp32 is put first whether named or not (every delta needs it), the others keep
/// their order, duplicates are dropped; empty means all. An unknown name is an input_error that lists
/// the known ones.
[[nodiscard]] std::vector<std::string> parse_schemes(std::string_view list);

/// True for the static schemes.
[[nodiscard]] bool needs_calibration(std::string_view scheme);

/// The layers of one scheme. They may borrow the model's weights, so the model must stay. `ranges`
/// is only read by schemes that need it. Throws zeropoint::error where a weight cannot be quantized.
[[nodiscard]] scheme_layers make_scheme(std::string_view scheme, const transformer& model,
                                        const calibration& ranges);

}  // namespace lab
