// What a quantization did to the values: how many it clipped, what clipping and rounding cost, and
// what it met that was not a number.
//
//   error = x - scale * (q - zero_point),   energy = sum of squares,   SQNR = signal / error energy
//
// The sums have a fixed shape: element i of a run goes to lane i mod 8, each lane is a double, the
// lanes are added pairwise at the end of the run, runs are merged in the caller's order. Every
// product is exact in double, so that a fused multiply-add changes nothing: the same bits from
// every compiler, instruction set and number of threads.
#pragma once

#include <zeropoint/kernels/rows.hpp>
#include <zeropoint/math/level_set.hpp>
#include <zeropoint/math/rounding.hpp>

#include <array>
#include <cmath>
#include <span>

namespace zeropoint::inline ZP_BASELINE {

/// The damage of one quantization. Values that are not finite are counted and otherwise left out:
/// they enter no energy and are not `clipped`.
struct quantization_statistics {
  std::uint64_t count = 0;         ///< values seen, of any kind
  std::uint64_t clipped_low = 0;   ///< finite, and the rounded code was below qmin
  std::uint64_t clipped_high = 0;  ///< finite, and the rounded code was above qmax
  std::uint64_t nan = 0;           ///< became real zero
  std::uint64_t infinite = 0;      ///< became qmin or qmax
  std::uint64_t underflow = 0;     ///< not zero, not clipped, and became real zero
  double clipping_error = 0;       ///< sum of squared errors of the clipped values
  double rounding_error = 0;       ///< sum of squared errors of all other finite values
  double signal = 0;               ///< sum of squares of all finite values
  double max_error = 0;            ///< largest |error| of a finite value
  level_set levels;                ///< codes that occurred

  [[nodiscard]] constexpr std::uint64_t clipped() const noexcept {
    return clipped_low + clipped_high;
  }
  [[nodiscard]] constexpr std::uint64_t finite() const noexcept { return count - nan - infinite; }
  /// Share of all values that was clipped; 0 when there were none.
  [[nodiscard]] constexpr double clipped_fraction() const noexcept {
    return count == 0 ? 0.0 : static_cast<double>(clipped()) / static_cast<double>(count);
  }
  [[nodiscard]] constexpr double error() const noexcept { return clipping_error + rounding_error; }
  /// Mean squared error of the finite values; 0 when there were none.
  [[nodiscard]] constexpr double mse() const noexcept {
    return finite() == 0 ? 0.0 : error() / static_cast<double>(finite());
  }
  /// Signal to quantization noise in decibels; +inf when nothing was lost.
  [[nodiscard]] double sqnr_db() const noexcept {
    if (error() == 0.0) return std::numeric_limits<double>::infinity();
    return 10.0 * std::log10(signal / error());
  }

  /// Adds what `other` saw. Counts do not depend on the order of merges; the last bits of the
  /// energies do, so merge in an order that does not depend on threads.
  constexpr quantization_statistics& merge(const quantization_statistics& other) noexcept {
    count += other.count;
    clipped_low += other.clipped_low;
    clipped_high += other.clipped_high;
    nan += other.nan;
    infinite += other.infinite;
    underflow += other.underflow;
    clipping_error += other.clipping_error;
    rounding_error += other.rounding_error;
    signal += other.signal;
    max_error = max_error < other.max_error ? other.max_error : max_error;
    levels.merge(other.levels);
    return *this;
  }
  friend constexpr bool operator==(const quantization_statistics&,
                                   const quantization_statistics&) = default;
};

/// Merges one after another from the first.
[[nodiscard]] constexpr quantization_statistics total(
    std::span<const quantization_statistics> parts) noexcept {
  quantization_statistics all;
  for (const auto& part : parts) all.merge(part);
  return all;
}

/// What a layer with fixed params counts while it runs: cheap, because only blocks with something
/// to count are looked at again.
struct range_counts {
  std::uint64_t count = 0, clipped_low = 0, clipped_high = 0, nan = 0, infinite = 0;

  [[nodiscard]] constexpr std::uint64_t clipped() const noexcept {
    return clipped_low + clipped_high;
  }
  constexpr range_counts& merge(const range_counts& other) noexcept {
    count += other.count;
    clipped_low += other.clipped_low;
    clipped_high += other.clipped_high;
    nan += other.nan;
    infinite += other.infinite;
    return *this;
  }
  friend constexpr bool operator==(const range_counts&, const range_counts&) = default;
};

/// Counts nothing: the accumulator of a quantization whose damage nobody asked for.
struct no_accumulator {
  struct result_type {
    constexpr void merge(result_type) noexcept {}
  };
  template <class T, class Rounding>
  void add(const float*, const float*, const T*, std::size_t, bool,
           const quantizer<Rounding>&) noexcept {}
  [[nodiscard]] result_type result() const noexcept { return {}; }
};

/// Collects range_counts; its blocks are those of statistics_accumulator.
class range_counter {
 public:
  using result_type = range_counts;

  template <class T, class Rounding>
  void add(const float* x, const float*, const T*, std::size_t n, bool clean,
           const quantizer<Rounding>& q) noexcept {
    counts_.count += n;
    if (clean) return;
    for (std::size_t i = 0; i < n; ++i) {
      const bool nan = x[i] != x[i], infinite = std::fabs(x[i]) > std::numeric_limits<float>::max();
      const float t = q.scaled(x[i]);
      counts_.nan += nan ? 1u : 0u;
      counts_.infinite += infinite ? 1u : 0u;
      counts_.clipped_low += !infinite && t < q.low_edge() ? 1u : 0u;
      counts_.clipped_high += !infinite && t > q.high_edge() ? 1u : 0u;
    }
  }
  /// What somebody else counted in x.
  template <class Rounding>
  void add(const range_counts& seen, std::span<const float>, const quantizer<Rounding>&) noexcept {
    counts_.merge(seen);
  }
  [[nodiscard]] range_counts result() const noexcept { return counts_; }

