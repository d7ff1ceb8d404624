// A histogram of a stream in bounded memory, which needs no range beforehand:
//
//   bin b of each side of zero holds b * 2^e <= |x| < (b + 1) * 2^e,   max|x| < 4096 * 2^e
//
// e is the smallest that works. When a larger value arrives, pairs of bins are added up: since
// floor(floor(y) / 2) = floor(y / 2), the counts are those of a histogram that knew the maximum from
// the start, and no order, split or merge changes a bit of it.
#pragma once

#include <zeropoint/base/error.hpp>
#include <zeropoint/math/elementwise.hpp>

#include <utility>
#include <vector>

namespace zeropoint::inline ZP_BASELINE {

/// Counts of the finite values; others are skipped. The bins of a histogram with a value other than
/// zero are at most max|x| / 2048 wide.
class histogram {
 public:
  static constexpr std::size_t bins = 4096;  ///< on each side of zero
  static constexpr int min_exponent = -200,
                       max_exponent = 116;  ///< of zeros only, of the largest float

  histogram() = default;
  /// The histogram with these 2 * bins counts() of bins 2^exponent wide, of which `zeros` in the first
  /// bin right of zero are of the value 0: what exponent(), counts() and zeros() said. Throws `error`
  /// for a state that no stream leads to.
  histogram(int exponent, std::vector<std::uint64_t> counts, std::uint64_t zeros)
      : counts_(std::move(counts)), zeros_(zeros), exponent_(exponent) {
    ZP_REQUIRE(exponent >= min_exponent && exponent <= max_exponent, "histogram: exponent ",
               exponent, ", expected ", min_exponent, " to ", max_exponent);
    ZP_REQUIRE(counts_.size() == 2 * bins, "histogram: ", counts_.size(), " counts, expected ",
               2 * bins);
    for (const std::uint64_t n : counts_) {
      ZP_REQUIRE(n <= std::numeric_limits<std::uint64_t>::max() - count_,
                 "histogram: the counts add up to more than 64 bits");
      count_ += n;
    }
    ZP_REQUIRE(zeros <= counts_[bins], "histogram: ", zeros, " zeros, but ", counts_[bins],
               " values in their bin");
    ZP_REQUIRE(exponent > min_exponent || count_ == zeros,
               "histogram: values other than 0 in bins of the width ", bin_width());
    if (exponent > min_exponent) require_reached();
  }

  void observe(std::span<const float> x) noexcept {
    const float m = elementwise::absmax(x);
    if (m > 0) coarsen(std::ilogb(m) + 1 - bin_bits);
    const double per_bin = std::ldexp(1.0, -exponent_);
    for (const float v : x) {
      const float a = std::fabs(v);
      if (!(a <= std::numeric_limits<float>::max())) continue;
      const auto b = static_cast<std::size_t>(static_cast<double>(a) * per_bin);  // exact product
      ++counts_[v < 0 ? bins - 1 - b : bins + b];
      ++count_;
      zeros_ += a == 0 ? 1 : 0;
    }
  }
  void observe(matrix_view<const float> x) noexcept {
    for (std::size_t i = 0; i < x.rows(); ++i) observe(x.row(i));
  }
  void merge(const histogram& other) noexcept {
    coarsen(other.exponent_);
    const int shift = std::min(exponent_ - other.exponent_, 31);
    for (std::size_t b = 0; b < bins; ++b) {
      counts_[bins + (b >> shift)] += other.counts_[bins + b];
      counts_[bins - 1 - (b >> shift)] += other.counts_[bins - 1 - b];
    }
    count_ += other.count_;
    zeros_ += other.zeros_;
  }

  /// 2 * bins counts from left to right: element i holds values from edge(i) to edge(i + 1).
  [[nodiscard]] std::span<const std::uint64_t> counts() const noexcept { return counts_; }
  [[nodiscard]] double edge(std::size_t i) const noexcept {
    return (static_cast<double>(i) - static_cast<double>(bins)) * bin_width();
  }
  [[nodiscard]] int exponent() const noexcept { return exponent_; }
  [[nodiscard]] double bin_width() const noexcept { return std::ldexp(1.0, exponent_); }
  /// The element of counts() for v, which is finite and below bins * bin_width().
  [[nodiscard]] std::size_t bin_of(float v) const noexcept {
    const auto b =
        static_cast<std::size_t>(std::ldexp(static_cast<double>(std::fabs(v)), -exponent_));
    return v < 0 ? bins - 1 - b : bins + b;
  }
  /// Values with b * bin_width() <= |x| < (b + 1) * bin_width().
  [[nodiscard]] std::uint64_t magnitudes(std::size_t b) const noexcept {
    return counts_[bins + b] + counts_[bins - 1 - b];
  }
  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }  ///< finite values
  [[nodiscard]] std::uint64_t zeros() const noexcept { return zeros_; }  ///< values equal to 0
  friend bool operator==(const histogram&, const histogram&) = default;

 private:
  static constexpr int bin_bits = 12;
  static_assert(bins == std::size_t{1} << bin_bits);

  /// Throws unless the bins are the narrowest that hold the largest value, and all of them have floats.
  void require_reached() const {
    bool outer = false;
    for (std::size_t b = bins / 2; b < bins; ++b) outer = outer || magnitudes(b) != 0;
    ZP_REQUIRE(outer, "histogram: bins of the width ", bin_width(), ", but no value from ",
               static_cast<double>(bins / 2) * bin_width(), " on; expected narrower bins");
    constexpr int finest = std::numeric_limits<float>::min_exponent -
                           std::numeric_limits<float>::digits;  // floats are multiples of 2^-149
    if (exponent_ > finest) return;
    const std::uint64_t step = std::uint64_t{1} << (finest - exponent_);
    for (std::size_t b = 0; b < bins; ++b) {
      const std::uint64_t zeros = b == 0 ? zeros_ : 0;
      ZP_REQUIRE((b != 0 && b % step == 0) || magnitudes(b) == zeros, "histogram: ", magnitudes(b),
                 " values in bin ", b, " of the width ", bin_width(), ", expected ", zeros,
                 ": it holds no other float");
    }
  }

  /// Bins of width 2^exponent, if they are narrower now.
  void coarsen(int exponent) noexcept {
    if (exponent <= exponent_) return;
    const int shift = std::min(exponent - exponent_, 31);
    for (std::size_t b = 1; b < bins; ++b) {
      for (const bool negative : {false, true}) {
        const auto at = [&](std::size_t i) { return negative ? bins - 1 - i : bins + i; };
        const std::uint64_t moved = std::exchange(counts_[at(b)], 0);
        counts_[at(b >> shift)] += moved;
      }
    }
    exponent_ = exponent;
  }

  std::vector<std::uint64_t> counts_ = std::vector<std::uint64_t>(2 * bins, 0);
  std::uint64_t count_ = 0, zeros_ = 0;
  int exponent_ = min_exponent;
};

}  // namespace zeropoint::inline ZP_BASELINE
