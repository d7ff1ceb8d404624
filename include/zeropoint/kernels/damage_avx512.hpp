// The damage of a quantization for AVX-512: 16 floats a step, sums in double. Contract: rows.hpp.
#pragma once

#include <zeropoint/base/platform.hpp>
#include <zeropoint/kernels/quantize_avx512.hpp>
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
  __m512 max;  // of lane l and l + 8: both belong to lane l

  ZP_ISA ZP_ALWAYS_INLINE explicit damage_lanes(const damage_sums& s)
      : signal(_mm512_loadu_pd(s.signal)),
        rounding(_mm512_loadu_pd(s.rounding)),
        clipping(_mm512_loadu_pd(s.clipping)),
        max(_mm512_broadcast_f32x8(_mm256_loadu_ps(s.max))) {}
  ZP_ISA ZP_ALWAYS_INLINE void store(damage_sums& s) const {
    _mm512_storeu_pd(s.signal, signal);
    _mm512_storeu_pd(s.rounding, rounding);
    _mm512_storeu_pd(s.clipping, clipping);
    _mm256_storeu_ps(s.max,
                     _mm256_max_ps(_mm512_castps512_ps256(max), _mm512_extractf32x8_ps(max, 1)));
  }
  ZP_ISA ZP_ALWAYS_INLINE void see(__m512 error) {
    max = _mm512_max_ps(max, _mm512_castsi512_ps(magnitude(error)));
  }
  /// Eight of 16 values and their errors, 0 where they are not finite.
  ZP_ISA ZP_ALWAYS_INLINE void add(__m256 x, __m256 error, unsigned clipped) {
    const __m512d wide = _mm512_cvtps_pd(x), e = _mm512_cvtps_pd(error);
    signal = _mm512_fmadd_pd(wide, wide, signal);
    rounding = _mm512_mask3_fmadd_pd(e, e, rounding, static_cast<__mmask8>(~clipped));
    clipping = _mm512_mask3_fmadd_pd(e, e, clipping, static_cast<__mmask8>(clipped));
  }
  /// Eight finite values that nobody clipped.
  ZP_ISA ZP_ALWAYS_INLINE void add(__m256 x, __m256 error) {
    const __m512d wide = _mm512_cvtps_pd(x), e = _mm512_cvtps_pd(error);
    signal = _mm512_fmadd_pd(wide, wide, signal);
    rounding = _mm512_fmadd_pd(e, e, rounding);
  }
};

ZP_ISA ZP_ALWAYS_INLINE unsigned count(__mmask16 lanes) {
  return static_cast<unsigned>(std::popcount(static_cast<unsigned>(lanes)));
}

/// The codes that occurred, 256 bits, in registers. Soon they are all there: 64 codes are looked up at
/// once, by the byte that their bit lies in, and only new ones are written.
struct level_table {
  __m512i lower, upper;

  ZP_ISA ZP_ALWAYS_INLINE explicit level_table(const damage_sums& s)
      : lower(_mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(s.levels)))),
        upper(_mm512_broadcast_i32x4(
            _mm_loadu_si128(reinterpret_cast<const __m128i*>(s.levels + 16)))) {}
  /// Those of the first codes that are not.
  ZP_ISA ZP_ALWAYS_INLINE __mmask64 missing(__m512i codes, __mmask64 live) const {
    const __m512i byte = _mm512_and_si512(_mm512_srli_epi16(codes, 3), _mm512_set1_epi8(15));
    const __m512i bit =
        _mm512_shuffle_epi8(_mm512_set1_epi64(static_cast<long long>(0x8040201008040201u)),
                            _mm512_and_si512(codes, _mm512_set1_epi8(7)));
    const __m512i there = _mm512_mask_shuffle_epi8(_mm512_shuffle_epi8(lower, byte),
                                                   _mm512_movepi8_mask(codes), upper, byte);
    return _mm512_mask_testn_epi8_mask(live, there, bit);
  }
};

/// Values that became real zero without being it.
ZP_ISA ZP_ALWAYS_INLINE __mmask16 underflows(__m512 x, __m512i steps, __mmask16 kept) {
  return _mm512_mask_cmp_ps_mask(_mm512_mask_testn_epi32_mask(kept, steps, steps), x,
                                 _mm512_setzero_ps(), _CMP_NEQ_UQ);
}
template <bool Signed>
ZP_ISA ZP_ALWAYS_INLINE __m512i steps_of(__m128i q, std::int32_t zero_point) {
  return _mm512_sub_epi32(Signed ? _mm512_cvtepi8_epi32(q) : _mm512_cvtepu8_epi32(q),
                          _mm512_set1_epi32(zero_point));
}

