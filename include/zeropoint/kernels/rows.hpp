// The contract between the row loops of math/elementwise.hpp and an instruction set: ranges, codes
// and values of one row, without -march. Every function gives bit for bit what the baseline loop
// gives (quantizer, dequantize), at every length and alignment, and touches nothing outside its row.
//
//   rows_avx512.hpp, rows_avx2.hpp     the two sets of loops there are
//   rows() of row_registry.hpp         the one for this processor, or null: stay with the baseline
//
// The environment variable ZP_KERNEL lowers these with the multiplication: "avx2" keeps 512-bit
// registers out of both, "sse41" and "scalar" give the baseline loop.
#pragma once

#include <zeropoint/base/cpu.hpp>
#include <zeropoint/kernels/activation.hpp>

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

// Division without dividing: x * (inverse * 2^B) + offset, one fma, converted to an integer v, is so
// near to 2^B times the correctly rounded quotient q that v shifted right by B is q rounded, unless the
// low B bits of v say that q may be near a tie. The block of such an element is divided.
//
//   B = 14 (AVX2)     v is within 1.25 of its exact value while |q| <= 256: a quarter each for the
//                     rounding of the inverse, of q and of the fma, a half for the conversion. One
//                     element in 4096 of random data is near a tie. Conversions that overflow
//                     (|q| >= 2^17, infinities, NaN) give -2^31, which saturates to -32768 in 16 bits:
//                     divided as well.
//   B = 16 (AVX-512)  within 3: 1 each for the inverse, q and the fma (or a quarter for the fma and a
//                     half for the conversion: above 2^23 a float is an integer). One element in 8192.
//                     An overflow (|q| >= 2^15) has the low bits of a tie.
struct fast_division {
  int bits = 0;               ///< B
  float half = 0;             ///< 2^(B - 1), and the middle of what counts as near a tie
  std::int32_t near_tie = 0;  ///< none of these bits set: near a tie
};
inline constexpr fast_division in_14_bits{14, 0x1p13f + 2, 0x3ffc},
    in_16_bits{16, 0x1p15f + 4, 0xfff8};

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

  /// What a fast division multiplies by: inverse * 2^bits. Infinity, which makes every value take the
  /// true division, where the inverse is denormal.
  [[nodiscard]] constexpr float fast_factor(const fast_division& d) const noexcept {
    return inverse < std::numeric_limits<float>::min() ? std::numeric_limits<float>::infinity()
                                                       : inverse * static_cast<float>(1 << d.bits);
  }
};

/// What codes did to their values, summed in the fixed shape of math/statistics.hpp: element i in
/// lane i mod 8, every lane in the order of its elements.
struct damage_sums {
  double signal[8] = {}, rounding[8] = {}, clipping[8] = {};
  float max[8] = {};
  range_events events;
  std::uint64_t underflow = 0;
};

/// Adds the damage of codes[i] to x[i], i < n: error = float(x - scale * (code - zero_point)).
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

/// x[i] = scale * float(codes[i] - zero_point).
struct dequantize_job {
  const void* codes = nullptr;
  bool is_signed = true;
  std::size_t n = 0;
  float scale = 1;
  std::int32_t zero_point = 0;
  float* x = nullptr;
};

/// Smallest and largest finite value; {+inf, -inf} when there is none.
struct float_range {
  float min = 0, max = 0;
  /// No end is an infinity that was met; {+inf, -inf}, nothing met but NaN, is as good.
  [[nodiscard]] constexpr bool is_of_finite_values() const noexcept {
    constexpr float most = std::numeric_limits<float>::max();
    return min > max || (min >= -most && max <= most);
  }
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
