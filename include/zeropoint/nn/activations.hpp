// What the integer layers do with their activations before the product, and what they count while
// they do it.
//
//   codes(i, k) = quantize(x(i, k), params of the row, of the whole x, or fixed beforehand)
//
// A value is counted when its rounded code lies outside the grid (math/statistics.hpp). Only rows, or
// blocks of 64 values, that were clipped are looked at twice.
#pragma once

#include <zeropoint/base/scratch.hpp>
#include <zeropoint/math/quantize.hpp>

#include <mutex>

namespace zeropoint::inline ZP_BASELINE {

/// Which activations share one scale: per_tensor (all rows of a call) or per_token (each row).
class activation_granularity {
 public:
  constexpr activation_granularity(per_tensor_t) noexcept : is_per_token_(false) {}  // NOLINT
  constexpr activation_granularity(per_channel_t<axis::rows>) noexcept               // NOLINT
      : is_per_token_(true) {}
  [[nodiscard]] constexpr bool is_per_token() const noexcept { return is_per_token_; }

 private:
  bool is_per_token_;
};

/// Activations a layer could not represent: counts are sums, max_excess is a maximum, so nothing
/// here depends on threads or on the order of calls.
struct activation_counts : range_counts {
  float max_excess = 0;  ///< largest distance of a clipped finite value beyond the grid's end

  /// Finite values that were clipped, and infinities.
  [[nodiscard]] constexpr std::uint64_t outside() const noexcept { return clipped() + infinite; }
  /// Share of all activations; 0 when there were none.
  [[nodiscard]] constexpr double outside_fraction() const noexcept {
    return count == 0 ? 0.0 : static_cast<double>(outside()) / static_cast<double>(count);
  }
  constexpr activation_counts& merge(const activation_counts& other) noexcept {
    range_counts::merge(other);
    max_excess = max_excess < other.max_excess ? other.max_excess : max_excess;
    return *this;
  }
  friend constexpr bool operator==(const activation_counts&, const activation_counts&) = default;
};

namespace detail {

/// Collects activation_counts, as range_counter collects range_counts.
class activation_counter {
 public:
  using result_type = activation_counts;

  template <class T, class Rounding>
  void add(const float* x, const float* steps, const T* codes, std::size_t n, bool clean,
           const quantizer<Rounding>& q) noexcept {
    range_.add(x, steps, codes, n, clean, q);
    if (!clean) see_excess({x, n}, q);
  }
  /// What somebody else counted in x.
  template <class Rounding>
  void add(const range_counts& seen, std::span<const float> x,
           const quantizer<Rounding>& q) noexcept {
    range_.add(seen, x, q);
    if (seen.clipped() != 0) see_excess(x, q);
  }
  [[nodiscard]] activation_counts result() const noexcept { return {range_.result(), max_excess_}; }

 private:
  /// Of the finite values the outermost has the largest excess.
  template <class Rounding>
  void see_excess(std::span<const float> x, const quantizer<Rounding>& q) noexcept {
    const value_range grid = q.parameters().representable(), seen = elementwise::min_max(x);
    if (q.scaled(seen.min) < q.low_edge()) raise(grid.min - seen.min);
    if (q.scaled(seen.max) > q.high_edge()) raise(seen.max - grid.max);
  }
  void raise(float excess) noexcept { max_excess_ = excess > max_excess_ ? excess : max_excess_; }

  range_counter range_;
  float max_excess_ = 0;
};

/// Counts (activation_counts or others with merge()) that concurrent calls of one layer may merge
/// into; a copy has its own.
template <class Counts>
class shared_counts {
 public:
  shared_counts() = default;
  shared_counts(const shared_counts& other) : counts_(other.read()) {}
  shared_counts& operator=(const shared_counts& other) {
    const Counts copy = other.read();
    const std::lock_guard lock(mutex_);
    counts_ = copy;
    return *this;
  }
  void merge(const Counts& counts) {
    const std::lock_guard lock(mutex_);
    counts_.merge(counts);
  }
  [[nodiscard]] Counts read() const {
    const std::lock_guard lock(mutex_);
    return counts_;
  }
  void reset() {
    const std::lock_guard lock(mutex_);
    counts_ = {};
  }

 private:
  mutable std::mutex mutex_;
  Counts counts_;
};

/// Codes of x and their params; one per row or one for all.
template <class T>
struct activation_codes {
  static constexpr std::size_t few = 16;         ///< blocks that cost no allocation
  scratch bytes;                                 ///< of the codes
  matrix_view<T> codes;                          ///< [m, in]
  scratch_array<float, few> scales;              ///< 1 or m
  scratch_array<std::int32_t, few> zero_points;  ///< none, 1 or m

  activation_codes(matrix_view<const float> x, std::size_t blocks, const scheme& s)
      : bytes(x.size() * sizeof(T)),
        codes(reinterpret_cast<T*>(bytes.data()), x.rows(), x.cols()),
        scales(blocks, 1.0f),
        zero_points(s.is_symmetric() && s.middle() == 0 ? 0 : blocks, s.middle()) {}

  /// Fills everything (Fit) or the codes by the params that are there; returns the counts.
  template <bool Fit, class Executor>
  activation_counts fill(matrix_view<const float> x, block_shape block, const scheme& s,
                         const Executor& ex) {
    scratch_array<activation_counts, few> parts(scales.size());
    const params_view table{block, s, scales.span(), zero_points.span()};
    quantize_blocks<Fit, activation_counter>(x, table, codes, parts.span(), ex, rounding<>{});
    activation_counts all;
    for (const activation_counts& part : parts.span()) all.merge(part);
    return all;
  }
};

/// The params that fit the finite values of x, one value after another: for the twins, which share
/// no loop with the layers.
[[nodiscard]] inline params plain_fit(matrix_view<const float> x, const scheme& s) {
  value_range range;  // fit() widens to zero anyway
  for (std::size_t i = 0; i < x.rows(); ++i) {
    for (const float v : x.row(i)) {
      if (!std::isfinite(v)) continue;
      range.min = v < range.min ? v : range.min;
      range.max = v > range.max ? v : range.max;
    }
  }
  return fit(range, s);
}

/// dequantize(quantize(x)), value by value, into `to` [x.rows(), x.cols()].
inline void fake_quantize(matrix_view<const float> x, const params& p, float* to) {
  for (std::size_t i = 0; i < x.rows(); ++i) {
    for (const float v : x.row(i)) *to++ = dequantize(quantize(v, p), p);
  }
}

}  // namespace detail
}  // namespace zeropoint::inline ZP_BASELINE
