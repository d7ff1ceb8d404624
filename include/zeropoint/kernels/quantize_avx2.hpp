// Quantization of a row with AVX2 and FMA: 32 floats a step. Contract and method: rows.hpp.
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

/// All ones in the first n <= 8 of eight lanes.
ZP_ISA ZP_ALWAYS_INLINE __m256i first_lanes(std::size_t n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)),
                            _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
/// Eight floats from the first n <= 8 of x, zeros behind them.
ZP_ISA ZP_ALWAYS_INLINE __m256 first_floats(const float* x, std::size_t n) {
  return _mm256_maskload_ps(x, first_lanes(n));
}
ZP_ISA ZP_ALWAYS_INLINE __m256i magnitude(__m256 x) {
  return _mm256_and_si256(_mm256_castps_si256(x), _mm256_set1_epi32(0x7fffffff));
}
/// All ones in lanes of finite values, by their magnitude.
ZP_ISA ZP_ALWAYS_INLINE __m256i finite(__m256i magnitude) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(largest_finite + 1), magnitude);
}

/// 32 int16 steps, in an order that who made them knows.
struct packed_steps {
  __m256i low, high;
};

ZP_ISA ZP_ALWAYS_INLINE unsigned lanes_of(__m256 mask) {
  return static_cast<unsigned>(std::popcount(static_cast<unsigned>(_mm256_movemask_ps(mask))));
}
/// How many of the 32 words of two masks are set.
ZP_ISA ZP_ALWAYS_INLINE unsigned words_of(__m256i a, __m256i b) {
  const __m256i bytes = _mm256_packs_epi16(a, b);
  return static_cast<unsigned>(std::popcount(static_cast<unsigned>(_mm256_movemask_epi8(bytes))));
}

/// 32 steps as the definition has them, clamped, as vpackssdw leaves them; adds to `events`.
template <bool Divide, bool Count>
ZP_ISA ZP_ALWAYS_INLINE packed_steps exact_steps(const float* x, const quantize_job& j,
                                                 range_events& events) {
  const __m256 scale = _mm256_set1_ps(Divide ? j.scale : j.inverse);
  const __m256 low = _mm256_set1_ps(static_cast<float>(j.low));
  const __m256 high = _mm256_set1_ps(static_cast<float>(j.high));
  __m256i steps[4];
  for (std::size_t v = 0; v < 4; ++v) {
    const __m256 value = _mm256_loadu_ps(x + 8 * v);
    const __m256 t = Divide ? _mm256_div_ps(value, scale) : _mm256_mul_ps(value, scale);
    if constexpr (Count) {
      const __m256 is_finite = _mm256_castsi256_ps(finite(magnitude(value)));
      const __m256 nan = _mm256_cmp_ps(value, value, _CMP_UNORD_Q);
      const __m256 rounded = _mm256_round_ps(t, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
      events.nan += lanes_of(nan);
      events.infinite += 8 - lanes_of(_mm256_or_ps(nan, is_finite));
      events.low += lanes_of(_mm256_and_ps(is_finite, _mm256_cmp_ps(rounded, low, _CMP_LT_OQ)));
      events.high += lanes_of(_mm256_and_ps(is_finite, _mm256_cmp_ps(rounded, high, _CMP_GT_OQ)));
    }
    const __m256 number = _mm256_and_ps(t, _mm256_cmp_ps(t, t, _CMP_ORD_Q));
    steps[v] = _mm256_cvtps_epi32(_mm256_min_ps(_mm256_max_ps(number, low), high));
  }
  return {_mm256_packs_epi32(steps[0], steps[1]), _mm256_packs_epi32(steps[2], steps[3])};
}

/// Clamped steps to codes, from the order of vpackssdw.
template <bool Signed>
ZP_ISA ZP_ALWAYS_INLINE void store_codes(const packed_steps& s, __m256i zero_point,
                                         std::uint8_t* to) {
  const __m256i low = _mm256_add_epi16(s.low, zero_point);
  const __m256i high = _mm256_add_epi16(s.high, zero_point);
  const __m256i bytes = Signed ? _mm256_packs_epi16(low, high) : _mm256_packus_epi16(low, high);
  _mm256_storeu_si256(
      reinterpret_cast<__m256i*>(to),
      _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7)));
}

