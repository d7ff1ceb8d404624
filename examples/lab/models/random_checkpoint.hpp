// Checkpoints of the shape of known models with random weights: for tests of speed and loading that
// need no download. What such a model says means nothing.
#pragma once

#include <lab/io/config.hpp>
#include <lab/io/safetensors_writer.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace lab {

/// "gpt2", "opt-125m", "opt-1.3b", "smollm2-135m".
[[nodiscard]] const std::vector<std::string>& known_shapes();
/// config.json of a known shape: the sizes that its authors published. Throws input_error for another
/// name.
[[nodiscard]] std::string config_of_shape(std::string_view name);

/// The tensors that load_model() reads for this config, in float16, under the names that HuggingFace
/// gives them. A tied head has none.
[[nodiscard]] std::vector<tensor_layout> checkpoint_tensors(const model_config& config);

/// Writes config.json and model.safetensors into `folder`, which is made when it does not exist.
/// Weights have mean 0 and standard deviation 0.02, gains are 1, biases 0. A tensor's values depend on
/// its name and the seed; memory stays at one megabyte whatever the size. Throws input_error when the
/// folder holds one of the files already. Returns the number of parameters.
std::uint64_t write_random_checkpoint(const std::string& config_json,
                                      const std::filesystem::path& folder, std::uint64_t seed);

}  // namespace lab
