// Norm by norm, the layers that read it.
#include <lab/io/error.hpp>
#include <lab/models/fold.hpp>
#include <lab/models/norm_readers.hpp>

#include <algorithm>

namespace lab {

namespace {

void fold(const norm& before, dense& layer) {
  if (!before.bias.empty()) {
    if (layer.bias.empty()) layer.bias.assign(layer.out, 0.0f);
    for (std::size_t o = 0; o < layer.out; ++o) {
      const float* row = layer.weight.data() + o * layer.in;
      double bias = static_cast<double>(layer.bias[o]);
      for (std::size_t j = 0; j < layer.in; ++j) {
        bias += static_cast<double>(row[j]) * static_cast<double>(before.bias[j]);
      }
      layer.bias[o] = static_cast<float>(bias);
    }
  }
  for (std::size_t o = 0; o < layer.out; ++o) {
    for (std::size_t j = 0; j < layer.in; ++j) layer.weight[o * layer.in + j] *= before.gain[j];
  }
}

void clear(norm& n) {
  std::fill(n.gain.begin(), n.gain.end(), 1.0f);
  std::fill(n.bias.begin(), n.bias.end(), 0.0f);
}

}  // namespace

void fold_norms(transformer& model) {
  if (!model.config.pre_norm) {
    throw input_error(
        "folding norms: this model is post-norm (do_layer_norm_before is false): its norms also "
        "feed the residual stream, so folding them would change the function");
  }
  if (!model.config.norm_affine) return;
  for (const norm_readers& r : readers_of_norms(model)) {
    for (dense* d : r.layers) fold(*r.before, *d);
    clear(*r.before);
  }
}

}  // namespace lab