/// The codes of 32 values as the definition has them. A call in the loops' rare paths, which then keep
/// nothing in memory for it.
template <bool Divide, bool Count>
ZP_ISA ZP_NOINLINE void quantize_exactly(const float* x, const quantize_job& j,
                                         range_events& events, std::uint8_t* to) {
  const packed_steps s = exact_steps<Divide, Count>(x, j, events);
  const __m256i zero_point = _mm256_set1_epi16(static_cast<short>(j.zero_point));
  j.is_signed ? store_codes<true>(s, zero_point, to) : store_codes<false>(s, zero_point, to);
}

/// The same of n < 32 values.
template <bool Divide, bool Count>
ZP_ISA ZP_NOINLINE void quantize_tail(const float* x, std::size_t n, const quantize_job& j,
                                      range_events& events, std::uint8_t* to) {
  float values[32] = {};  // zeros are inside every grid
  std::uint8_t codes[32];
  std::memcpy(values, x, n * sizeof(float));
  quantize_exactly<Divide, Count>(values, j, events, codes);
  std::memcpy(to, codes, n);
}

/// x * inverse, the cheaper scaling.
template <bool Count, bool Signed>
ZP_ISA inline void quantize_multiplied(const quantize_job& j) {
  const __m256 inverse = _mm256_set1_ps(j.inverse);
  const __m256i overflow = _mm256_set1_epi16(-32768);
  const __m256i zero_point = _mm256_set1_epi16(static_cast<short>(j.zero_point));
  const __m256i least = _mm256_set1_epi16(static_cast<short>(j.low));
  const __m256i most = _mm256_set1_epi16(static_cast<short>(j.high));
  range_events events;  // a local: the codes, bytes, may alias those of the job
  const std::size_t tail = j.n % 32;
  const float* x = j.x;
  auto* to = static_cast<std::uint8_t*>(j.codes);
  for (const float* const end = x + (j.n - tail); x != end; x += 32, to += 32) {
    // A loop of its own without the call, over which nothing stays in a register.
    for (; x != end; x += 32, to += 32) {
      __m256i v[4];
#pragma GCC unroll 4
      for (std::size_t k = 0; k < 4; ++k) {
        v[k] = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + 8 * k), inverse));
      }
      const __m256i low = _mm256_packs_epi32(v[0], v[1]), high = _mm256_packs_epi32(v[2], v[3]);
      const __m256i odd =
          _mm256_or_si256(_mm256_cmpeq_epi16(low, overflow), _mm256_cmpeq_epi16(high, overflow));
      if (_mm256_testz_si256(odd, odd) == 0) break;
      if constexpr (Count) {
        events.low += words_of(_mm256_cmpgt_epi16(least, low), _mm256_cmpgt_epi16(least, high));
        events.high += words_of(_mm256_cmpgt_epi16(low, most), _mm256_cmpgt_epi16(high, most));
      }
      store_codes<Signed>({_mm256_min_epi16(_mm256_max_epi16(low, least), most),
                           _mm256_min_epi16(_mm256_max_epi16(high, least), most)},
                          zero_point, to);
    }
    if (x == end) break;
    quantize_exactly<false, Count>(x, j, events, to);
  }
  if (tail != 0) quantize_tail<false, Count>(x, tail, j, events, to);
  if constexpr (Count) add(events, *j.events);
}

/// x / scale without dividing (rows.hpp): with 16 bits behind the point the steps are the high words.
/// They are counted from the low end of the grid, which the offset of the fma adds for nothing.
struct fast_divider {
  __m256 factor, offset;
  __m256i span, sure, first;

  ZP_ISA ZP_ALWAYS_INLINE explicit fast_divider(const quantize_job& j)
      : factor(_mm256_set1_ps(j.fast_factor())),
        offset(_mm256_set1_ps(j.fast_offset())),
        span(_mm256_set1_epi16(static_cast<short>(j.high - j.low))),
        sure(_mm256_set1_epi32((j.high - j.low) << 16 | fast_division::largest_sure)),
        first(_mm256_set1_epi8(static_cast<char>(j.low + j.zero_point))) {}

