// Row loops for AVX-512 (F, BW, DQ, VL): 64 floats a step. Contract and method: rows.hpp.
#pragma once

#include <zeropoint/base/platform.hpp>
#include <zeropoint/kernels/damage_avx512.hpp>
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
/// |x| as integers: the order of floats, NaN and infinities last.
ZP_ISA ZP_ALWAYS_INLINE __m512i magnitude(__m512 x) {
  return _mm512_and_si512(_mm512_castps_si512(x), _mm512_set1_epi32(0x7fffffff));
}

ZP_ISA ZP_ALWAYS_INLINE float finite_absmax(const float* x, std::size_t n) {
  const __m512i limit = _mm512_set1_epi32(largest_finite);
  __m512i most = _mm512_setzero_si512();
  for (std::size_t i = 0; i < n; i += 16) {
    const __m512i a = magnitude(_mm512_maskz_loadu_ps(first_lanes(n - i), x + i));
    most = _mm512_mask_max_epi32(most, _mm512_cmple_epi32_mask(a, limit), most, a);
  }
  return std::bit_cast<float>(_mm512_reduce_max_epi32(most));
}

ZP_ISA inline float absmax(const float* x, std::size_t n) {
  __m512i most[4] = {};
  std::size_t i = 0;
  for (; i + 64 <= n; i += 64) {
    for (std::size_t v = 0; v < 4; ++v) {
      most[v] = _mm512_max_epi32(most[v], magnitude(_mm512_loadu_ps(x + i + 16 * v)));
    }
  }
  for (; i < n; i += 16) {
    most[0] =
        _mm512_max_epi32(most[0], magnitude(_mm512_maskz_loadu_ps(first_lanes(n - i), x + i)));
  }
  const __m512i all =
      _mm512_max_epi32(_mm512_max_epi32(most[0], most[1]), _mm512_max_epi32(most[2], most[3]));
  const std::int32_t bits = _mm512_reduce_max_epi32(all);
  return bits <= largest_finite ? std::bit_cast<float>(bits) : finite_absmax(x, n);
}

/// The same for minimum and maximum, of the finite values only when Finite.
template <bool Finite>
ZP_ISA ZP_ALWAYS_INLINE float_range range_of(const float* x, std::size_t n) {
  const __m512 infinity = _mm512_castsi512_ps(_mm512_set1_epi32(largest_finite + 1));
  const __m512 minus = _mm512_sub_ps(_mm512_setzero_ps(), infinity);
  __m512 low[2] = {infinity, infinity}, high[2] = {minus, minus};  // two chains: latency 4
  std::size_t i = 0;
  for (; !Finite && i + 32 <= n; i += 32) {
    for (std::size_t k = 0; k < 2; ++k) {
      const __m512 v = _mm512_loadu_ps(x + i + 16 * k);
      low[k] = _mm512_min_ps(v, low[k]);  // of a NaN and low: low
      high[k] = _mm512_max_ps(v, high[k]);
    }
  }
  for (; i < n; i += 16) {
    __mmask16 live = first_lanes(n - i);
    const __m512 v = _mm512_maskz_loadu_ps(live, x + i);
    if constexpr (Finite) {
      live &= _mm512_cmple_epi32_mask(magnitude(v), _mm512_set1_epi32(largest_finite));
    }
    low[0] = _mm512_mask_min_ps(low[0], live, v, low[0]);
    high[0] = _mm512_mask_max_ps(high[0], live, v, high[0]);
  }
  return {_mm512_reduce_min_ps(_mm512_min_ps(low[0], low[1])),
          _mm512_reduce_max_ps(_mm512_max_ps(high[0], high[1]))};
}

ZP_ISA inline float_range min_max(const float* x, std::size_t n) {
  const float_range r = range_of<false>(x, n);
  return r.is_of_finite_values() ? r : range_of<true>(x, n);
}

/// 64 int16 steps, in the order that vpackssdw leaves them; constants::order undoes it.
struct packed_steps {
  __m512i low, high;
};

/// What the steps of 64 values need in registers.
struct constants {
  __m512 factor, scale, inverse, low, high;
  __m512i zero_point, least, most, order;

