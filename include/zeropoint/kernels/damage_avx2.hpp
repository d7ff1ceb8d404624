// The damage of a quantization for AVX2 with FMA: 8 floats a step, sums in double. Contract:
// rows.hpp.
#pragma once

#include <zeropoint/base/platform.hpp>
#include <zeropoint/kernels/rows.hpp>

#if ZP_X86
#include <immintrin.h>

#include <bit>
#include <cstring>

#define ZP_ISA ZP_TARGET("avx2,fma,popcnt")

namespace zeropoint::inline ZP_BASELINE {
namespace kernels::rows_avx2 {

/// Four of the eight lanes of the sums. Products of floats are exact in double: a fused
/// multiply-add gives the bits of the definition. What does not count is a zero, which changes no
/// sum.
struct damage_lanes {
  __m256d signal, rounding, clipping;
  __m128 max;

  ZP_ISA ZP_ALWAYS_INLINE damage_lanes(const damage_sums& s, std::size_t first)
      : signal(_mm256_loadu_pd(s.signal + first)),
        rounding(_mm256_loadu_pd(s.rounding + first)),
        clipping(_mm256_loadu_pd(s.clipping + first)),
        max(_mm_loadu_ps(s.max + first)) {}
  ZP_ISA ZP_ALWAYS_INLINE void store(damage_sums& s, std::size_t first) const {
    _mm256_storeu_pd(s.signal + first, signal);
    _mm256_storeu_pd(s.rounding + first, rounding);
    _mm256_storeu_pd(s.clipping + first, clipping);
    _mm_storeu_ps(s.max + first, max);
  }
  /// Four values, 0 where they are not finite, and their steps.
  ZP_ISA ZP_ALWAYS_INLINE void add(__m128 x, __m128i steps, __m256d scale, __m128 finite,
                                   __m128 clipped) {
    const __m256d wide = _mm256_cvtps_pd(x);
    const __m256d difference = _mm256_fnmadd_pd(scale, _mm256_cvtepi32_pd(steps), wide);
    const __m128 error = _mm_and_ps(finite, _mm256_cvtpd_ps(difference));
    const __m256d rounded = _mm256_cvtps_pd(_mm_andnot_ps(clipped, error));
    const __m256d cut = _mm256_cvtps_pd(_mm_and_ps(clipped, error));
    max = _mm_max_ps(max, _mm_andnot_ps(_mm_set1_ps(-0.0f), error));
    signal = _mm256_fmadd_pd(wide, wide, signal);
    rounding = _mm256_fmadd_pd(rounded, rounded, rounding);
    clipping = _mm256_fmadd_pd(cut, cut, clipping);
  }
};

ZP_ISA ZP_ALWAYS_INLINE unsigned count(__m256 lanes) {
  return static_cast<unsigned>(std::popcount(static_cast<unsigned>(_mm256_movemask_ps(lanes))));
}

template <bool Divide, bool Signed>
ZP_ISA inline void damage_row(const damage_job& j) {
  const auto* codes = static_cast<const std::uint8_t*>(j.codes);
  const __m256d scale = _mm256_set1_pd(static_cast<double>(j.scale));
  const __m256 factor = _mm256_set1_ps(Divide ? j.scale : j.inverse), zero = _mm256_setzero_ps();
  const __m256 low_edge = _mm256_set1_ps(j.low_edge), high_edge = _mm256_set1_ps(j.high_edge);
  damage_lanes sums[2] = {{*j.sums, 0}, {*j.sums, 4}};
  range_events events = j.sums->events;
  std::uint64_t underflow = j.sums->underflow;
  for (std::size_t i = 0; i < j.n; i += 8) {
    const std::size_t n = j.n - i < 8 ? j.n - i : 8;
    const __m256i live = _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)),
                                            _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    const __m256 x = _mm256_maskload_ps(j.x + i, live);
    std::uint64_t eight = 0;
    std::memcpy(&eight, codes + i, n);
    const __m128i q = _mm_cvtsi64_si128(static_cast<long long>(eight));
    const __m256i steps = _mm256_and_si256(
        live, _mm256_sub_epi32(Signed ? _mm256_cvtepi8_epi32(q) : _mm256_cvtepu8_epi32(q),
                               _mm256_set1_epi32(j.zero_point)));
    const __m256 nan = _mm256_cmp_ps(x, x, _CMP_UNORD_Q);
    const __m256 finite = _mm256_castsi256_ps(_mm256_cmpgt_epi32(
        _mm256_set1_epi32(largest_finite + 1),
        _mm256_and_si256(_mm256_castps_si256(x), _mm256_set1_epi32(0x7fffffff))));
    const __m256 t = Divide ? _mm256_div_ps(x, factor) : _mm256_mul_ps(x, factor);
    const __m256 low = _mm256_and_ps(finite, _mm256_cmp_ps(t, low_edge, _CMP_LT_OQ));
    const __m256 high = _mm256_and_ps(finite, _mm256_cmp_ps(t, high_edge, _CMP_GT_OQ));
    const __m256 clipped = _mm256_or_ps(low, high);
    const __m256 no_step = _mm256_castsi256_ps(_mm256_cmpeq_epi32(steps, _mm256_setzero_si256()));
    const __m256 lost = _mm256_and_ps(_mm256_andnot_ps(clipped, _mm256_and_ps(finite, no_step)),
                                      _mm256_cmp_ps(x, zero, _CMP_NEQ_UQ));
    const __m256 value = _mm256_and_ps(finite, x);
    sums[0].add(_mm256_castps256_ps128(value), _mm256_castsi256_si128(steps), scale,
                _mm256_castps256_ps128(finite), _mm256_castps256_ps128(clipped));
    sums[1].add(_mm256_extractf128_ps(value, 1), _mm256_extracti128_si256(steps, 1), scale,
                _mm256_extractf128_ps(finite, 1), _mm256_extractf128_ps(clipped, 1));
    underflow += count(lost);
    events.low += count(low);
    events.high += count(high);
    events.nan += count(nan);
    events.infinite += 8 - count(_mm256_or_ps(finite, nan));
  }
  sums[0].store(*j.sums, 0);
  sums[1].store(*j.sums, 4);
  j.sums->events = events;
  j.sums->underflow = underflow;
}

inline void damage(const damage_job& j) {
  constexpr void (*of[2][2])(const damage_job&) = {
      {damage_row<false, false>, damage_row<false, true>},
      {damage_row<true, false>, damage_row<true, true>}};
  of[j.divide][j.is_signed](j);
}

}  // namespace kernels::rows_avx2
}  // namespace zeropoint::inline ZP_BASELINE

#undef ZP_ISA
#endif  // ZP_X86
