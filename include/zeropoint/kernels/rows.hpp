// The contract between the row loops of math/elementwise.hpp and an instruction set: ranges, codes
// and values of one row, without -march. Every function gives bit for bit what the baseline loop
// gives (quantizer, dequantize), at every length and alignment of a float, and touches nothing outside.
//
//   rows_avx512.hpp, rows_avx2.hpp     the two sets of loops there are
//   rows() of row_registry.hpp         the one for this processor, or null: stay with the baseline
//
// The environment variable ZP_KERNEL lowers these with the multiplication: "avx2" keeps 512-bit
// registers out of both, "sse41" and "scalar" give the baseline loop.
#pragma once

#include <zeropoint/base/cpu.hpp>
#include <zeropoint/kernels/activation.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>

namespace zeropoint::inline ZP_BASELINE {
namespace kernels {

/// What a quantization met at the ends of its grid (math/statistics.hpp, range_counts).
struct range_events {
  std::uint64_t low = 0, high = 0, nan = 0, infinite = 0;
};
constexpr void add(const range_events& from, range_events& to) noexcept {
  to.low += from.low, to.high += from.high, to.nan += from.nan, to.infinite += from.infinite;
}

// Division without dividing: x * (inverse * 2^16) + offset, one fma, converted to an integer v, is so
// near to 2^16 times the correctly rounded quotient q, counted from the low end of the grid, that the high
// word of v is q - low rounded, unless the low word says that q may be near a tie. The block of such an
// element is divided.
//
// While |q| <= 256, v is within 3 of its exact value: 1 each for the rounding of the inverse, of q and
// of the fma (or a quarter for the fma and a half for the conversion: above 2^23 a float is an integer).
// One element of random data in 8192 is near a tie. Further out the high word need not be exact, only
// outside the grid on its side. Conversions that overflow (q - low >= 2^15 or < -2^15, infinities, NaN)
// give -2^31. What is near a tie has the largest low words and what is outside the largest high ones,
// so the maximum of both words over many v says at once whether anything is odd.
struct fast_division {
  static constexpr float one = 0x1p16f,
                         half = 0x1p15f - 4;  ///< the middle of what is near a tie is 0xfffc
  static constexpr std::int32_t largest_sure = 0xfff7;  ///< low words above: near a tie
};

/// Asks for a line of values that a loop over rows in memory reads three or so short rows later.
ZP_ALWAYS_INLINE void fetch_behind_row(const float* x, std::size_t bytes) {
  __builtin_prefetch(reinterpret_cast<const char*>(x) + 9216 + bytes, 0, 2);
}

/// The largest finite float as an integer: |x| above it is infinite or NaN.
inline constexpr std::int32_t largest_finite = 0x7f7fffff;

/// codes[i] = clamp(round(x[i] / scale), low, high) + zero_point, ties to even, NaN as 0.
struct quantize_job {
  const float* x = nullptr;
  std::size_t n = 0;
  float scale = 1;                 ///< normal and positive
  bool divide = true;              ///< false: x * inverse in place of x / scale
  float inverse = 1;               ///< 1 / scale, rounded once
  std::int32_t low = 0, high = 0;  ///< steps from real zero, low <= 0 <= high, 255 apart at most
  std::int32_t zero_point = 0;     ///< low + zero_point .. high + zero_point fit the codes
  bool is_signed = true;
  void* codes = nullptr;           ///< int8 or uint8 [n]
  range_events* events = nullptr;  ///< added to when not null
  bool from_memory = false;        ///< so are the rows behind: worth asking for them early