  /// The high words of a and b in turn.
  ZP_ISA ZP_ALWAYS_INLINE static __m256i high_words(__m256i a, __m256i b) {
    return _mm256_blend_epi16(_mm256_srli_epi32(a, 16), b, 0xaa);
  }
  /// Steps above the low end of 32 values, not clamped. Returns the largest words.
  ZP_ISA ZP_ALWAYS_INLINE __m256i divide(const float* x, packed_steps& out) const {
    __m256i v[4];
#pragma GCC unroll 4
    for (std::size_t k = 0; k < 4; ++k) {
      v[k] = _mm256_cvtps_epi32(_mm256_fmadd_ps(_mm256_loadu_ps(x + 8 * k), factor, offset));
    }
    out = {high_words(v[0], v[1]), high_words(v[2], v[3])};
    return _mm256_max_epu16(_mm256_max_epu16(v[0], v[1]), _mm256_max_epu16(v[2], v[3]));
  }
  ZP_ISA ZP_ALWAYS_INLINE static bool any_above(__m256i words, __m256i limits) {
    const __m256i above = _mm256_subs_epu16(words, limits);
    return _mm256_testz_si256(above, above) == 0;
  }
  /// Whether a step is near a tie or outside the grid.
  ZP_ISA ZP_ALWAYS_INLINE bool are_odd(__m256i largest) const {
    return __builtin_expect(any_above(largest, sure), 0);
  }
  /// Takes odd steps to the ends of the grid, counting them when Count; false where steps cannot be
  /// trusted: one near a tie, a conversion that overflowed.
  template <bool Count>
  ZP_ISA ZP_ALWAYS_INLINE bool clamp(__m256i largest, packed_steps& s, range_events& events) const {
    const __m256i overflow = _mm256_set1_epi16(-32768), none = _mm256_setzero_si256();
    const __m256i over =
        _mm256_or_si256(_mm256_cmpeq_epi16(s.low, overflow), _mm256_cmpeq_epi16(s.high, overflow));
    if (_mm256_testz_si256(over, over) == 0 ||
        any_above(largest, _mm256_or_si256(sure, _mm256_set1_epi32(-65536)))) {
      return false;
    }
    if constexpr (Count) count_outside(s, events);
    s.low = _mm256_min_epi16(_mm256_max_epi16(s.low, none), span);
    s.high = _mm256_min_epi16(_mm256_max_epi16(s.high, none), span);
    return true;
  }
  ZP_ISA ZP_ALWAYS_INLINE void count_outside(const packed_steps& s, range_events& events) const {
    const __m256i zero = _mm256_setzero_si256();
    const unsigned inside = words_of(_mm256_cmpeq_epi16(_mm256_subs_epu16(s.low, span), zero),
                                     _mm256_cmpeq_epi16(_mm256_subs_epu16(s.high, span), zero));
    const unsigned below = words_of(_mm256_srai_epi16(s.low, 15), _mm256_srai_epi16(s.high, 15));
    events.low += below, events.high += 32 - inside - below;
  }
  ZP_ISA ZP_ALWAYS_INLINE __m256i codes(const packed_steps& s) const {
    const __m256i bytes =
        _mm256_shuffle_epi8(_mm256_packus_epi16(s.low, s.high),
                            _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 2, 4, 6, 1, 3, 5, 7, 8, 10,
                                                                      12, 14, 9, 11, 13, 15)));
    return _mm256_add_epi8(
        _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7)), first);
  }
};

template <bool Count, bool Fetch>
ZP_ISA inline void quantize_divided(const quantize_job& j) {
  const fast_divider by(j);
  const float* x = j.x;
  auto* to = static_cast<std::uint8_t*>(j.codes);
  range_events events;
  const std::size_t tail = j.n % 32;
  for (const float* const end = x + (j.n - tail); x != end; x += 32, to += 32) {
    // A loop of its own without the call, over which nothing stays in a register.
    for (; x != end; x += 32, to += 32) {
      if constexpr (Fetch) {
        for (std::size_t k = 0; k < 128; k += 64) fetch_behind_row(x, k);
      }
      packed_steps s;
      const __m256i largest = by.divide(x, s);
      if (by.are_odd(largest) && !by.clamp<Count>(largest, s, events)) break;
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), by.codes(s));
    }
    if (x == end) break;
    quantize_exactly<true, Count>(x, j, events, to);
  }
  if (tail != 0) quantize_tail<true, Count>(x, tail, j, events, to);
  if constexpr (Count) add(events, *j.events);
}

inline void quantize(const quantize_job& j) {
  constexpr void (*divided[2][2])(const quantize_job&) = {
      {quantize_divided<false, false>, quantize_divided<false, true>},
      {quantize_divided<true, false>, quantize_divided<true, true>}};
  if (j.divide) return divided[j.events != nullptr][j.from_memory](j);
  constexpr void (*multiplied[2][2])(const quantize_job&) = {
      {quantize_multiplied<false, false>, quantize_multiplied<false, true>},
      {quantize_multiplied<true, false>, quantize_multiplied<true, true>}};
  multiplied[j.events != nullptr][j.is_signed](j);
}

}  // namespace kernels::rows_avx2
}  // namespace zeropoint::inline ZP_BASELINE

#undef ZP_ISA
#endif  // ZP_X86
