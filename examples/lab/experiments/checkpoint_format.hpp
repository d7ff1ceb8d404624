// The layouts in which `zp-lab quantize` writes a model.
#pragma once

#include <lab/experiments/scheme_name.hpp>

#include <cstdint>
#include <string_view>
#include <vector>

namespace lab {

enum class checkpoint_format : std::uint8_t {
  zeropoint,           ///< quantized_checkpoint.hpp
  compressed_tensors,  ///< compressed_tensors.hpp
  gguf                 ///< models/write_gguf.hpp
};

/// "zeropoint", "compressed-tensors", "gguf".
[[nodiscard]] std::string_view name(checkpoint_format format) noexcept;
/// The inverse. Throws input_error for another text.
[[nodiscard]] checkpoint_format checkpoint_format_named(std::string_view text);

/// "w8,w4-g32" to schemes that can be written in this format; of GGUF these are its types, "q8_0,q4_0",
/// as weight-only schemes with the grid of their codes. Throws input_error for others and for none.
[[nodiscard]] std::vector<scheme_name> storable_schemes(
    std::string_view list, checkpoint_format format = checkpoint_format::zeropoint);

}  // namespace lab
