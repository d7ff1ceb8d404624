// The damage of a quantization for AVX-512: 16 floats a step, sums in double. Contract: rows.hpp.
#pragma once

#include <zeropoint/base/platform.hpp>
#include <zeropoint/kernels/rows.hpp>

#if ZP_X86
#include <immintrin.h>

#include <bit>

#define ZP_ISA ZP_TARGET("avx512f,avx512bw,avx512dq,avx512vl,popcnt")

ZP_ALLOW_UNDEFINED_OPERANDS

namespace zeropoint::inline ZP_BASELINE {
namespace kernels::rows_avx512 {

/// The sums in registers. Products of floats are exact in double: a fused multiply-add gives the
/// bits of the definition.
struct damage_lanes {
  __m512d signal, rounding, clipping;
  __m256 max;

  ZP_ISA ZP_ALWAYS_INLINE explicit damage_lanes(const damage_sums& s)
      : signal(_mm512_loadu_pd(s.signal)),
        rounding(_mm512_loadu_pd(s.rounding)),
        clipping(_mm512_loadu_pd(s.clipping)),
        max(_mm256_loadu_ps(s.max)) {}
  ZP_ISA ZP_ALWAYS_INLINE void store(damage_sums& s) const {
    _mm512_storeu_pd(s.signal, signal);
    _mm512_storeu_pd(s.rounding, rounding);
    _mm512_storeu_pd(s.clipping, clipping);
    _mm256_storeu_ps(s.max, max);
  }
  /// Eight values, 0 where they are not finite, and their steps.
  ZP_ISA ZP_ALWAYS_INLINE void add(__m256 x, __m256i steps, __m512d scale, __mmask8 finite,
                                   __mmask8 clipped) {
    const __m512d wide = _mm512_cvtps_pd(x);
    const __m512d difference = _mm512_fnmadd_pd(scale, _mm512_cvtepi32_pd(steps), wide);
    const __m256 error = _mm512_maskz_cvtpd_ps(finite, difference);
    const __m512d e = _mm512_cvtps_pd(error);
    max = _mm256_max_ps(max, _mm256_andnot_ps(_mm256_set1_ps(-0.0f), error));
    signal = _mm512_fmadd_pd(wide, wide, signal);
    rounding = _mm512_mask3_fmadd_pd(e, e, rounding, static_cast<__mmask8>(~clipped));
    clipping = _mm512_mask3_fmadd_pd(e, e, clipping, clipped);
  }
};

ZP_ISA ZP_ALWAYS_INLINE unsigned count(__mmask16 lanes) {
  return static_cast<unsigned>(std::popcount(static_cast<unsigned>(lanes)));
}

template <bool Divide, bool Signed>
ZP_ISA inline void damage_row(const damage_job& j) {
  const auto* codes = static_cast<const std::uint8_t*>(j.codes);
  const __m512d scale = _mm512_set1_pd(static_cast<double>(j.scale));
  const __m512 factor = _mm512_set1_ps(Divide ? j.scale : j.inverse);
  const __m512 low_edge = _mm512_set1_ps(j.low_edge), high_edge = _mm512_set1_ps(j.high_edge);
  damage_lanes sums(*j.sums);
  range_events events = j.sums->events;
  std::uint64_t underflow = j.sums->underflow;
  for (std::size_t i = 0; i < j.n; i += 16) {
    const std::size_t left = j.n - i;
    const __mmask16 live =
        left >= 16 ? __mmask16{0xffff} : static_cast<__mmask16>((1u << left) - 1);
    const __m512 x = _mm512_maskz_loadu_ps(live, j.x + i);
    const __m128i q = _mm_maskz_loadu_epi8(live, codes + i);
    const __m512i steps =
        _mm512_maskz_sub_epi32(live, Signed ? _mm512_cvtepi8_epi32(q) : _mm512_cvtepu8_epi32(q),
                               _mm512_set1_epi32(j.zero_point));
    const __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    const __mmask16 finite = _mm512_cmple_epi32_mask(
        _mm512_and_si512(_mm512_castps_si512(x), _mm512_set1_epi32(0x7fffffff)),
        _mm512_set1_epi32(largest_finite));
    const __m512 t = Divide ? _mm512_div_ps(x, factor) : _mm512_mul_ps(x, factor);
    const __mmask16 low = _mm512_mask_cmp_ps_mask(finite, t, low_edge, _CMP_LT_OQ);
    const __mmask16 high = _mm512_mask_cmp_ps_mask(finite, t, high_edge, _CMP_GT_OQ);
    const auto clipped = static_cast<__mmask16>(low | high);
    const __mmask16 lost = _mm512_mask_cmp_ps_mask(
        _mm512_mask_testn_epi32_mask(static_cast<__mmask16>(finite & ~clipped), steps, steps), x,
        _mm512_setzero_ps(), _CMP_NEQ_UQ);
    const __m512 value = _mm512_maskz_mov_ps(finite, x);
    sums.add(_mm512_castps512_ps256(value), _mm512_castsi512_si256(steps), scale,
             static_cast<__mmask8>(finite), static_cast<__mmask8>(clipped));
    sums.add(_mm512_extractf32x8_ps(value, 1), _mm512_extracti32x8_epi32(steps, 1), scale,
             static_cast<__mmask8>(finite >> 8), static_cast<__mmask8>(clipped >> 8));
    underflow += count(lost);
    events.low += count(low);
    events.high += count(high);
    events.nan += count(nan);
    events.infinite += count(static_cast<__mmask16>(~(finite | nan)));
  }
  sums.store(*j.sums);
  j.sums->events = events;
  j.sums->underflow = underflow;
}

inline void damage(const damage_job& j) {
  constexpr void (*of[2][2])(const damage_job&) = {
      {damage_row<false, false>, damage_row<false, true>},
      {damage_row<true, false>, damage_row<true, true>}};
  of[j.divide][j.is_signed](j);
}

}  // namespace kernels::rows_avx512
}  // namespace zeropoint::inline ZP_BASELINE

ZP_END_UNDEFINED_OPERANDS
#undef ZP_ISA
#endif  // ZP_X86
