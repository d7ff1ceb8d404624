// Does every quantized layer of a model compute what it claims? Each against its float-simulated
// twin, on the inputs it meets in the quantized model.
#pragma once

#include <lab/experiments/perplexity.hpp>
#include <zeropoint/nn/parity.hpp>

namespace lab {

/// Runs one window through the model under a scheme and compares every layer with its twin. Float
/// layers have none: layers() is 0 for a float scheme. The layers' clip counts grow.
[[nodiscard]] zeropoint::parity_checker check_parity(const transformer& model,
                                                     const scheme_layers& scheme,
                                                     std::span<const std::uint32_t> window);

/// "w8: 16 layers agree with their twins, closest h.1.mlp.c_fc with 12 % of the tolerance", or the
/// first layer that differs, with its element, both values and the tolerance.
[[nodiscard]] std::string parity_text(const std::string& scheme,
                                      const zeropoint::parity_checker& checker);

}  // namespace lab
