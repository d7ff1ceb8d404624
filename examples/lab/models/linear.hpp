// One linear layer as the transformer sees it: y = x * W^T + bias. The float layer is here; a
// quantization scheme puts its own in its place (experiments/schemes.hpp).
#pragma once

#include <zeropoint/math/quantize.hpp>
#include <zeropoint/nn/parity.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace lab {

/// The weights of one linear layer, always [out, in] row-major, whatever the checkpoint does.
struct dense {
  std::string name;  ///< "h.3.mlp.c_fc", "layers.3.fc1": the checkpoint's, without prefix
  std::size_t out = 0, in = 0;
  std::vector<float> weight;  ///< [out, in]
  std::vector<float> bias;    ///< [out], or empty

  [[nodiscard]] zeropoint::matrix_view<const float> view() const {
    return {weight.data(), out, in};
  }
};

/// Activations that a layer quantized, and how many of them fell outside its grid.
struct clip_count {
  std::uint64_t clipped = 0, values = 0;
};

/// Sees the values that a layer quantizes, [tokens, in], and what they become.
using code_viewer = std::function<void(zeropoint::matrix_view<const float> values,
                                       const zeropoint::quantized<std::int8_t>& codes)>;

/// A matrix that a layer quantizes, by what becomes of it: quantized = exact + rounding + clipping.
/// Clipping is the part beyond the end of the grid of a value that statistics.hpp calls clipped,
/// rounding the rest; either is empty when it is zero everywhere.
struct split_matrix {
  std::vector<float> exact, rounding, clipping;
};

/// Called by several threads at once, each with one window.
class linear {
 public:
  virtual ~linear() = default;
  /// x [tokens, in] are the tokens of one window: a scale "per tensor" is a scale per window, so
  /// that no result depends on how windows are batched. y [tokens, out].
  virtual void apply(zeropoint::matrix_view<const float> x,
                     zeropoint::matrix_view<float> y) const = 0;
  /// The same bits on `threads` threads, for one text at a time.
  virtual void apply_on(std::size_t /*threads*/, zeropoint::matrix_view<const float> x,
                        zeropoint::matrix_view<float> y) const {
    apply(x, y);
  }
  /// Over all calls so far.
  [[nodiscard]] virtual clip_count clips() const { return {}; }
  /// A watched layer that has given up its calibrated range.
  [[nodiscard]] virtual bool demoted() const { return false; }
  /// What quantizing the weights cost; null for a float layer.
  [[nodiscard]] virtual const zeropoint::quantization_statistics* weight_statistics() const {
    return nullptr;
  }
  /// Shows what this layer makes of x before it multiplies, once; rotated layers quantize x rotated.
  /// Not at all when the layer leaves x float or has no one grid for it (outlier columns, scales per
  /// channel).
  virtual void show_codes(zeropoint::matrix_view<const float> /*x*/,
                          const code_viewer& /*see*/) const {}
  /// Whether most of its multiply-adds are of integers; else of floats, whatever its weights are kept in.
  [[nodiscard]] virtual bool multiplies_integers() const { return false; }
  /// What quantizing this input costs; nothing counted where show_codes() shows nothing.
  [[nodiscard]] zeropoint::quantization_statistics input_statistics(
      zeropoint::matrix_view<const float> x) const {
    zeropoint::quantization_statistics cost;
    show_codes(x, [&](auto, const auto& codes) { cost = codes.statistics; });
    return cost;
  }
  /// The weights [out, in] of the layer that stands for d, such that y = (x, or what show_codes()
  /// shows of it) * quantized^T + bias. Nothing for a layer with no one grid for its columns.
  [[nodiscard]] virtual std::optional<split_matrix> split_weights(const dense& /*d*/) const {
    return std::nullopt;
  }
  /// The weights as codes [out, in], if the layer multiplies its inputs by such, in the blocks that
  /// they were quantized in; else nothing.
  [[nodiscard]] virtual std::optional<zeropoint::quantized_matrix<std::int8_t>> weight_codes(
      zeropoint::block_shape /*block*/) const {
    return std::nullopt;
  }
  /// Compares a quantized layer with its float-simulated twin on this input; a float layer has none.
  virtual void check(const std::string& /*name*/, zeropoint::matrix_view<const float> /*x*/,
                     zeropoint::parity_checker& /*checker*/) const {}
};

/// y = x * weight^T + bias with other weights of d's shape. The bits of a row of y depend on no other
/// row of x (float_kernels.hpp).
void multiply(const dense& d, const float* weight, zeropoint::matrix_view<const float> x,
              zeropoint::matrix_view<float> y);

/// y [T, out] = x [T, in] * weight [out, in]^T + bias (null: none) on threads, whose number changes no
/// bit.
void multiply_on(std::size_t threads, std::size_t out, const float* weight, const float* bias,
                 zeropoint::matrix_view<const float> x, zeropoint::matrix_view<float> y);

/// In the order of transformer::linears().
using linear_set = std::vector<std::unique_ptr<const linear>>;

/// The float layer over weights that outlive it.
class float_linear final : public linear {
 public:
  explicit float_linear(const dense& d) : weights_(&d) {}
  void apply(zeropoint::matrix_view<const float> x, zeropoint::matrix_view<float> y) const override;
  void apply_on(std::size_t threads, zeropoint::matrix_view<const float> x,
                zeropoint::matrix_view<float> y) const override;

 private:
  const dense* weights_;
};

}  // namespace lab
