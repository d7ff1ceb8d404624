// Row loops for AVX2 with FMA: 32 floats a step. Contract and method: rows.hpp; quantization:
// quantize_avx2.hpp.
#pragma once

#include <zeropoint/base/platform.hpp>
#include <zeropoint/kernels/damage_avx2.hpp>
#include <zeropoint/kernels/quantize_avx2.hpp>
#include <zeropoint/kernels/rows.hpp>

#if ZP_X86
#include <immintrin.h>

#include <bit>
#include <cstring>

#define ZP_ISA ZP_TARGET("avx2,fma,popcnt")

namespace zeropoint::inline ZP_BASELINE {
namespace kernels::rows_avx2 {

ZP_ISA ZP_ALWAYS_INLINE std::int32_t largest_lane(__m256i v) {
  alignas(32) std::int32_t lanes[8];
  _mm256_store_si256(reinterpret_cast<__m256i*>(lanes), v);
  std::int32_t most = lanes[0];
  for (int i = 1; i < 8; ++i) most = lanes[i] > most ? lanes[i] : most;
  return most;
}

ZP_ISA ZP_NOINLINE inline float finite_absmax(const float* x, std::size_t n) {
  __m256i most = _mm256_setzero_si256();
  for (std::size_t i = 0; i < n; i += 8) {
    const __m256i a = magnitude(first_floats(x + i, n - i < 8 ? n - i : 8));
    most = _mm256_max_epi32(most, _mm256_and_si256(a, finite(a)));
  }
  return std::bit_cast<float>(largest_lane(most));
}

ZP_ISA inline float absmax(const float* x, std::size_t n) {
  __m256i most[4] = {};
  std::size_t i = 0;
  for (; i + 32 <= n; i += 32) {
    for (std::size_t v = 0; v < 4; ++v) {
      most[v] = _mm256_max_epi32(most[v], magnitude(_mm256_loadu_ps(x + i + 8 * v)));
    }
  }
  for (; i < n; i += 8) {
    most[0] = _mm256_max_epi32(most[0], magnitude(first_floats(x + i, n - i < 8 ? n - i : 8)));
  }
  const std::int32_t bits = largest_lane(
      _mm256_max_epi32(_mm256_max_epi32(most[0], most[1]), _mm256_max_epi32(most[2], most[3])));
  return bits <= largest_finite ? std::bit_cast<float>(bits) : finite_absmax(x, n);
}

/// Minimum and maximum; a NaN is passed over, an infinity is not.
ZP_ISA inline float_range min_max_numbers(const float* x, std::size_t n, bool only_finite) {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  const __m256 top = _mm256_set1_ps(infinity), bottom = _mm256_set1_ps(-infinity);
  __m256 low = top, high = bottom;
  for (std::size_t i = 0; i < n; i += 8) {
    const std::size_t left = n - i;
    __m256 v = left >= 8 ? _mm256_loadu_ps(x + i) : first_floats(x + i, left);
    if (left < 8)
      v = _mm256_blendv_ps(
          _mm256_set1_ps(x[i]), v,
          _mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(left)),
                                                 _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7))));
    __m256 down = v, up = v;
    if (only_finite) {
      const __m256 f = _mm256_castsi256_ps(finite(magnitude(v)));
      down = _mm256_blendv_ps(top, v, f);
      up = _mm256_blendv_ps(bottom, v, f);
    }
    low = _mm256_min_ps(down, low);  // of a NaN and low: low
    high = _mm256_max_ps(up, high);
  }
  alignas(32) float lows[8], highs[8];
  _mm256_store_ps(lows, low);
  _mm256_store_ps(highs, high);
  float_range r{lows[0], highs[0]};
  for (int k = 1; k < 8; ++k) {
    r.min = lows[k] < r.min ? lows[k] : r.min;
    r.max = highs[k] > r.max ? highs[k] : r.max;
  }
  return r;
}

ZP_ISA inline float_range min_max(const float* x, std::size_t n) {
  const float_range r = min_max_numbers(x, n, false);
  return r.is_of_finite_values() ? r : min_max_numbers(x, n, true);
}

/// The eight codes in the low half of q as values.
template <bool Signed>
ZP_ISA ZP_ALWAYS_INLINE __m256 value_of(__m128i q, __m256i zero_point, __m256 scale) {
  const __m256i wide = Signed ? _mm256_cvtepi8_epi32(q) : _mm256_cvtepu8_epi32(q);
  return _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_sub_epi32(wide, zero_point)), scale);
}

template <bool Signed>
ZP_ISA inline void dequantize_row(const dequantize_job& j) {
  const auto* codes = static_cast<const std::uint8_t*>(j.codes);
  const __m256i zero_point = _mm256_set1_epi32(j.zero_point);
  const __m256 scale = _mm256_set1_ps(j.scale);
  std::size_t i = 0;
  for (; i + 8 <= j.n; i += 8) {
    const __m128i q = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(codes + i));
    _mm256_storeu_ps(j.x + i, value_of<Signed>(q, zero_point, scale));
  }
  if (i == j.n) return;
  std::uint64_t eight = 0;
  float tail[8];
  std::memcpy(&eight, codes + i, j.n - i);
  _mm256_storeu_ps(
      tail, value_of<Signed>(_mm_cvtsi64_si128(static_cast<long long>(eight)), zero_point, scale));
  std::memcpy(j.x + i, tail, (j.n - i) * sizeof(float));
}

ZP_ISA inline void dequantize(const dequantize_job& j) {
  j.is_signed ? dequantize_row<true>(j) : dequantize_row<false>(j);
}

ZP_ACTIVATION_LOOP(ZP_ISA, 32)

inline constexpr row_loops table{"avx2",   "avx_vnni", isa::avx2_fma, absmax,  min_max,
                                 quantize, dequantize, damage,        activate};

}  // namespace kernels::rows_avx2
}  // namespace zeropoint::inline ZP_BASELINE

#undef ZP_ISA
#endif  // ZP_X86
