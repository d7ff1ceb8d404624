// Steps and codes of up to 64 values with AVX-512, as the definition has them: what the two loops of
// quantize_avx512.hpp share, and ask where their own ways cannot be sure.
#pragma once

#include <zeropoint/base/platform.hpp>
#include <zeropoint/kernels/rows.hpp>

#if ZP_X86
#include <immintrin.h>

#include <bit>

#define ZP_ISA ZP_TARGET("avx512f,avx512bw,avx512dq,avx512vl")

ZP_ALLOW_UNDEFINED_OPERANDS

namespace zeropoint::inline ZP_BASELINE {
namespace kernels::rows_avx512 {

/// The first n of 16 lanes.
ZP_ISA ZP_ALWAYS_INLINE __mmask16 first_lanes(std::size_t n) {
  return n >= 16 ? __mmask16{0xffff} : static_cast<__mmask16>((1u << n) - 1);
}
/// The first n of 64 lanes.
ZP_ISA ZP_ALWAYS_INLINE __mmask64 first_bytes(std::size_t n) {
  return n >= 64 ? ~__mmask64{0} : (__mmask64{1} << n) - 1;
}
/// |x| as integers: the order of floats, NaN and infinities last.
ZP_ISA ZP_ALWAYS_INLINE __m512i magnitude(__m512 x) {
  return _mm512_and_si512(_mm512_castps_si512(x), _mm512_set1_epi32(0x7fffffff));
}

/// 64 int16 steps. Out of exact_steps and of the fast product (quantize_avx512.hpp) they come in the
/// order of vpackssdw, which code_bytes::of undoes.
struct packed_steps {
  __m512i low, high;
};

/// Up to 64 steps, clamped, as the definition has them; adds to `events` when Count.
template <bool Divide, bool Count>
ZP_ISA ZP_NOINLINE packed_steps exact_steps(const float* x, std::size_t n, const quantize_job& j,
                                            range_events& events) {
  const __m512 scale = _mm512_set1_ps(Divide ? j.scale : j.inverse);
  const __m512 low = _mm512_set1_ps(static_cast<float>(j.low));
  const __m512 high = _mm512_set1_ps(static_cast<float>(j.high));
  __m512i steps[4];
  for (std::size_t v = 0; v < 4; ++v) {
    const __mmask16 live = 16 * v < n ? first_lanes(n - 16 * v) : __mmask16{0};
    const __m512 value = _mm512_maskz_loadu_ps(live, x + 16 * v);
    const __m512 t = Divide ? _mm512_div_ps(value, scale) : _mm512_mul_ps(value, scale);
    const __mmask16 number = _mm512_cmp_ps_mask(t, t, _CMP_ORD_Q);
    if constexpr (Count) {
      const __mmask16 nan = _mm512_cmp_ps_mask(value, value, _CMP_UNORD_Q);
      const __mmask16 finite =
          _mm512_cmple_epi32_mask(magnitude(value), _mm512_set1_epi32(largest_finite));
      const __m512 rounded = _mm512_roundscale_ps(t, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
      const auto count = [](__mmask16 m) { return static_cast<unsigned>(std::popcount(m)); };
      events.nan += count(nan);
      events.infinite += count(static_cast<__mmask16>(~(nan | finite)));
      events.low += count(_mm512_mask_cmp_ps_mask(finite, rounded, low, _CMP_LT_OQ));
      events.high += count(_mm512_mask_cmp_ps_mask(finite, rounded, high, _CMP_GT_OQ));
    }
    const __m512 inside = _mm512_min_ps(_mm512_maskz_max_ps(number, t, low), high);
    steps[v] = _mm512_cvtps_epi32(inside);
  }
  return {_mm512_packs_epi32(steps[0], steps[1]), _mm512_packs_epi32(steps[2], steps[3])};
}

/// From steps to clamped codes. Sums and packing saturate, so a step beyond the grid is still beyond
/// the grid, or at its end, when it is a byte: one clamp of 64 bytes.
template <bool Signed>
struct code_bytes {
  __m512i zero_point, least, most, order;

  ZP_ISA ZP_ALWAYS_INLINE explicit code_bytes(const quantize_job& j)
      : zero_point(_mm512_set1_epi16(static_cast<short>(j.zero_point))),
        least(_mm512_set1_epi8(static_cast<char>(j.low + j.zero_point))),
        most(_mm512_set1_epi8(static_cast<char>(j.high + j.zero_point))),
        order(_mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15)) {}

  ZP_ISA ZP_ALWAYS_INLINE __m512i of(const packed_steps& s) const {
    const __m512i low = _mm512_adds_epi16(s.low, zero_point);
    const __m512i high = _mm512_adds_epi16(s.high, zero_point);
    if constexpr (Signed) {
      const __m512i codes = _mm512_packs_epi16(low, high);
      return _mm512_permutexvar_epi32(order, _mm512_min_epi8(_mm512_max_epi8(codes, least), most));
    } else {
      const __m512i codes = _mm512_packus_epi16(low, high);
      return _mm512_permutexvar_epi32(order, _mm512_min_epu8(_mm512_max_epu8(codes, least), most));
    }
  }
};

/// Up to 64 values by true division: codes, and events when Count.
template <bool Count>
ZP_ISA ZP_NOINLINE void divide_exactly(const float* x, std::size_t n, const quantize_job& j,
                                       range_events& events, std::uint8_t* to) {
  const packed_steps s = exact_steps<true, Count>(x, n, j, events);
  _mm512_mask_storeu_epi8(to, first_bytes(n),
                          j.is_signed ? code_bytes<true>(j).of(s) : code_bytes<false>(j).of(s));
}

}  // namespace kernels::rows_avx512
}  // namespace zeropoint::inline ZP_BASELINE

ZP_END_UNDEFINED_OPERANDS
#undef ZP_ISA
#endif  // ZP_X86
