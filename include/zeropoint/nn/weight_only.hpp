// W8: int8 weights (or 2 to 7 bits, up to 4 of them two to a byte), float activations. The weights
// stay integers in memory; 128 x 16 of them at a time become floats in the first-level cache, where
// all rows of x use them, and those of a single row never leave registers:
//
//   w'(j, k) = scale * (code(j, k) - zero_point)                      one rounding: dequantize()
//   y(i, j)  = (block 0 + block 1 + ...) + bias[j],  a block = 128 terms x(i, k) * w'(j, k)
//
// Products are rounded and added in ascending k (float_panel.hpp): the same bits from every
// processor and number of threads, whatever the granularity.
#pragma once

#include <zeropoint/kernels/registry.hpp>
#include <zeropoint/nn/byte_panels.hpp>
#include <zeropoint/nn/nibble_panels.hpp>
#include <zeropoint/nn/simulation.hpp>

#include <variant>

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
        store_(nibble_panels::fits(w) ? store(std::in_place_type<nibble_panels>, w)
                                      : store(std::in_place_type<byte_panels>, w)) {
    ZP_REQUIRE(kernels::runs_here(kernel), "linear: kernel \"", kernel.name,
               "\" needs instructions this processor lacks");
  }

  /// y [m, out] = x [m, in] * w'^T + bias. NaN and infinities in x propagate as IEEE says.
  template <executor Executor = serial>
  void operator()(matrix_view<const float> x, matrix_view<float> y, const Executor& ex = {}) const {
    require_shapes(x, y);
    if (x.rows() <= panel_->rows_alone && in() > 0) {
      return multiply_rows(x, y, ex);
    }
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
    return std::visit([&](const auto& s) { return s.code(j, k); }, store_);
  }
  [[nodiscard]] params weight_params(std::size_t j, std::size_t k) const noexcept {
    return std::visit(
        [&](const auto& s) {
          return params{s.scale(j, k), s.zero_point(j, k), weights().qmin(), weights().qmax()};
        },
        store_);
  }

  /// Bytes in memory: codes with the padding of the last panel, scales and zero points.
  [[nodiscard]] std::size_t weight_bytes() const noexcept {
    return std::visit([](const auto& s) { return s.bytes(); }, store_);
  }
  [[nodiscard]] const kernels::kernel& kernel() const noexcept { return *kernel_; }

 private:
  static constexpr std::size_t width = float_panel::width, rows_per_task = 256;
  static constexpr std::size_t panels_per_task = 16;
  using store = std::variant<byte_panels, nibble_panels>;

  [[nodiscard]] std::size_t panels() const noexcept { return (out() + width - 1) / width; }

  /// All inputs of output j.
  void expand_row(std::size_t j, std::span<float> w) const noexcept {
    for (std::size_t k = 0; k < in(); ++k)
      w[k] = dequantize(weight_code(j, k), weight_params(j, k));
  }

  /// Few rows, in tasks of panels_per_task panels: they stay in the second-level cache for the next
  /// row.
  template <class Executor>
  void multiply_rows(matrix_view<const float> x, matrix_view<float> y, const Executor& ex) const {
    ex((panels() + panels_per_task - 1) / panels_per_task, [&](std::size_t task) {
      const std::size_t first = task * panels_per_task;
      const std::size_t count = std::min(panels_per_task, panels() - first);
      alignas(64) float sum[panels_per_task * width];
      for (std::size_t i = 0; i < x.rows(); ++i) {
        std::visit(
            [&](const auto& s) {
              s.multiply_row(*panel_, x.row(i).data(), block_depth, first, count, sum);
            },
            store_);
        for (std::size_t p = 0; p < count; ++p)
          finish(first + p, sum + p * width, y.rows_from(i, 1));
      }
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
      std::visit([&](const auto& s) { s.expand(*panel_, p, first, depth, w); }, store_);
      panel_->multiply(depth, x.rows(), x.data() + first, x.stride(), w, sum);
    }
    finish(p, sum, y);
  }

  const kernels::kernel* kernel_;
  const float_panel::variant* panel_;
  store store_;
};

}  // namespace zeropoint::inline ZP_BASELINE
