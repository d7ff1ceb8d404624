// What a scheme puts in the place of a float layer.
#pragma once

#include <lab/experiments/split.hpp>
#include <lab/models/parallel.hpp>
#include <zeropoint/base/float16.hpp>
#include <zeropoint/nn/linear.hpp>

#include <algorithm>
#include <atomic>
#include <cmath>

namespace lab {

/// Weights kept in 16 bits and widened for every window, which costs 1/T of the product.
template <class Half, Half (*Round)(float)>
class rounded_linear final : public linear {
 public:
  explicit rounded_linear(const dense& d) : exact_(&d), weight_(d.weight.size()) {
    std::transform(d.weight.begin(), d.weight.end(), weight_.begin(), Round);
  }
  void apply(zeropoint::matrix_view<const float> x,
             zeropoint::matrix_view<float> y) const override {
    auto scratch = scratch_.take([&] { return std::vector<float>(weight_.size()); });
    for (std::size_t i = 0; i < weight_.size(); ++i) (*scratch)[i] = to_float(weight_[i]);
    multiply(*exact_, scratch->data(), x, y);
    scratch_.give_back(std::move(scratch));
  }
  /// Widens a block of outputs at a time, which stays in the cache until it is multiplied.
  void apply_on(std::size_t threads, zeropoint::matrix_view<const float> x,
                zeropoint::matrix_view<float> y) const override {
    constexpr std::size_t block = 64;
    const std::size_t in = exact_->in, out = exact_->out;
    parallel_for(threads, (out + block - 1) / block, [&](std::size_t i) {
      const std::size_t first = i * block, rows = std::min(block, out - first);
      auto scratch = blocks_.take([&] { return std::vector<float>(block * in); });
      for (std::size_t j = 0; j < rows * in; ++j) {
        (*scratch)[j] = to_float(weight_[first * in + j]);
      }
      const float* bias = exact_->bias.empty() ? nullptr : exact_->bias.data() + first;
      multiply_on(1, rows, scratch->data(), bias, x,
                  {y.data() + first, y.rows(), rows, y.stride()});
      blocks_.give_back(std::move(scratch));
    });
  }

 private:
  const dense* exact_;  ///< shape and bias
  std::vector<Half> weight_;
  mutable pool<std::vector<float>> scratch_, blocks_;
};
using f16_linear = rounded_linear<zeropoint::float16, &zeropoint::to_float16>;
using bf16_linear = rounded_linear<zeropoint::bfloat16, &zeropoint::to_bfloat16>;

/// The layer behind wrappers that change its inputs.
template <class Layer>
const auto& innermost(const Layer& layer) {
  if constexpr (requires { layer.layer(); }) {
    return innermost(layer.layer());
  } else {
    return layer;
  }
}

/// Quantizes x as the layer does and shows it.
template <class Layer>
void show_codes_of(const Layer& layer, zeropoint::matrix_view<const float> x,
                   const code_viewer& see) {
  using namespace zeropoint;
  if constexpr (requires { layer.demoted(); }) {
    if (layer.demoted()) return see(x, quantize<std::int8_t>(x, per_token, layer.activations()));
  }
  if constexpr (requires { layer.rotation(); }) {
    aligned_buffer<float> rotated(x.size());
    for (std::size_t t = 0; t < x.rows(); ++t) {
      std::copy_n(x.row(t).data(), x.cols(), rotated.data() + t * x.cols());
    }
    layer.rotation().apply({rotated.data(), x.rows(), x.cols()});
    show_codes_of(layer.layer(), {rotated.data(), x.rows(), x.cols()}, see);
  } else if constexpr (requires { layer.activation_params(); }) {
    see(x, quantize<std::int8_t>(x, layer.activation_params()));
  } else if constexpr (requires { layer.tokens(); }) {
    if (layer.tokens().is_per_token()) {
      see(x, quantize<std::int8_t>(x, per_token, layer.activations()));
    } else {
      see(x, quantize<std::int8_t>(x, per_tensor, layer.activations()));
    }
  }
}

/// The codes of a layer and their params, one per block.
template <class Layer>
zeropoint::quantized_matrix<std::int8_t> codes_of(const Layer& layer,
                                                  zeropoint::block_shape block) {
  zeropoint::quantized_matrix<std::int8_t> codes(
      zeropoint::params_table(layer.out(), layer.in(), block, layer.weights()));
  const zeropoint::matrix_view<std::int8_t> values = codes.values();
  for (std::size_t j = 0; j < layer.out(); ++j) {
    for (std::size_t k = 0; k < layer.in(); ++k) {
      values(j, k) = static_cast<std::int8_t>(layer.weight_code(j, k));
      if (j % block.rows != 0 || k % block.cols != 0) continue;
      codes.table().set(codes.table().index(j, k), layer.weight_params(j, k));
    }
  }
  return codes;
}

/// A layer of the library.
template <class Layer>
class quantized_linear final : public linear {
 public:
  explicit quantized_linear(Layer layer) : layer_(std::move(layer)) {}
  void apply(zeropoint::matrix_view<const float> x,
             zeropoint::matrix_view<float> y) const override {
    layer_(x, y, executor_of(1));
  }
  void apply_on(std::size_t threads, zeropoint::matrix_view<const float> x,
                zeropoint::matrix_view<float> y) const override {
    layer_(x, y, executor_of(threads));
  }
  clip_count clips() const override {
    if constexpr (requires { innermost(layer_).counts(); }) {
      const auto counts = innermost(layer_).counts();
      return {counts.outside(), counts.count};
    }
    return {};
  }
  bool multiplies_integers() const override {
    return requires {
      innermost(layer_).counts();
    };
  }
  bool demoted() const override {
    if constexpr (requires { innermost(layer_).demoted(); }) return innermost(layer_).demoted();
    return false;
  }
  void check(const std::string& name, zeropoint::matrix_view<const float> x,
             zeropoint::parity_checker& checker) const override {
    if constexpr (requires { checker.check(name, layer_, x); }) checker.check(name, layer_, x);
  }
  const zeropoint::quantization_statistics* weight_statistics() const override {
    return &innermost(layer_).weight_statistics();
  }
  void show_codes(zeropoint::matrix_view<const float> x, const code_viewer& see) const override {
    show_codes_of(layer_, x, see);
  }
  std::optional<split_matrix> split_weights(const dense& d) const override {
    using core = std::decay_t<decltype(innermost(layer_))>;
    constexpr bool integer = requires(const core& c) {
      c.counts();
    };
    constexpr bool fixed = requires(const core& c) {
      c.activation_params();
    };
    constexpr bool dynamic = requires(const core& c) {
      c.tokens();
    };
    if constexpr (!integer || fixed || dynamic) {
      return split_weights_of(layer_, innermost(layer_), d);
    }
    return std::nullopt;
  }
  std::optional<zeropoint::quantized_matrix<std::int8_t>> weight_codes(
      zeropoint::block_shape block) const override {
    if constexpr (requires { layer_.weight_code(0, 0); }) return codes_of(layer_, block);
    return std::nullopt;
  }
  [[nodiscard]] std::size_t stored_bytes() const {
    return innermost(layer_).stored_bytes() + factor_bytes();
  }
  [[nodiscard]] std::size_t memory_bytes() const {
    return innermost(layer_).weight_bytes() + factor_bytes();
  }

