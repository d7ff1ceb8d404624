// W8: int8 weights (or 2 to 7 bits, up to 4 of them two to a byte), float activations. The weights
// stay integers in memory; 128 x 64 of them at a time become floats in the first-level cache, where
// all rows of x use them, and those of a single row never leave registers:
//
//   y(i, j) = fma(scale(j, s), acc(s), ... fma(scale(j, 0), acc(0), 0)) + bias[j]
//   acc(s)  = fma(x(i, k), code(j, k) - zero_point(j, s), acc(s)) in ascending k, from 0
//
// over segments s of the inputs: one ends with every group and at every multiple of 128. The same
// bits from every processor and number of threads, whatever the granularity (float_panel.hpp).
#pragma once

#include <zeropoint/gemm/rows.hpp>
#include <zeropoint/kernels/registry.hpp>
#include <zeropoint/nn/byte_panels.hpp>
#include <zeropoint/nn/nibble_panels.hpp>
#include <zeropoint/nn/simulation.hpp>

#include <numeric>
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
  /// A segment, whose terms are summed before they join the total, ends at every multiple of it.
  static constexpr std::size_t block_depth = float_panel::block_depth;

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

  /// y [m, out] = x [m, in] * w'^T + bias. NaN and infinities in x propagate as IEEE says. A segment is
  /// summed in codes: finite while its |x * (code - zero_point)| add up to less than 3.4e38.
  template <executor Executor = serial>
  void operator()(matrix_view<const float> x, matrix_view<float> y, const Executor& ex = {}) const {
    require_shapes(x, y);
    if (y.empty()) return;
    if (x.rows() <= panel_->rows_alone && in() > 0) {
      return multiply_rows(x, y, ex);
    }
    const task_shape shape = tasks_for(x.rows(), ex.concurrency());
    const std::size_t parts = detail::ceil_div(panels(), shape.panels);
    ex(detail::ceil_div(x.rows(), shape.rows) * parts, [&](std::size_t task) {
      const std::size_t i = task / parts * shape.rows, rows = std::min(shape.rows, x.rows() - i);
      const std::size_t p = task % parts * shape.panels;
      multiply_panels(p, std::min(shape.panels, panels() - p), x.rows_from(i, rows),
                      y.rows_from(i, rows));
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
  /// |layer - twin| <= rounding_units() * 2^-24 * magnitude. A segment's fmas round its sum once per
  /// input, by at most 2^-24 of its share of the magnitude each; the shares add up, so the longest
  /// segment counts. Then every segment rounds the total, the bias does, and the twin twice: its
  /// weights, scale * (code - zero_point), and its result.
  [[nodiscard]] double rounding_units() const noexcept {
    const std::size_t n = std::max<std::size_t>(in(), 1), group = std::min(group_size(), n);
    const std::size_t segments = detail::ceil_div(n, group) + detail::ceil_div(n, block_depth) -
                                 detail::ceil_div(n, std::lcm(group, block_depth));
    return static_cast<double>(std::min(group, block_depth) + segments + 3);
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
  static constexpr std::size_t width = float_panel::width;
  /// Of one row, and of several: expanded, `together` panels take 32 of 48 KB of first-level cache.
  static constexpr std::size_t panels_per_task = 16, together = float_panel::together;
  /// Expanding takes a twentieth of the time of 192 rows, whose sums with 4 panels are 48 KB.
  static constexpr std::size_t rows_per_task = 192, tallest = float_panel::tallest;
  using store = std::variant<byte_panels, nibble_panels>;

  [[nodiscard]] std::size_t panels() const noexcept { return detail::ceil_div(out(), width); }
  [[nodiscard]] std::size_t group_size() const noexcept {
    return std::visit([](const auto& s) { return s.group_size(); }, store_);
  }

  struct task_shape {
    std::size_t rows, panels;
  };
  /// Whole tiles of rows, of about equal height; smaller pieces where they are too few for the threads.
  [[nodiscard]] task_shape tasks_for(std::size_t m, std::size_t threads) const noexcept {
    using detail::ceil_div;
    const std::size_t tiles = ceil_div(m, tallest), wanted = threads == 1 ? 1 : 2 * threads;
    std::size_t blocks = ceil_div(m, rows_per_task), count = together;
    while (count > 1 && blocks * ceil_div(panels(), count) < wanted) count /= 2;
    blocks = std::clamp(ceil_div(wanted, ceil_div(panels(), count)), blocks, tiles);
    return {ceil_div(tiles, blocks) * tallest, count};
  }

  /// All inputs of output j.
  void expand_row(std::size_t j, std::span<float> w) const noexcept {
    for (std::size_t k = 0; k < in(); ++k)
      w[k] = dequantize(weight_code(j, k), weight_params(j, k));
  }

  /// Few rows, in tasks of panels_per_task panels: they stay in the second-level cache for the next
  /// row. Several threads each take a run of smaller ones.
  template <class Executor>
  void multiply_rows(matrix_view<const float> x, matrix_view<float> y, const Executor& ex) const {
    const std::size_t step = ex.concurrency() == 1 ? panels_per_task : panels_per_task / 2;
    const auto some_panels = [&](std::size_t task) {
      const std::size_t first = task * step, count = std::min(step, panels() - first);
      alignas(64) float sum[panels_per_task * width];
      for (std::size_t i = 0; i < x.rows(); ++i) {
        std::visit(
            [&](const auto& s) { s.multiply_row(*panel_, x.row(i).data(), first, count, sum); },
            store_);
        finish(first, count, sum, y.rows_from(i, 1));
      }
    };
    const std::size_t tasks = detail::ceil_div(panels(), step);
    ex.concurrency() == 1 ? ex(tasks, some_panels) : detail::over_runs(ex, tasks, some_panels);
  }
  /// Several rows, all of them over `count` panels expanded by segments.
  void multiply_panels(std::size_t first, std::size_t count, matrix_view<const float> x,
                       matrix_view<float> y) const {
    alignas(64) float w[together * block_depth * width], scale[together * width];
    alignas(64) float sum[rows_per_task * together * width];
    std::fill_n(sum, x.rows() * count * width, 0.0f);
    for (std::size_t k = 0; k < in();) {
      const std::size_t depth = float_panel::segment_end(k, in(), group_size()) - k;
      for (std::size_t p = 0; p < count; ++p) {
        float* to = w + p * depth * width;
        std::visit(
            [&](const auto& s) { s.expand(*panel_, first + p, k, depth, to, scale + p * width); },
            store_);
      }
      panel_->multiply({depth, x.rows(), count, x.data() + k, x.stride(), w, scale, sum});
      k += depth;
    }
    finish(first, count, sum, y);
  }
  /// Sums [rows of y][count][width] of panels first .. first + count plus the bias, to their places.
  void finish(std::size_t first, std::size_t count, const float* sum, matrix_view<float> y) const {
    const std::size_t column = first * width, stride = count * width;
    const std::size_t columns = std::min(stride, out() - column);
    float b[panels_per_task * width] = {};
    for (std::size_t j = 0; j < columns; ++j) b[j] = bias_at(column + j);
    for (std::size_t i = 0; i < y.rows(); ++i) {
      float* to = y.data() + i * y.stride() + column;
      for (std::size_t j = 0; j < columns; ++j) to[j] = sum[i * stride + j] + b[j];
    }
  }

  const kernels::kernel* kernel_;
  const float_panel::variant* panel_;
  store store_;
};

}  // namespace zeropoint::inline ZP_BASELINE