  ZP_ISA ZP_ALWAYS_INLINE explicit constants(const quantize_job& j)
      : factor(_mm512_set1_ps(j.fast_factor())),
        scale(_mm512_set1_ps(j.scale)),
        inverse(_mm512_set1_ps(j.inverse)),
        low(_mm512_set1_ps(static_cast<float>(j.low))),
        high(_mm512_set1_ps(static_cast<float>(j.high))),
        zero_point(_mm512_set1_epi16(static_cast<short>(j.zero_point))),
        least(_mm512_set1_epi16(static_cast<short>(j.low))),
        most(_mm512_set1_epi16(static_cast<short>(j.high))),
        order(_mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15)) {}
};

/// Up to 64 steps as the definition has them; adds to `events`.
template <bool Divide, bool Count>
ZP_ISA ZP_NOINLINE packed_steps exact_steps(const float* x, std::size_t n, const constants& c,
                                            range_events* events) {
  __m512i steps[4];
  for (std::size_t v = 0; v < 4; ++v) {
    const __mmask16 live = 16 * v < n ? first_lanes(n - 16 * v) : __mmask16{0};
    const __m512 value = _mm512_maskz_loadu_ps(live, x + 16 * v);
    const __m512 t = Divide ? _mm512_div_ps(value, c.scale) : _mm512_mul_ps(value, c.inverse);
    const __mmask16 number = _mm512_cmp_ps_mask(t, t, _CMP_ORD_Q);
    if constexpr (Count) {
      const __mmask16 nan = _mm512_cmp_ps_mask(value, value, _CMP_UNORD_Q);
      const __mmask16 finite =
          _mm512_cmple_epi32_mask(magnitude(value), _mm512_set1_epi32(largest_finite));
      const __m512 rounded = _mm512_roundscale_ps(t, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
      const auto count = [](__mmask16 m) { return static_cast<unsigned>(std::popcount(m)); };
      events->nan += count(nan);
      events->infinite += count(static_cast<__mmask16>(~(nan | finite)));
      events->low += count(_mm512_mask_cmp_ps_mask(finite, rounded, c.low, _CMP_LT_OQ));
      events->high += count(_mm512_mask_cmp_ps_mask(finite, rounded, c.high, _CMP_GT_OQ));
    }
    const __m512 inside = _mm512_min_ps(_mm512_maskz_max_ps(number, t, c.low), c.high);
    steps[v] = _mm512_cvtps_epi32(inside);
  }
  return {_mm512_packs_epi32(steps[0], steps[1]), _mm512_packs_epi32(steps[2], steps[3])};
}

/// 64 steps without a division; false where exact_steps has to be asked (rows.hpp).
template <bool Divide>
ZP_ISA ZP_ALWAYS_INLINE bool fast_steps(const float* x, const constants& c, packed_steps& out) {
  __m512i v[4];
  __mmask16 sure = 0xffff;  // no tie in any of the four vectors
  for (std::size_t k = 0; k < 4; ++k) {
    const __m512 value = _mm512_loadu_ps(x + 16 * k);
    if constexpr (Divide) {
      v[k] = _mm512_cvtps_epi32(_mm512_fmadd_ps(value, c.factor, _mm512_set1_ps(rounding_offset)));
      sure = _mm512_mask_test_epi32_mask(sure, v[k], _mm512_set1_epi32(near_tie));
      v[k] = _mm512_srai_epi32(v[k], fraction_bits);
    } else {
      v[k] = _mm512_cvtps_epi32(_mm512_mul_ps(value, c.factor));
    }
  }
  out = {_mm512_packs_epi32(v[0], v[1]), _mm512_packs_epi32(v[2], v[3])};
  const __m512i overflow = _mm512_set1_epi16(-32768);
  const __mmask32 held = _mm512_mask_cmpneq_epi16_mask(_mm512_cmpneq_epi16_mask(out.low, overflow),
                                                       out.high, overflow);
  return sure == 0xffff && held == 0xffffffff;
}

template <bool Count>
ZP_ISA ZP_ALWAYS_INLINE void clamp(packed_steps& s, const constants& c, range_events* events) {
  if constexpr (Count) {
    const __mmask32 below[2] = {_mm512_cmplt_epi16_mask(s.low, c.least),
                                _mm512_cmplt_epi16_mask(s.high, c.least)};
    const __mmask32 above[2] = {_mm512_cmpgt_epi16_mask(s.low, c.most),
                                _mm512_cmpgt_epi16_mask(s.high, c.most)};
    events->low += static_cast<unsigned>(std::popcount(below[0]) + std::popcount(below[1]));
    events->high += static_cast<unsigned>(std::popcount(above[0]) + std::popcount(above[1]));
  }
  s.low = _mm512_min_epi16(_mm512_max_epi16(s.low, c.least), c.most);
  s.high = _mm512_min_epi16(_mm512_max_epi16(s.high, c.least), c.most);
}

template <bool Divide, bool Count>
ZP_ISA inline void quantize_row(const quantize_job& j) {
  const constants c(j);
  auto* to = static_cast<std::uint8_t*>(j.codes);
  range_events* const events = j.events;
  for (std::size_t i = 0; i < j.n; i += 64) {
    const std::size_t left = j.n - i;
    packed_steps s;
    if (left >= 64 && fast_steps<Divide>(j.x + i, c, s)) {
      clamp<Count>(s, c, events);
    } else {
      s = exact_steps<Divide, Count>(j.x + i, left, c, events);
    }
    const __m512i low = _mm512_add_epi16(s.low, c.zero_point);
    const __m512i high = _mm512_add_epi16(s.high, c.zero_point);
    const __m512i bytes = _mm512_permutexvar_epi32(
        c.order, j.is_signed ? _mm512_packs_epi16(low, high) : _mm512_packus_epi16(low, high));
    if (left >= 64) {
      _mm512_storeu_si512(to + i, bytes);
    } else {
      _mm512_mask_storeu_epi8(to + i, (__mmask64{1} << left) - 1, bytes);
    }
  }
}

inline void quantize(const quantize_job& j) {
  constexpr void (*of[2][2])(const quantize_job&) = {
      {quantize_row<false, false>, quantize_row<false, true>},
      {quantize_row<true, false>, quantize_row<true, true>}};
  of[j.divide][j.events != nullptr](j);
}

template <bool Signed>
ZP_ISA ZP_ALWAYS_INLINE __m512 value_of(__m128i codes, __m512i zero_point, __m512 scale) {
  const __m512i wide = Signed ? _mm512_cvtepi8_epi32(codes) : _mm512_cvtepu8_epi32(codes);
  return _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_sub_epi32(wide, zero_point)), scale);
}

