// W8: int8 weights (or 2 to 7 bits in int8), float activations. The weights stay integers in
// memory; 128 x 16 of them at a time become floats in the first-level cache, where all rows of x
// use them:
//
//   w'(j, k) = scale * (code(j, k) - zero_point)                      one rounding: dequantize()
//   y(i, j)  = (block 0 + block 1 + ...) + bias[j],  a block = 128 terms x(i, k) * w'(j, k)
//
// Products are rounded and added in ascending k (float_panel.hpp): the same bits from every
// processor and number of threads, whatever the granularity.
#pragma once

#include <zeropoint/base/aligned_buffer.hpp>
#include <zeropoint/kernels/registry.hpp>
#include <zeropoint/nn/float_panel.hpp>
#include <zeropoint/nn/simulation.hpp>
#include <zeropoint/nn/weight.hpp>

#include <algorithm>

namespace zeropoint::inline ZP_BASELINE {

struct weight_only_options {
  weight_granularity granularity = per_output_channel;
  scheme weights = symmetric;
  /// Bounds the instruction set, as in the integer layers: "scalar" means the baseline's vectors.
  const kernels::kernel* kernel = &kernels::best();
};

class weight_only_linear : public linear_base {
 public:
  /// Terms that are summed before they join the total; also rows of the expanded block.
  static constexpr std::size_t block_depth = 128;

  /// w [out, in] or [in, out] by its type, bias [out] or empty. Throws `error` for a bias of another
  /// size, weights that are not finite, a kernel that does not run here.
  template <weight Weight>
  explicit weight_only_linear(const Weight& w, std::span<const float> bias = {},
                              const weight_only_options& options = {})
      : weight_only_linear(quantized_weight(w, options.granularity, options.weights), bias,
                           *options.kernel) {}

  /// The same from codes that are ready.
  explicit weight_only_linear(const quantized_weight& w, std::span<const float> bias = {},
                              const kernels::kernel& kernel = kernels::best())
      : linear_base(w, bias),
        kernel_(&kernel),
        panel_(&float_panel::choose(kernel.needs)),
        group_size_(std::min(w.group_size(), std::max<std::size_t>(in(), 1))),
        codes_(panels() * in() * width),
        scales_(panels() * groups() * width),
        zeros_(panels() * groups() * width) {
    ZP_REQUIRE(kernels::runs_here(kernel), "linear: kernel \"", kernel.name,
               "\" needs instructions this processor lacks");
    for (std::size_t j = 0; j < out(); ++j) {
      const std::size_t first = j / width * in() * width + j % width;
      for (std::size_t k = 0; k < in(); ++k) codes_[first + k * width] = w.code(j, k);
      for (std::size_t g = 0; g < groups(); ++g) {
        const params p = w.params_at(j, g * group_size_);
        const std::size_t at = (j / width * groups() + g) * width + j % width;
        scales_[at] = p.scale;
        zeros_[at] = static_cast<float>(p.zero_point);
        affine_ = affine_ || p.zero_point != 0;
      }
    }
  }

  /// y [m, out] = x [m, in] * w'^T + bias. NaN and infinities in x propagate as IEEE says.
  template <executor Executor = serial>
  void operator()(matrix_view<const float> x, matrix_view<float> y, const Executor& ex = {}) const {
    require_shapes(x, y);
    if (x.rows() == 1 && panel_->row != nullptr && in() > 0) return multiply_row(x, y, ex);
    const std::size_t blocks = (x.rows() + rows_per_task - 1) / rows_per_task;
    ex(blocks * panels(), [&](std::size_t task) {
      const std::size_t first = task / panels() * rows_per_task;
      const std::size_t count = std::min(rows_per_task, x.rows() - first);
      multiply_panel(task % panels(), x.rows_from(first, count), y.rows_from(first, count));
    });
  }

  /// The twin: the same weights, summed in double.
  template <executor Executor = serial>
  void simulate(matrix_view<const float> x, const simulated& result,
                const Executor& ex = {}) const {
    require_shapes(x, result.y);
    detail::simulate_product(
        x, bias(), [&](std::size_t j, std::span<float> w) { expand_row(j, w); }, result, ex);
  }
  template <executor Executor = serial>
  void simulate(matrix_view<const float> x, matrix_view<float> y, const Executor& ex = {}) const {
    simulate(x, simulated{y, {}}, ex);
  }
  /// |layer - twin| <= rounding_units() * 2^-24 * magnitude: a product and block_depth - 1 sums
  /// round in a block, then the sums of blocks, the bias, and once the twin.
  [[nodiscard]] double rounding_units() const noexcept {
    const std::size_t blocks = (in() + block_depth - 1) / block_depth;
    return static_cast<double>(std::min(in(), block_depth) + blocks + 1);
  }

