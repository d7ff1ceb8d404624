// Releases one thing after another and reads what is still resident.
#include <lab/experiments/footprint.hpp>
#include <lab/io/gguf.hpp>
#include <lab/io/memory.hpp>
#include <lab/io/safetensors.hpp>

namespace lab {

namespace {

std::size_t biases_of_linears(const transformer& model) {
  std::size_t n = 0;
  for (const dense* d : model.linears()) n += d->bias.size();
  return n;
}

void release_linears(transformer& model) {
  const auto release = [](dense& d) { d = {}; };
  for (block& b : model.blocks) {
    for (dense& d : b.qkv) release(d);
    release(b.attention_out);
    if (b.gate) release(*b.gate);
    release(b.fc1);
    release(b.fc2);
  }
}

}  // namespace

stored_weights stored_weights_of(const std::filesystem::path& checkpoint) {
  if (is_gguf(checkpoint)) return {std::filesystem::file_size(checkpoint), sizeof(float)};
  const safetensors weights(checkpoint);
  stored_weights result;
  for (const safetensors_file& f : weights.files()) result.file_bytes += f.file_bytes();
  for (const auto& [name, entry] : weights.tensors()) {
    if (!name.ends_with("wte.weight") && !name.ends_with("embed_tokens.weight")) continue;
    result.float_bytes = bits(entry.info.type) / 8;
  }
  return result;
}

std::uint64_t disk_bytes(const scheme_layers& scheme, const transformer& model,
                         const stored_weights& checkpoint) {
  const std::size_t biases = biases_of_linears(model);
  const std::size_t others = model.parameters() - model.linear_parameters() + biases;
  return others * checkpoint.float_bytes + scheme.stored_bytes - biases * sizeof(float);
}

std::vector<std::uint64_t> resident_bytes(std::vector<scheme_layers> schemes, transformer model) {
  std::vector<std::uint64_t> result(schemes.size());
  std::vector<bool> complete(schemes.size());
  for (std::size_t i = schemes.size(); i-- > 1;) {
    complete[i] = schemes[i].model != nullptr;  // has an embedding and norms of its own
    result[i] = memory_returned_by([&] { schemes[i] = {}; });
  }
  schemes.clear();  // those of float32 borrow the weights
  result[0] = memory_returned_by([&] { release_linears(model); });
  const std::uint64_t others = memory_returned_by([&] { model = {}; });
  for (std::size_t i = 0; i < result.size(); ++i) {
    if (!complete[i]) result[i] += others;
  }
  return result;
}

}  // namespace lab