template <bool Signed>
ZP_ISA inline void dequantize_row(const dequantize_job& j) {
  const auto* codes = static_cast<const std::uint8_t*>(j.codes);
  const __m512i zero_point = _mm512_set1_epi32(j.zero_point);
  const __m512 scale = _mm512_set1_ps(j.scale);
  std::size_t i = 0;
  for (; i + 16 <= j.n; i += 16) {
    const __m128i q = _mm_loadu_si128(reinterpret_cast<const __m128i*>(codes + i));
    _mm512_storeu_ps(j.x + i, value_of<Signed>(q, zero_point, scale));
  }
  if (i == j.n) return;
  const __mmask16 live = first_lanes(j.n - i);
  const __m128i q = _mm_maskz_loadu_epi8(live, codes + i);
  _mm512_mask_storeu_ps(j.x + i, live, value_of<Signed>(q, zero_point, scale));
}

ZP_ISA inline void dequantize(const dequantize_job& j) {
  j.is_signed ? dequantize_row<true>(j) : dequantize_row<false>(j);
}

inline constexpr row_loops table{"avx512", isa::avx512, absmax, min_max,
                                 quantize, dequantize,  damage};

}  // namespace kernels::rows_avx512
}  // namespace zeropoint::inline ZP_BASELINE

ZP_END_UNDEFINED_OPERANDS
#undef ZP_ISA
#endif  // ZP_X86