  /// Code and params of weight (j, k) of [out, in], out of the form that the layer keeps them in.
  [[nodiscard]] std::int32_t weight_code(std::size_t j, std::size_t k) const noexcept {
    return codes_[(j / width * in() + k) * width + j % width];
  }
  [[nodiscard]] params weight_params(std::size_t j, std::size_t k) const noexcept {
    const std::size_t at = (j / width * groups() + k / group_size_) * width + j % width;
    return {scales_[at], static_cast<std::int32_t>(zeros_[at]), weights().qmin(), weights().qmax()};
  }

  /// Bytes in memory: codes with the padding of the last panel, scales and zero points.
  [[nodiscard]] std::size_t weight_bytes() const noexcept {
    return codes_.size() + (scales_.size() + zeros_.size()) * sizeof(float);
  }
  [[nodiscard]] const kernels::kernel& kernel() const noexcept { return *kernel_; }

 private:
  static constexpr std::size_t width = float_panel::width, rows_per_task = 256;
  static constexpr std::size_t panels_per_task = 16;

  [[nodiscard]] std::size_t panels() const noexcept { return (out() + width - 1) / width; }
  [[nodiscard]] std::size_t groups() const noexcept {
    return (in() + group_size_ - 1) / group_size_;
  }

  /// Inputs first .. first + depth of panel p as floats [depth][width].
  void expand(std::size_t p, std::size_t first, std::size_t depth, float* w) const noexcept {
    const std::int8_t* codes = codes_.data() + (p * in() + first) * width;
    for (std::size_t k = 0; k < depth;) {
      const std::size_t group = (first + k) / group_size_;
      const std::size_t end = std::min(depth, (group + 1) * group_size_ - first);
      const float* scale = scales_.data() + (p * groups() + group) * width;
      const float* zero = zeros_.data() + (p * groups() + group) * width;
      panel_->expand(end - k, codes + k * width, scale, zero, w + k * width);
      k = end;
    }
  }
  /// All inputs of output j.
  void expand_row(std::size_t j, std::span<float> w) const noexcept {
    for (std::size_t k = 0; k < in(); ++k)
      w[k] = dequantize(weight_code(j, k), weight_params(j, k));
  }

  /// One row, in tasks of panels_per_task panels.
  template <class Executor>
  void multiply_row(matrix_view<const float> x, matrix_view<float> y, const Executor& ex) const {
    ex((panels() + panels_per_task - 1) / panels_per_task, [&](std::size_t task) {
      const std::size_t first = task * panels_per_task;
      alignas(64) float sum[panels_per_task * width];
      float_panel::row_job job;
      job.panels = std::min(panels_per_task, panels() - first);
      job.in = in();
      job.group_size = group_size_;
      job.block_depth = block_depth;
      job.x = x.data();
      job.codes = codes_.data() + first * in() * width;
      job.scale = scales_.data() + first * groups() * width;
      job.zero = affine_ ? zeros_.data() + first * groups() * width : nullptr;
      job.sum = sum;
      panel_->row(job);
      for (std::size_t p = 0; p < job.panels; ++p) finish(first + p, sum + p * width, y);
    });
  }
  /// Sums [rows of y][width] of panel p plus the bias, to their places in y.
  void finish(std::size_t p, const float* sum, matrix_view<float> y) const {
    const std::size_t column = p * width, count = std::min(width, out() - column);
    float b[width] = {};
    for (std::size_t j = 0; j < count; ++j) b[j] = bias_at(column + j);
    for (std::size_t i = 0; i < y.rows(); ++i) {
      float* to = y.data() + i * y.stride() + column;
      for (std::size_t j = 0; j < count; ++j) to[j] = sum[i * width + j] + b[j];
    }
  }

  void multiply_panel(std::size_t p, matrix_view<const float> x, matrix_view<float> y) const {
    alignas(64) float w[block_depth * width];
    alignas(64) float sum[rows_per_task * width];
    std::fill_n(sum, x.rows() * width, 0.0f);
    for (std::size_t first = 0; first < in(); first += block_depth) {
      const std::size_t depth = std::min(block_depth, in() - first);
      expand(p, first, depth, w);
      panel_->multiply(depth, x.rows(), x.data() + first, x.stride(), w, sum);
    }
    finish(p, sum, y);
  }

  const kernels::kernel* kernel_;
  const float_panel::variant* panel_;
  std::size_t group_size_;
  aligned_buffer<std::int8_t> codes_;  ///< [panels][in][width]
  aligned_buffer<float> scales_;       ///< [panels][groups][width]
  aligned_buffer<float> zeros_;        ///< as scales_, zero points as floats
  bool affine_ = false;                ///< a zero point is not 0
};

}  // namespace zeropoint::inline ZP_BASELINE
