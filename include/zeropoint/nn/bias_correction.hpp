// Bias correction (arXiv 1906.04721, section 4.2): quantization moves the mean of every output; the
// bias takes that back.
//
//   b' = b + W E[x] - Wq E[x']          x' = x, or the activations as the layer quantizes them
//
// With x' = x this is b - (Wq - W) E[x]. Over the rows that E was taken of, the mean error of every
// output is 0 afterwards, up to rounding, whatever the bits.
#pragma once

#include <zeropoint/nn/weight.hpp>

#include <vector>

namespace zeropoint::inline ZP_BASELINE {

/// E[x] of every column of [tokens, channels]. Summed in double row by row: splits of the rows give
/// the same bits, merging partial sums may change the last ones.
class column_mean {
 public:
  explicit column_mean(std::size_t columns) : sums_(columns, 0.0) {}

  /// A row with NaN or an infinity is skipped as a whole, and counted. Throws `error` when the number
  /// of columns is another.
  void observe(matrix_view<const float> x) {
    ZP_REQUIRE(x.cols() == sums_.size(), "column_mean: ", x.cols(), " columns, expected ",
               sums_.size());
    for (std::size_t i = 0; i < x.rows(); ++i) {
      if (elementwise::count_non_finite(x.row(i)) != 0) {
        ++skipped_;
        continue;
      }
      for (std::size_t j = 0; j < sums_.size(); ++j) sums_[j] += static_cast<double>(x(i, j));
      ++rows_;
    }
  }
  void merge(const column_mean& other) {
    ZP_REQUIRE(other.sums_.size() == sums_.size(), "column_mean: merge of ", sums_.size(), " with ",
               other.sums_.size(), " columns");
    for (std::size_t j = 0; j < sums_.size(); ++j) sums_[j] += other.sums_[j];
    rows_ += other.rows_;
    skipped_ += other.skipped_;
  }
  /// One per column. Throws `error` when no finite row was seen.
  [[nodiscard]] std::vector<double> means() const {
    ZP_REQUIRE(rows_ > 0, "column_mean: no finite row among ", skipped_, ": no mean");
    std::vector<double> means = sums_;
    for (double& m : means) m /= static_cast<double>(rows_);
    return means;
  }
  [[nodiscard]] std::uint64_t rows() const noexcept { return rows_; }  ///< rows in the sums
  [[nodiscard]] std::uint64_t skipped() const noexcept { return skipped_; }
  friend bool operator==(const column_mean&, const column_mean&) = default;

 private:
  std::vector<double> sums_;
  std::uint64_t rows_ = 0, skipped_ = 0;
};

/// b' [out] for a layer of `quantized`, the codes of w. `bias` [out] or empty; `mean` [in] is E[x];
/// `quantized_mean` [in] is the mean of dequantize(quantize(x)), or empty for float activations: a
/// static layer that clips one side more than the other shifts it. Summed in double, rounded once.
/// Throws `error` for shapes that do not match.
template <weight Weight>
[[nodiscard]] std::vector<float> corrected_bias(const Weight& w, const quantized_weight& quantized,
                                                std::span<const float> bias,
                                                std::span<const double> mean,
                                                std::span<const double> quantized_mean = {}) {
  const std::size_t out = w.out(), in = w.in();
  ZP_REQUIRE(quantized.out() == out && quantized.in() == in, "corrected_bias: codes of ",
             quantized.out(), " x ", quantized.in(), " for a weight of ", out, " x ", in);
  if (quantized_mean.empty()) quantized_mean = mean;
  ZP_REQUIRE(mean.size() == in && quantized_mean.size() == in, "corrected_bias: means of ",
             mean.size(), " and ", quantized_mean.size(), " channels, expected ", in);
  ZP_REQUIRE(bias.empty() || bias.size() == out, "corrected_bias: ", bias.size(),
             " bias values, expected 0 or ", out);
  std::vector<float> corrected(out);
  for (std::size_t j = 0; j < out; ++j) {
    double b = bias.empty() ? 0.0 : static_cast<double>(bias[j]);
    for (std::size_t k = 0; k < in; ++k) {
      const float exact = Weight::output == axis::rows ? w.values(j, k) : w.values(k, j);
      const float rounded = dequantize(quantized.code(j, k), quantized.params_at(j, k));
      b += static_cast<double>(exact) * mean[k] - static_cast<double>(rounded) * quantized_mean[k];
    }
    corrected[j] = static_cast<float>(b);
  }
  return corrected;
}

}  // namespace zeropoint::inline ZP_BASELINE
