// From a transformer to a GGUF file that llama.cpp and load_gguf.hpp read. Linear layers of the blocks are
// blocks of the chosen type; embedding and head Q8_0; norms, biases and positions F32, as is a matrix whose
// rows are not whole blocks.
#pragma once

#include <lab/io/gguf.hpp>
#include <lab/io/tokenizer_files.hpp>
#include <lab/models/transformer.hpp>

#include <optional>

namespace lab {

struct gguf_sizes {
  std::uint64_t file = 0;
  std::uint64_t linear = 0;      ///< linears() with their biases
  std::size_t plain_layers = 0;  ///< those of linears() that stay F32
};

/// Writes `path`, which appears whole or not at all. `name` becomes general.name; without a tokenizer
/// the file says so ("no_vocab"). Throws input_error for a model or tokenizer that GGUF cannot hold
/// (gguf_config_entries, gguf_tokenizer_entries), for one that has no layer of whole blocks, and for a
/// weight too large for the scale of a block.
gguf_sizes write_gguf_model(const std::filesystem::path& path, const transformer& model,
                            const std::optional<tokenizer_data>& tokens, ggml_type_number type,
                            const std::string& name);

}  // namespace lab
