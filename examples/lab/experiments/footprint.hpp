// What schemes take of memory and disk: measured where there is something to measure. Memory is what
// the process gives back when a scheme is released, disk what files have.
#pragma once

#include <lab/experiments/perplexity.hpp>

#include <filesystem>
#include <vector>

namespace lab {

/// The weights of a checkpoint as its files hold them.
struct stored_weights {
  std::uint64_t file_bytes = 0;             ///< of all .safetensors files, or of the .gguf
  std::size_t float_bytes = sizeof(float);  ///< of one float of the embedding; a .gguf counts as 4
};
[[nodiscard]] stored_weights stored_weights_of(const std::filesystem::path& checkpoint);

/// Of the tensors that zp-lab quantize writes for this scheme: quantized layers, and the rest as the
/// checkpoint has it.
[[nodiscard]] std::uint64_t disk_bytes(const scheme_layers& scheme, const transformer& model,
                                       const stored_weights& checkpoint);

/// Resident bytes of the weights under each scheme, schemes[0] being float32: its layers with the
/// embedding and the norms. Releases schemes and model to see it; nothing else may hold them. Zeros
/// where the system does not say.
[[nodiscard]] std::vector<std::uint64_t> resident_bytes(std::vector<scheme_layers> schemes,
                                                        transformer model);

}  // namespace lab