/// Up to 16 values of any kind, from i on. The sums come and go by value: those of the loop stay in
/// registers.
template <bool Divide, bool Signed>
ZP_ISA ZP_NOINLINE damage_lanes add_any(damage_lanes sums, const damage_job& j, std::size_t i,
                                        __mmask16 live) {
  const __m512 x = _mm512_maskz_loadu_ps(live, j.x + i);
  const __m128i q = _mm_maskz_loadu_epi8(live, static_cast<const std::uint8_t*>(j.codes) + i);
  const __m512i steps = _mm512_maskz_mov_epi32(live, steps_of<Signed>(q, j.zero_point));
  const __m512d scale = _mm512_set1_pd(static_cast<double>(j.scale));
  const __m512 factor = _mm512_set1_ps(Divide ? j.scale : j.inverse);
  const __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
  const __mmask16 finite = _mm512_cmple_epi32_mask(magnitude(x), _mm512_set1_epi32(largest_finite));
  const __m512 t = Divide ? _mm512_div_ps(x, factor) : _mm512_mul_ps(x, factor);
  const __mmask16 low = _mm512_mask_cmp_ps_mask(finite, t, _mm512_set1_ps(j.low_edge), _CMP_LT_OQ);
  const __mmask16 high =
      _mm512_mask_cmp_ps_mask(finite, t, _mm512_set1_ps(j.high_edge), _CMP_GT_OQ);
  const unsigned clipped = static_cast<unsigned>(low | high);
  const __m512 value = _mm512_maskz_mov_ps(finite, x);
  const __m256 low_x = _mm512_castps512_ps256(value), high_x = _mm512_extractf32x8_ps(value, 1);
  const auto error = [scale](__m256 of, __m256i steps_of_it) ZP_ISA {
    return _mm512_cvtpd_ps(
        _mm512_fnmadd_pd(scale, _mm512_cvtepi32_pd(steps_of_it), _mm512_cvtps_pd(of)));
  };
  const __m512i counted = _mm512_maskz_mov_epi32(finite, steps);
  const __m256 low_e = error(low_x, _mm512_castsi512_si256(counted)),
               high_e = error(high_x, _mm512_extracti32x8_epi32(counted, 1));
  sums.see(_mm512_insertf32x8(_mm512_castps256_ps512(low_e), high_e, 1));
  sums.add(low_x, low_e, clipped);
  sums.add(high_x, high_e, clipped >> 8);
  j.sums->underflow += count(underflows(x, steps, static_cast<__mmask16>(finite & ~clipped)));
  add({count(low), count(high), count(nan), count(static_cast<__mmask16>(~(finite | nan)))},
      j.sums->events);
  return sums;
}

/// 16 values that are kept. Their errors are as exact in float as in double: value and nearest step are
/// so near each other that their difference has 26 bits, and the fma rounds it once.
template <bool Signed>
ZP_ISA ZP_ALWAYS_INLINE void add_kept(damage_lanes& sums, __m512i& underflow, __m512 x, __m128i q,
                                      __m512 scale, std::int32_t zero_point) {
  const __m512i steps = steps_of<Signed>(q, zero_point);
  const __m512 error = _mm512_fnmadd_ps(scale, _mm512_cvtepi32_ps(steps), x);
  sums.see(error);
  sums.add(_mm512_castps512_ps256(x), _mm512_castps512_ps256(error));
  sums.add(_mm512_extractf32x8_ps(x, 1), _mm512_extractf32x8_ps(error, 1));
  underflow = _mm512_mask_add_epi32(underflow, underflows(x, steps, 0xffff), underflow,
                                    _mm512_set1_epi32(1));
}

template <bool Divide, bool Signed>
ZP_ISA inline void damage_row(const damage_job& j) {
  const float_range kept = surely_kept(j);
  const __m512 least = _mm512_set1_ps(kept.min), most = _mm512_set1_ps(kept.max);
  const __m512 scale = _mm512_set1_ps(j.scale);
  const std::int32_t zero_point = j.zero_point;
  const std::size_t n = j.n;
  const float* const x = j.x;
  const auto* const codes = static_cast<const std::uint8_t*>(j.codes);
  damage_lanes sums(*j.sums);
  level_table levels(*j.sums);
  __m512i underflow = _mm512_setzero_si512();
  for (std::size_t i = 0; i < n; i += 64) {
    const __mmask64 live = first_bytes(n - i);
    const __mmask64 fresh = levels.missing(_mm512_maskz_loadu_epi8(live, codes + i), live);
    if (__builtin_expect(fresh != 0, 0)) {
      insert_levels(codes + i, fresh, *j.sums);
      levels = level_table(*j.sums);
    }
    const std::size_t end = n - i < 64 ? n : i + 64, whole = i + (end - i) / 16 * 16;
    for (std::size_t v = i; v < whole; v += 16) {
      const __m512 some = _mm512_loadu_ps(x + v);
      const __mmask16 out =  // or NaN
          _mm512_cmp_ps_mask(some, least, _CMP_NGE_UQ) |
          _mm512_cmp_ps_mask(some, most, _CMP_NLE_UQ);
      if (__builtin_expect(out != 0, 0)) {
        sums = add_any<Divide, Signed>(sums, j, v, 0xffff);
      } else {
        add_kept<Signed>(sums, underflow, some,
                         _mm_loadu_si128(reinterpret_cast<const __m128i*>(codes + v)), scale,
                         zero_point);
      }
    }
    if (whole != end) sums = add_any<Divide, Signed>(sums, j, whole, first_lanes(end - whole));
  }
  sums.store(*j.sums);
  j.sums->underflow += static_cast<unsigned>(_mm512_reduce_add_epi32(underflow));
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