  /// What a fast division multiplies by: inverse * 2^16. Infinity, which makes every value take the
  /// true division, where the inverse is denormal.
  [[nodiscard]] constexpr float fast_factor() const noexcept {
    return inverse < std::numeric_limits<float>::min() ? std::numeric_limits<float>::infinity()
                                                       : inverse * fast_division::one;
  }
  /// What it adds: half a step, and the steps below zero, so that the low end of the grid is 0.
  [[nodiscard]] constexpr float fast_offset() const noexcept {
    return fast_division::half - fast_division::one * static_cast<float>(low);
  }
};

/// What codes did to their values, summed in the fixed shape of math/statistics.hpp: element i in
/// lane i mod 8, every lane in the order of its elements.
struct damage_sums {
  double signal[8] = {}, rounding[8] = {}, clipping[8] = {};
  float max[8] = {};
  range_events events;
  std::uint64_t underflow = 0;
  std::uint8_t levels[32] = {};  ///< bit c % 8 of byte c / 8: the code c, as a byte, occurred
};

/// Adds the damage of codes[i] to x[i], i < n < 2^32: error = float(x - scale * (code - zero_point)).
struct damage_job {
  const float* x = nullptr;
  std::size_t n = 0;
  const void* codes = nullptr;
  bool is_signed = true;
  bool divide = true;  ///< as in quantize_job
  float scale = 1, inverse = 1;
  std::int32_t zero_point = 0;
  float low_edge = 0, high_edge = 0;  ///< x / scale (x * inverse) beyond these is clipped
  damage_sums* sums = nullptr;
};

/// Adds the codes of which a bit is set to the levels of s.
ZP_NOINLINE inline void insert_levels(const std::uint8_t* codes, std::uint64_t which,
                                      damage_sums& s) noexcept {
  for (; which != 0; which &= which - 1) {
    const std::uint8_t code = codes[std::countr_zero(which)];
    s.levels[code / 8] = static_cast<std::uint8_t>(s.levels[code / 8] | 1u << code % 8);
  }
}

/// Smallest and largest finite value; {+inf, -inf} when there is none.
struct float_range {
  float min = 0, max = 0;
  /// No end is an infinity that was met; {+inf, -inf}, nothing met but NaN, is as good.
  [[nodiscard]] constexpr bool is_of_finite_values() const noexcept {
    constexpr float most = std::numeric_limits<float>::max();
    return min > max || (min >= -most && max <= most);
  }
};

/// Values of which a damage_job's division need not be asked: [min, max] lies inside the grid by more
/// than x / scale and x * inverse can be wrong, 2^-20 of its ends (an inverse may be denormal). An end
/// beyond all floats becomes the largest one, without a margin: its inverse is rounded to at most
/// tie * 2^-128, and no float times that exceeds tie * (1 - 2^-24).
[[nodiscard]] constexpr float_range surely_kept(const damage_job& j) noexcept {
  constexpr float within = 1 - 0x1p-20f, most = std::numeric_limits<float>::max();
  const float low = j.low_edge * j.scale * within, high = j.high_edge * j.scale * within;
  return {low < -most ? -most : low, high > most ? most : high};
}

/// x[i] = scale * float(codes[i] - zero_point).
struct dequantize_job {
  const void* codes = nullptr;
  bool is_signed = true;
  std::size_t n = 0;
  float scale = 1;
  std::int32_t zero_point = 0;
  float* x = nullptr;
};

/// The row loops of one instruction set.
struct row_loops {
  const char* name = nullptr;  ///< how names of kernels begin that it goes with
  const char* also = nullptr;  ///< the same, or null
  isa needs = isa::baseline;
  float (*absmax)(const float* x, std::size_t n) = nullptr;  ///< of the finite values, 0 without
  float_range (*min_max)(const float* x, std::size_t n) = nullptr;  ///< zeros may have any sign
  void (*quantize)(const quantize_job&) = nullptr;
  void (*dequantize)(const dequantize_job&) = nullptr;
  void (*damage)(const damage_job&) = nullptr;
  void (*activate)(const activation_job&) = nullptr;
};

/// Of `loops`, best first: the one for a kernel of that name (null or empty: the best that runs
/// here), or null.
[[nodiscard]] inline const row_loops* choose_rows(std::span<const row_loops* const> loops,
                                                  const char* kernel) noexcept {
  const std::string_view name = kernel == nullptr ? "" : kernel;
  for (const row_loops* r : loops) {
    const bool goes_with = name.empty() || name.starts_with(r->name) ||
                           (r->also != nullptr && name.starts_with(r->also));
    if (goes_with && contains(cpu_features(), r->needs)) return r;
  }
  return nullptr;
}

}  // namespace kernels
}  // namespace zeropoint::inline ZP_BASELINE
