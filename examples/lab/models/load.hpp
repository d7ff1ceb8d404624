// From a folder with config.json and model.safetensors (or shards), or a .gguf file, to a
// transformer in float32.
#pragma once

#include <lab/io/safetensors.hpp>
#include <lab/models/transformer.hpp>

#include <filesystem>
#include <functional>

namespace lab {

/// Loads a GPT-2, OPT or Llama checkpoint, or by load_gguf.hpp what is_gguf(). Tensor names may
/// carry any of the usual prefixes (transformer., model.decoder., decoder., model., none); GPT-2's
/// Conv1D weights [in, out] are transposed; attention-mask buffers and a tied lm_head are ignored.
/// A tensor that is missing, has another shape than the config says, or holds a NaN or an infinity
/// is an input_error that names it. Blocks are read by loading_threads(), with progress on the
/// terminal.
///
/// Everything becomes float32, tensor by tensor and piece by piece: no more than 1.15 times the
/// float32 weights is resident at any time, whatever type the file has (of a float32 file, 1.15
/// times the file).
[[nodiscard]] transformer load_model(const std::filesystem::path& path);

/// Hears of weights as they are read, on one thread and in the order of computation. What it takes out
/// of them is never held beside what is still to come.
struct weight_taker {
  std::function<void(transformer& m)> tables;  ///< embedding and head are there, no block is
  std::function<void(dense& d)> layer;         ///< one of linears(); its block is there
};

/// The same, a block at a time: beside what the taker leaves, the float32 weights of one block, or of
/// embedding and head, are resident (docs/decisions.md, "What loading holds").
[[nodiscard]] transformer load_model(const std::filesystem::path& path, const weight_taker& taker);

/// The weights [out, in] of a linear layer, by its name with prefix, of a file that does not hold
/// them as `<name>.weight`, or as codes of int8.
using weight_source =
    std::function<std::vector<float>(const std::string& name, std::size_t out, std::size_t in)>;

/// One for every processor that this process may use.
[[nodiscard]] std::size_t loading_threads() noexcept;

/// The same from parts already opened. `others`, when given, is asked for the weights that are not
/// in the file as floats, in the order of transformer::linears().
[[nodiscard]] transformer load_model(const model_config& config, const safetensors& weights,
                                     const weight_source& others = {},
                                     std::size_t threads = loading_threads(),
                                     const weight_taker* taker = nullptr);

}  // namespace lab
