// LLM.int8() (arXiv 2208.07339): input channels with an outlier are multiplied in float, the rest as
// dynamic W8A8, a scale per token.
//
//   O = columns k of x with any |x(i, k)| >= threshold in this call
//   y = W8A8(x without O) + x(:, O) * W(:, O)^T
//
// The float part uses the original weights, which this layer keeps: 4 bytes a weight beside the one
// of int8. bitsandbytes multiplies dequantized int8 weights instead, which costs no memory but puts
// the rounding error of the weights, times the largest activations there are, into the output: the
// paper has the weights of outliers in 16 bits. Which columns are outliers depends on all rows of a
// call, so a row's result depends on its batch mates; so it does in the paper.
#pragma once

#include <zeropoint/base/scratch.hpp>
#include <zeropoint/nn/float_panel.hpp>
#include <zeropoint/nn/integer_linear.hpp>

#include <algorithm>
#include <optional>
#include <utility>

namespace zeropoint::inline ZP_BASELINE {

struct outlier_linear_options {
  float threshold = 6;  ///< > 0; +infinity: only NaN and infinities are outliers
  scheme activations = symmetric;
  weight_granularity granularity = per_output_channel;  ///< or per_tensor; not per_group
  scheme weights = symmetric;
  const kernels::kernel* kernel = &kernels::best();
};

/// What outlier_linear did: sums over calls.
struct outlier_counts {
  std::uint64_t calls = 0;
  std::uint64_t columns = 0;  ///< columns multiplied in float
  std::uint64_t values = 0;   ///< activations at or beyond the threshold, or not finite
  constexpr outlier_counts& merge(const outlier_counts& other) noexcept {
    calls += other.calls, columns += other.columns, values += other.values;
    return *this;
  }
  friend constexpr bool operator==(const outlier_counts&, const outlier_counts&) = default;
};

class outlier_linear : public integer_linear {
 public:
  /// w [out, in] or [in, out] by its type, bias [out] or empty. Throws `error` for a threshold that
  /// is not above 0, and for what dynamic_linear throws.
  template <weight Weight>
  explicit outlier_linear(const Weight& w, std::span<const float> bias = {},
                          const outlier_linear_options& options = {})
      : integer_linear(quantized_weight(w, options.granularity, options.weights), bias,
                       options.activations, *options.kernel),
        threshold_(options.threshold),
        panel_(&float_panel::choose(options.kernel->needs)),
        floats_(panels() * in() * width) {
    ZP_REQUIRE(threshold_ > 0, "outlier_linear: threshold ", threshold_, ", expected above 0");
    for (std::size_t j = 0; j < out(); ++j) {
      for (std::size_t k = 0; k < in(); ++k) {
        float_at(j, k) = Weight::output == axis::rows ? w.values(j, k) : w.values(k, j);
      }
    }
  }

  /// y [m, out] from x [m, in]. NaN and infinities are outliers: they propagate as IEEE says. The
  /// scale of a row comes from its elements outside O (bitsandbytes also uses the small elements of
  /// outlier columns, which its int8 product then leaves out). counts() tells of the int8 part, in
  /// which outlier columns are zeros. Without outliers the same bits as dynamic_linear.
  template <executor Executor = serial>
  void operator()(matrix_view<const float> x, matrix_view<float> y, const Executor& ex = {}) const {
    require_shapes(x, y);
    const split parts(x, threshold_);
    outliers_.merge({1, parts.columns.size(), parts.values});
    run(parts.rest, y, blocks_of(x, per_token), nullptr, ex);
    if (parts.columns.empty() || y.empty()) return;
    ex(panels(), [&](std::size_t p) { add_outliers(p, parts, y); });
  }

  /// The twin (simulation.hpp): int8 part and float part apart, each summed in double.
  template <executor Executor = serial>
  void simulate(matrix_view<const float> x, const simulated& result,
                const Executor& ex = {}) const {
    require_shapes(x, result.y);
    const split parts(x, threshold_);
    simulate_dynamic(parts.rest, 1, result, ex);
    aligned_buffer<float> y(result.y.size()), magnitude(result.y.size());
    const simulated floats{{y.data(), x.rows(), out()}, {magnitude.data(), x.rows(), out()}};
    detail::simulate_product(
        parts.outliers(), {},
        [&](std::size_t j, std::span<float> w) {
          for (std::size_t c = 0; c < w.size(); ++c) w[c] = float_at(j, parts.columns[c]);
        },
        floats, ex);
    for (std::size_t i = 0; i < x.rows(); ++i) {
      for (std::size_t j = 0; j < out(); ++j) {
        result.y(i, j) += floats.y(i, j);
        if (!result.magnitude.empty()) result.magnitude(i, j) += floats.magnitude(i, j);
      }
    }
  }
  template <executor Executor = serial>
  void simulate(matrix_view<const float> x, matrix_view<float> y, const Executor& ex = {}) const {
    simulate(x, simulated{y, {}}, ex);
  }
  /// As integer_linear's, plus the float part (chains of fmas and their sums) and the final sum on both
  /// sides.
  [[nodiscard]] double rounding_units() const noexcept {
    const std::size_t blocks = (in() + depth - 1) / depth;
    return integer_linear::rounding_units() +
           static_cast<double>(std::min(in(), depth) + blocks + 3);
  }