 private:
  [[nodiscard]] std::size_t factor_bytes() const {
    if constexpr (requires { layer_.factors(); }) return layer_.factors().size() * sizeof(float);
    return 0;
  }

  Layer layer_;
};

/// A scale per channel of the activations, from calibration: fake-quantized floats in front of int8
/// weights, since such scales lie inside the sum that an integer product computes.
class channel_simulated_linear final : public linear {
 public:
  /// `absmax` [in] of the inputs.
  channel_simulated_linear(const dense& d, std::span<const float> absmax)
      : layer_(zeropoint::linear_weight{d.view()}, d.bias) {
    for (const float m : absmax) channels_.push_back(zeropoint::fit({-m, m}, zeropoint::symmetric));
  }
  void apply(zeropoint::matrix_view<const float> x,
             zeropoint::matrix_view<float> y) const override {
    auto scratch = scratch_.take([&] { return std::vector<float>(); });
    scratch->resize(x.size());
    std::uint64_t outside = 0;
    for (std::size_t t = 0; t < x.rows(); ++t) {
      for (std::size_t j = 0; j < x.cols(); ++j) {
        const zeropoint::params& p = channels_[j];
        const float limit = p.representable().max + p.scale / 2;
        outside += std::fabs(x(t, j)) > limit ? 1 : 0;
        (*scratch)[t * x.cols() + j] = zeropoint::dequantize(zeropoint::quantize(x(t, j), p), p);
      }
    }
    layer_({scratch->data(), x.rows(), x.cols()}, y);
    scratch_.give_back(std::move(scratch));
    clipped_ += outside;
    values_ += x.size();
  }
  clip_count clips() const override { return {clipped_, values_}; }
  const zeropoint::quantization_statistics* weight_statistics() const override {
    return &layer_.weight_statistics();
  }
  [[nodiscard]] std::size_t stored_bytes() const { return layer_.stored_bytes(); }
  [[nodiscard]] std::size_t memory_bytes() const { return layer_.weight_bytes(); }

 private:
  zeropoint::weight_only_linear layer_;
  std::vector<zeropoint::params> channels_;
  mutable pool<std::vector<float>> scratch_;
  mutable std::atomic<std::uint64_t> clipped_{0}, values_{0};
};

}  // namespace lab