 private:
  range_counts counts_;
};

/// Collects the statistics of one run, in blocks of 64 elements.
class statistics_accumulator {
 public:
  using result_type = quantization_statistics;
  static constexpr std::size_t block = 64;

  /// One block. `x` and `steps` (what quantizer::steps gave) have 64 elements, zeros from n on;
  /// `codes` has n; `clean` says that every element is finite and unclipped. All blocks of a run
  /// but the last have n = 64.
  template <class T, class Rounding>
  void add(const float* x, const float* steps, const T* codes, std::size_t n, bool clean,
           const quantizer<Rounding>& q) noexcept {
    count_ += n;
    for (std::size_t i = 0; i < n; ++i) seen_[static_cast<std::uint8_t>(codes[i])] = 1;
    any_seen_ = true;
    if (clean) {
      add_clean(x, steps, q.parameters().scale);
    } else {
      add_any(x, steps, n, q);
    }
  }

  /// Sums to add the damage and the codes of n values more to.
  [[nodiscard]] kernels::damage_sums& sums_of(std::size_t n) noexcept {
    count_ += n;
    return sums_;
  }

  /// The statistics of the run so far.
  [[nodiscard]] quantization_statistics result() const noexcept {
    quantization_statistics s;
    s.count = count_;
    s.clipped_low = sums_.events.low;
    s.clipped_high = sums_.events.high;
    s.nan = sums_.events.nan;
    s.infinite = sums_.events.infinite;
    s.underflow = sums_.underflow;
    s.signal = sum(sums_.signal);
    s.rounding_error = sum(sums_.rounding);
    s.clipping_error = sum(sums_.clipping);
    for (float e : sums_.max) s.max_error = s.max_error < e ? e : s.max_error;
    if (any_seen_) s.levels.insert_flags(seen_);
    s.levels.insert_bits(sums_.levels);
    return s;
  }

 private:
  static constexpr std::size_t lanes = 8;

  // scale * steps is exact in double (24 + 8 bits); rounding the difference to float makes its
  // square exact as well.
  static float error(double x, float steps, double scale) noexcept {
    return static_cast<float>(x - scale * static_cast<double>(steps));
  }

  // One simple loop per step: each becomes SIMD on every compiler, one loop for all does not.
  void add_clean(const float* x, const float* steps, float scale) noexcept {
    const auto s = static_cast<double>(scale);
    alignas(64) double value[block], e_wide[block];
    alignas(64) float e[block];
    for (std::size_t i = 0; i < block; ++i) value[i] = static_cast<double>(x[i]);
    for (std::size_t i = 0; i < block; ++i) e[i] = std::fabs(error(value[i], steps[i], s));
    for (std::size_t i = 0; i < block; ++i) e_wide[i] = static_cast<double>(e[i]);
    kernels::damage_sums sums = sums_;  // a copy, which no store below can alias
    for (std::size_t k = 0; k < block; k += lanes) {
      for (std::size_t l = 0; l < lanes; ++l) sums.signal[l] += value[k + l] * value[k + l];
    }
    for (std::size_t k = 0; k < block; k += lanes) {
      for (std::size_t l = 0; l < lanes; ++l) sums.rounding[l] += e_wide[k + l] * e_wide[k + l];
    }
    for (std::size_t k = 0; k < block; k += lanes) {
      for (std::size_t l = 0; l < lanes; ++l)
        sums.max[l] = sums.max[l] < e[k + l] ? e[k + l] : sums.max[l];
    }
    std::int32_t underflow = 0;
    for (std::size_t i = 0; i < block; ++i) {
      underflow +=
          static_cast<std::int32_t>(steps[i] == 0.0f) & static_cast<std::int32_t>(x[i] != 0.0f);
    }
    sums.underflow += static_cast<std::uint64_t>(underflow);
    sums_ = sums;
  }

  // A block with something to count. The lanes are the same, and a zero that add_clean adds for a
  // clipped or missing value changes no sum, so both paths give the same bits.
  template <class Rounding>
  void add_any(const float* x, const float* steps, std::size_t n,
               const quantizer<Rounding>& q) noexcept {
    const auto scale = static_cast<double>(q.parameters().scale);
    for (std::size_t i = 0; i < n; ++i) {
      const std::size_t l = i % lanes;
      if (x[i] != x[i]) {
        ++sums_.events.nan;
        continue;
      }
      if (std::fabs(x[i]) > std::numeric_limits<float>::max()) {
        ++sums_.events.infinite;
        continue;
      }
      const auto value = static_cast<double>(x[i]);
      const float e = error(value, steps[i], scale), t = q.scaled(x[i]);
      const bool low = t<q.low_edge(), high = t> q.high_edge();
      sums_.events.low += low ? 1u : 0u;
      sums_.events.high += high ? 1u : 0u;
      sums_.underflow += !low && !high && steps[i] == 0.0f && x[i] != 0.0f ? 1u : 0u;
      sums_.signal[l] += value * value;
      (low || high ? sums_.clipping : sums_.rounding)[l] +=
          static_cast<double>(e) * static_cast<double>(e);
      sums_.max[l] = sums_.max[l] < std::fabs(e) ? std::fabs(e) : sums_.max[l];
    }
  }

  static double sum(const double (&s)[lanes]) noexcept {
    return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
  }

  std::uint64_t count_ = 0;
  kernels::damage_sums sums_;
  bool any_seen_ = false;
  std::array<std::uint8_t, 256> seen_{};
};

}  // namespace zeropoint::inline ZP_BASELINE