  [[nodiscard]] float threshold() const noexcept { return threshold_; }
  [[nodiscard]] outlier_counts outliers() const { return outliers_.read(); }
  void reset_outliers() { outliers_.reset(); }
  /// Bytes in memory and in a file: the int8 weights and the float ones.
  [[nodiscard]] std::size_t weight_bytes() const noexcept {
    return integer_linear::weight_bytes() + floats_.size() * sizeof(float);
  }
  [[nodiscard]] std::size_t stored_bytes() const noexcept {
    return integer_linear::stored_bytes() + in() * out() * sizeof(float);
  }

 private:
  static constexpr std::size_t width = float_panel::width, depth = float_panel::block_depth;

  /// x in two: the outlier columns gathered, the others with zeros in their place.
  struct split {
    detail::row_scratch counts;
    std::span<const std::uint32_t> columns;
    std::uint64_t values = 0;
    std::optional<detail::row_scratch> floats;  ///< only when there are outliers:
    const float* gathered = nullptr;            ///< [m, columns.size()]
    matrix_view<const float> rest;              ///< x, or [m, in]

    split(matrix_view<const float> x, float threshold)
        : counts(x.cols() * sizeof(std::uint32_t)), rest(x) {
      const std::span<std::uint32_t> beyond(counts.as<std::uint32_t>(), x.cols());
      std::fill(beyond.begin(), beyond.end(), 0u);
      for (std::size_t i = 0; i < x.rows(); ++i) {
        const float* row = x.row(i).data();
        for (std::size_t k = 0; k < beyond.size(); ++k) {
          beyond[k] += is_outlier(row[k], threshold) ? 1 : 0;
        }
      }
      std::size_t found = 0;  // columns take the place of counts that have been read
      for (std::size_t k = 0; k < beyond.size(); ++k) {
        const std::uint32_t count = beyond[k];
        if (count != 0) beyond[found++] = static_cast<std::uint32_t>(k);
        values += count;
      }
      columns = beyond.first(found);
      if (found == 0) return;
      floats.emplace((x.cols() + found) * x.rows() * sizeof(float));
      float* const zeroed = floats->as<float>();
      float* const outliers = zeroed + x.size();
      for (std::size_t i = 0; i < x.rows(); ++i) {
        float* to = zeroed + i * x.cols();
        std::copy_n(x.row(i).data(), x.cols(), to);
        for (std::size_t c = 0; c < found; ++c) {
          outliers[i * found + c] = std::exchange(to[columns[c]], 0.0f);
        }
      }
      gathered = outliers;
      rest = {zeroed, x.rows(), x.cols()};
    }
    [[nodiscard]] static bool is_outlier(float v, float threshold) noexcept {
      return !(std::fabs(v) < threshold);  // NaN too
    }
    [[nodiscard]] matrix_view<const float> outliers() const {
      return {gathered, rest.rows(), columns.size()};
    }
  };

  [[nodiscard]] std::size_t panels() const noexcept { return (out() + width - 1) / width; }
  [[nodiscard]] float& float_at(std::size_t j, std::size_t k) noexcept {
    return floats_[(j / width * in() + k) * width + j % width];
  }
  [[nodiscard]] float float_at(std::size_t j, std::size_t k) const noexcept {
    return floats_[(j / width * in() + k) * width + j % width];
  }

  /// y += the outliers' part of panel p, in blocks of `depth` columns.
  void add_outliers(std::size_t p, const split& parts, matrix_view<float> y) const {
    const matrix_view<const float> x = parts.outliers();
    detail::scratch memory(x.rows() * width * sizeof(float));
    float* const sum = memory.as<float>();
    std::fill_n(sum, x.rows() * width, 0.0f);
    alignas(64) float w[depth * width], ones[width];
    std::fill_n(ones, width, 1.0f);
    for (std::size_t first = 0; first < x.cols(); first += depth) {
      const std::size_t count = std::min(depth, x.cols() - first);
      for (std::size_t c = 0; c < count; ++c) {
        const std::size_t k = parts.columns[first + c];
        std::copy_n(floats_.data() + (p * in() + k) * width, width, w + c * width);
      }
      panel_->multiply({count, x.rows(), 1, x.data() + first, x.stride(), w, ones, sum});
    }
    const std::size_t column = p * width, count = std::min(width, out() - column);
    for (std::size_t i = 0; i < y.rows(); ++i) {
      float* to = y.data() + i * y.stride() + column;
      for (std::size_t j = 0; j < count; ++j) to[j] += sum[i * width + j];
    }
  }

  float threshold_;
  const float_panel::variant* panel_;
  aligned_buffer<float> floats_;  ///< original weights [panels][in][width]
  mutable detail::shared_counts<outlier_counts> outliers_;
};

}  // namespace zeropoint::inline ZP_BASELINE
