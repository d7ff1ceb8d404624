// Names the weights of a model, so that what was made for others is not used with them.
#pragma once

#include <lab/models/transformer.hpp>

namespace lab {

/// FNV-1a 64 of all weights as float32 in the order of the struct, tensor by tensor: 16 hexadecimal
/// digits. Not a cryptographic hash.
[[nodiscard]] std::string weights_hash(const transformer& model);
/// The same without the weights of linears(): what a quantized checkpoint keeps as it was.
[[nodiscard]] std::string unquantized_hash(const transformer& model);

}  // namespace lab
