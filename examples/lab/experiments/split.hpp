// What quantization does to a value, by cause:
//
//   dequantized code = x + clipping + rounding
//   clipping = (end of the grid) - x when x lies beyond it, by more than rounds back to it
//   rounding = all else: at most half a step to the nearest code; more for a code that was chosen
//              for the sake of others (GPTQ)
#pragma once

#include <lab/models/linear.hpp>
#include <zeropoint/nn/hadamard.hpp>

namespace lab {

/// Collects a split_matrix value by value.
class splitter {
 public:
  explicit splitter(std::size_t size) {
    split_.exact.reserve(size);
    split_.rounding.reserve(size);
    split_.clipping.reserve(size);
  }
  /// x became `code`; both errors are then multiplied by `unit`, a change of scale that x and the
  /// code went through before.
  void add(float x, std::int32_t code, const zeropoint::params& p, float unit = 1) {
    const zeropoint::quantizer<> q(p);
    const zeropoint::value_range grid = p.representable();
    const float t = q.scaled(x);
    const float nearest = t < q.low_edge() ? grid.min : t > q.high_edge() ? grid.max : x;
    split_.exact.push_back(x * unit);
    split_.rounding.push_back((dequantize(code, p) - nearest) * unit);
    split_.clipping.push_back((nearest - x) * unit);
    rounded_ = rounded_ || split_.rounding.back() != 0;
    clipped_ = clipped_ || split_.clipping.back() != 0;
  }
  [[nodiscard]] split_matrix take() {
    if (!rounded_) split_.rounding.clear();
    if (!clipped_) split_.clipping.clear();
    return std::move(split_);
  }

 private:
  split_matrix split_;
  bool rounded_ = false, clipped_ = false;
};

/// linear::split_weights() of a layer of the library; `core` is the layer without what changes its
/// inputs. A rotation shows its inputs rotated and gets W R; a division of the inputs by factors is
/// undone here, since it shows nothing.
template <class Layer, class Core>
split_matrix split_weights_of(const Layer& layer, const Core& core, const dense& d) {
  std::vector<float> w = d.weight, factors(d.in, 1.0f);
  if constexpr (requires { layer.rotation(); }) {
    layer.rotation().apply({w.data(), d.out, d.in});
  }
  if constexpr (requires { layer.factors(); }) {
    factors.assign(layer.factors().begin(), layer.factors().end());
  }
  splitter s(w.size());
  for (std::size_t j = 0; j < d.out; ++j) {
    for (std::size_t k = 0; k < d.in; ++k) {
      s.add(w[j * d.in + k] * factors[k], core.weight_code(j, k), core.weight_params(j, k),
            1 / factors[k]);
    }
  }
  return s.take();
}

}  // namespace lab
