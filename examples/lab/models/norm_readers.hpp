// Which layers read the output of which norm: what may be moved from a norm into layers or back
// (smooth.hpp, fold.hpp).
#pragma once

#include <lab/models/transformer.hpp>

namespace lab {

struct norm_readers {
  norm* before = nullptr;
  std::vector<dense*> layers;  ///< they see the same input
  std::size_t index = 0;       ///< of the first of them in transformer::linears()
};

/// Two per block: q, k and v (or their fused layer) behind the attention norm, (gate
/// and) fc1 behind the other.
[[nodiscard]] inline std::vector<norm_readers> readers_of_norms(transformer& model) {
  std::vector<norm_readers> all;
  std::size_t next = 0;
  for (block& b : model.blocks) {
    norm_readers qkv{&b.attention_norm, {}, next};
    for (dense& d : b.qkv) qkv.layers.push_back(&d);
    next += qkv.layers.size() + 1;
    all.push_back(std::move(qkv));
    norm_readers mlp{&b.mlp_norm, {}, next};
    if (b.gate) mlp.layers.push_back(&*b.gate);
    mlp.layers.push_back(&b.fc1);
    next += mlp.layers.size() + 1;
    all.push_back(std::move(mlp));
  }
  return all;
}

}  // namespace lab
