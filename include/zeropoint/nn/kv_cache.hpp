// An int8 cache of the keys and values of one attention head: a scale per token.
//
//   scale_t = max |x_t| / 127,   code_tj = round(x_tj / scale_t)
//
// KIVI (arXiv 2402.02750) and KVQuant (arXiv 2401.18079) give keys a scale per channel instead, since
// their outliers sit in channels. Such scales are known only when later tokens have come, so both keep
// the newest tokens in 16 bits. They need it for 2 to 4 bits; at 8, a token can be coded as it
// arrives and is never touched again: no result depends on what comes after it.
#pragma once

#include <zeropoint/math/quantize.hpp>

#include <vector>

namespace zeropoint::inline ZP_BASELINE {

/// Rows of `width` floats as they arrive, each as int8 codes and a scale. NaN becomes 0 and an
/// infinity the end of the grid that the finite values of its row span; statistics() counts both.
class cached_rows {
 public:
  explicit cached_rows(std::size_t width) : width_(width) {}

  /// The same codes, scales and statistics however the rows are divided into calls.
  void append(matrix_view<const float> x) {
    ZP_REQUIRE(x.cols() == width_, "kv_cache: rows of ", x.cols(), " values, expected ", width_);
    const std::size_t first = rows();
    codes_.resize((first + x.rows()) * width_);
    scales_.resize(first + x.rows());
    for (std::size_t i = 0; i < x.rows(); ++i) {
      const float largest = elementwise::absmax(x.row(i));
      const params p = fit({-largest, largest}, symmetric);
      scales_[first + i] = p.scale;
      quantize_row(x.row(i), p, std::span(codes_).subspan((first + i) * width_, width_),
                   statistics_);
    }
  }
  /// Room for so many rows: until there are more, append() does not allocate.
  void reserve(std::size_t rows) {
    codes_.reserve(rows * width_);
    scales_.reserve(rows);
  }
  /// x [rows, width] as it comes back out of the cache.
  void dequantize(matrix_view<float> x) const {
    ZP_REQUIRE(x.rows() == rows() && x.cols() == width_, "kv_cache: ", rows(), " x ", width_,
               " values into ", x.rows(), " x ", x.cols());
    dequantize_from(0, x);
  }
  /// Of those, as many as x has from row `first` on.
  void dequantize_from(std::size_t first, matrix_view<float> x) const {
    ZP_REQUIRE(first <= rows() && x.rows() <= rows() - first && x.cols() == width_,
               "kv_cache: ", rows(), " x ", width_, " values from row ", first, " into ", x.rows(),
               " x ", x.cols());
    for (std::size_t i = 0; i < x.rows(); ++i) {
      elementwise::dequantize_row(codes().row(first + i).data(), width_, scales_[first + i], 0,
                                  x.row(i).data());
    }
  }

  [[nodiscard]] std::size_t rows() const noexcept { return scales_.size(); }
  [[nodiscard]] std::size_t width() const noexcept { return width_; }
  /// [rows, width], -127 .. 127. Views and spans last until the next append().
  [[nodiscard]] matrix_view<const std::int8_t> codes() const {
    return {codes_.data(), rows(), width_};
  }
  [[nodiscard]] std::span<const float> scales() const noexcept { return scales_; }
  /// What the rounding of all rows so far cost.
  [[nodiscard]] const quantization_statistics& statistics() const noexcept { return statistics_; }

 private:
  std::size_t width_;
  std::vector<std::int8_t> codes_;
  std::vector<float> scales_;
  quantization_statistics statistics_;
};

/// Keys and values of one head; `width` values each per token.
struct kv_cache {
  explicit kv_cache(std::size_t width) : keys(width), values(width) {}

  /// The keys and values [tokens, width] of the next tokens.
  void append(matrix_view<const float> k, matrix_view<const float> v) {
    ZP_REQUIRE(k.rows() == v.rows() && k.cols() == v.cols(), "kv_cache: keys of ", k.rows(), " x ",
               k.cols(), ", values of ", v.rows(), " x ", v.cols());
    keys.append(k);
    values.append(v);
  }
  /// Room for so many tokens.
  void reserve(std::size_t tokens) {
    keys.reserve(tokens);
    values.reserve(tokens);
  }
  [[nodiscard]] std::size_t tokens() const noexcept { return keys.rows(); }
  /// 2 (width + 4) a token; 8 width in float.
  [[nodiscard]] std::size_t bytes() const noexcept {
    return 2 * tokens() * (keys.width() + sizeof(float));
  }

  cached_rows keys, values;
};

}  // namespace zeropoint::inline ZP_BASELINE
