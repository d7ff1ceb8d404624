// The pairs of a block.
#include <lab/io/error.hpp>
#include <lab/models/equalize.hpp>
#include <zeropoint/nn/equalize.hpp>

namespace lab {
namespace {

bool has_values_pair(const model_config& c) {
  return c.kv_heads == c.heads;
}

bool has_mlp_pair(const model_config& c) {
  return c.gated || c.act == activation::relu;
}

/// The last `rows` outputs of `made` with the inputs of `reads`.
void equalize(dense& made, std::size_t rows, dense& reads) {
  const std::size_t first = made.out - rows;
  const std::span<float> bias =
      made.bias.empty() ? std::span<float>() : std::span(made.bias).subspan(first);
  zeropoint::equalize({made.weight.data() + first * made.in, rows, made.in}, bias,
                      {reads.weight.data(), reads.out, reads.in});
}

}  // namespace

void require_equalizable(const transformer& model) {
  if (has_values_pair(model.config) || has_mlp_pair(model.config)) return;
  throw input_error("equalization: heads share their values, and the MLP has " +
                    std::string(name(model.config.act)) +
                    " between its layers; expected a head of values for each of queries, ReLU or a "
                    "gate");
}

void apply_equalization(transformer& model) {
  require_equalizable(model);
  const model_config& c = model.config;
  for (block& b : model.blocks) {
    // v is the last third of GPT-2's fused layer, a layer of its own elsewhere.
    if (has_values_pair(c)) equalize(b.qkv.back(), c.kv_width(), b.attention_out);
    if (has_mlp_pair(c)) equalize(b.fc1, c.ffn, b.fc2);
  }
}

}  // namespace lab
