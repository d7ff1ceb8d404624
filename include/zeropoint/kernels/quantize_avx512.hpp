// Quantization of a row with AVX-512 (F, BW, DQ, VL): 64 floats a step. Contract and method: rows.hpp.
#pragma once

#include <zeropoint/base/platform.hpp>
#include <zeropoint/kernels/rows.hpp>
#include <zeropoint/kernels/steps_avx512.hpp>

#if ZP_X86
#include <immintrin.h>

#include <bit>

#define ZP_ISA ZP_TARGET("avx512f,avx512bw,avx512dq,avx512vl")

ZP_ALLOW_UNDEFINED_OPERANDS

namespace zeropoint::inline ZP_BASELINE {
namespace kernels::rows_avx512 {

/// 64 products x * inverse as steps, not clamped; false where exact_steps has to be asked: an overflow.
ZP_ISA ZP_ALWAYS_INLINE bool fast_steps(const float* x, __m512 inverse, packed_steps& out) {
  __m512i v[4];
#pragma GCC unroll 4
  for (std::size_t k = 0; k < 4; ++k) {
    v[k] = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(x + 16 * k), inverse));
  }
  out = {_mm512_packs_epi32(v[0], v[1]), _mm512_packs_epi32(v[2], v[3])};
  const __m512i overflow = _mm512_set1_epi16(-32768);
  return _mm512_mask_cmpneq_epi16_mask(_mm512_cmpneq_epi16_mask(out.low, overflow), out.high,
                                       overflow) == 0xffffffff;
}

/// Counts of clamped steps in 16-bit lanes: masks that went to general registers, and populations of
/// bits, would take more instructions than the codes do.
struct clamp_counter {
  static constexpr std::size_t most_blocks = 32767;  ///< of 64 steps, two in every lane
  __m512i below, above;

  ZP_ISA ZP_ALWAYS_INLINE clamp_counter()
      : below(_mm512_setzero_si512()), above(_mm512_setzero_si512()) {}
  ZP_ISA ZP_ALWAYS_INLINE void see(__m512i steps, __m512i least, __m512i most) {
    const __m512i one = _mm512_set1_epi16(1);
    below = _mm512_mask_add_epi16(below, _mm512_cmplt_epi16_mask(steps, least), below, one);
    above = _mm512_mask_add_epi16(above, _mm512_cmpgt_epi16_mask(steps, most), above, one);
  }
  ZP_ISA ZP_ALWAYS_INLINE static unsigned total(__m512i lanes) {
    const __m512i even = _mm512_and_si512(lanes, _mm512_set1_epi32(0xffff));
    return static_cast<unsigned>(
        _mm512_reduce_add_epi32(_mm512_add_epi32(even, _mm512_srli_epi32(lanes, 16))));
  }
  ZP_ISA ZP_ALWAYS_INLINE void add_to(range_events& events) const {
    events.low += total(below), events.high += total(above);
  }
};

/// x * inverse, the cheaper scaling.
template <bool Count, bool Signed>
ZP_ISA inline void quantize_multiplied(const quantize_job& j) {
  const __m512 inverse = _mm512_set1_ps(j.inverse);
  const __m512i least = _mm512_set1_epi16(static_cast<short>(j.low));
  const __m512i most = _mm512_set1_epi16(static_cast<short>(j.high));
  const code_bytes<Signed> codes(j);
  const float* x = j.x;
  auto* to = static_cast<std::uint8_t*>(j.codes);
  range_events events;  // a local: the codes, bytes, may alias those of the job
  for (std::size_t blocks = j.n / 64; blocks != 0;) {
    const std::size_t some =
        blocks < clamp_counter::most_blocks ? blocks : clamp_counter::most_blocks;
    blocks -= some;
    clamp_counter clamped;
    for (const float* const end = x + 64 * some; x != end; x += 64, to += 64) {
      packed_steps s;
      // A loop of its own, without the call: Clang 14 keeps no constant in a register over a call.
      for (; x != end && fast_steps(x, inverse, s); x += 64, to += 64) {
        if constexpr (Count) {
          clamped.see(s.low, least, most);
          clamped.see(s.high, least, most);
        }
        _mm512_storeu_si512(to, codes.of(s));
      }
      if (x == end) break;
      s = exact_steps<false, Count>(x, 64, j, events);
      _mm512_storeu_si512(to, codes.of(s));
    }
    if constexpr (Count) clamped.add_to(events);
  }
  if (const std::size_t tail = j.n % 64; tail != 0) {
    const packed_steps s = exact_steps<false, Count>(x, tail, j, events);
    _mm512_mask_storeu_epi8(to, first_bytes(tail), codes.of(s));
  }
  if constexpr (Count) add(events, *j.events);
}

/// 16 of the first `live` values at x; the others are zeros, no ties and inside every grid.
struct values_at {
  const float* x;
  std::size_t live = 64;
  ZP_ISA ZP_ALWAYS_INLINE __m512 operator()(std::size_t k) const {
    if (live == 64) return _mm512_loadu_ps(x + 16 * k);
    return _mm512_maskz_loadu_ps(live > 16 * k ? first_lanes(live - 16 * k) : __mmask16{0},
                                 x + 16 * k);
  }
};

/// x / scale without dividing (rows.hpp): with 16 bits behind the point the steps are the high words of
/// v, and one vpermt2w takes those of 32 values. They are counted from the low end of the grid, which
/// the offset of the fma adds for nothing.
struct fast_divider {
  __m512 factor, offset;
  __m512i span, sure, first, high_words, order;

  ZP_ISA ZP_ALWAYS_INLINE explicit fast_divider(const quantize_job& j)
      : factor(_mm512_set1_ps(j.fast_factor())),
        offset(_mm512_set1_ps(j.fast_offset())),
        span(_mm512_set1_epi16(static_cast<short>(j.high - j.low))),
        sure(_mm512_set1_epi32((j.high - j.low) << 16 | fast_division::largest_sure)),
        first(_mm512_set1_epi8(static_cast<char>(j.low + j.zero_point))),
        high_words(_mm512_add_epi16(_mm512_slli_epi16(lane_numbers(), 1), _mm512_set1_epi16(1))),
        order(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7)) {}

  /// 0, 1 ... 31 in 16 bits.
  ZP_ISA ZP_ALWAYS_INLINE static __m512i lane_numbers() {
    const __m512i wide = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i even = _mm512_slli_epi32(wide, 1);
    return _mm512_or_si512(even,
                           _mm512_slli_epi32(_mm512_add_epi32(even, _mm512_set1_epi32(1)), 16));
  }
  /// Steps above the low end of 64 values, 32 in each half, not clamped. Returns the largest words.
  ZP_ISA ZP_ALWAYS_INLINE __m512i divide(const values_at& values, packed_steps& out) const {
    __m512i v[4];
#pragma GCC unroll 4
    for (std::size_t k = 0; k < 4; ++k) {
      v[k] = _mm512_cvtps_epi32(_mm512_fmadd_ps(values(k), factor, offset));
    }
    out = {_mm512_permutex2var_epi16(v[0], high_words, v[1]),
           _mm512_permutex2var_epi16(v[2], high_words, v[3])};
    return _mm512_max_epu16(_mm512_max_epu16(v[0], v[1]), _mm512_max_epu16(v[2], v[3]));
  }
  /// Whether a step is near a tie or outside the grid. One test for many steps: comparisons into
  /// masks are the scarcest of all instructions here.
  ZP_ISA ZP_ALWAYS_INLINE bool are_odd(__m512i largest) const {
    return __builtin_expect(_mm512_cmpgt_epu16_mask(largest, sure) != 0, 0);
  }
  /// Takes odd steps to the ends of the grid, counting them when Count; false where steps cannot be
  /// trusted: one near a tie, a conversion that overflowed.
  template <bool Count, std::size_t Blocks>
  ZP_ISA ZP_ALWAYS_INLINE bool clamp(__m512i largest, packed_steps (&s)[Blocks],
                                     range_events& events) const {
    const __m512i sure_low = _mm512_or_si512(sure, _mm512_set1_epi32(-65536));
    __mmask32 unsure = _mm512_cmpgt_epu16_mask(largest, sure_low);
    const __m512i overflow = _mm512_set1_epi16(-32768), none = _mm512_setzero_si512();
    for (const packed_steps& b : s) {
      unsure |=
          _mm512_cmpeq_epi16_mask(b.low, overflow) | _mm512_cmpeq_epi16_mask(b.high, overflow);
    }
    if (unsure != 0) return false;
    for (packed_steps& b : s) {
      if constexpr (Count) count_outside(b, events);
      b.low = _mm512_min_epi16(_mm512_max_epi16(b.low, none), span);
      b.high = _mm512_min_epi16(_mm512_max_epi16(b.high, none), span);
    }
    return true;
  }
  ZP_ISA ZP_ALWAYS_INLINE void count_outside(const packed_steps& s, range_events& events) const {
    const auto population = [](__mmask32 m) { return static_cast<unsigned>(std::popcount(m)); };
    const unsigned all = population(_mm512_cmpgt_epu16_mask(s.low, span)) +
                         population(_mm512_cmpgt_epu16_mask(s.high, span));
    const unsigned below =
        population(_mm512_movepi16_mask(s.low)) + population(_mm512_movepi16_mask(s.high));
    events.low += below, events.high += all - below;
  }
  ZP_ISA ZP_ALWAYS_INLINE __m512i codes(const packed_steps& s) const {
    const __m512i bytes = _mm512_permutexvar_epi64(order, _mm512_packus_epi16(s.low, s.high));
    return _mm512_add_epi8(bytes, first);
  }
};

template <bool Count, bool Fetch>
ZP_ISA inline void quantize_divided(const quantize_job& j) {
  const fast_divider by(j);
  const float *x = j.x, *const end = x + j.n;
  auto* to = static_cast<std::uint8_t*>(j.codes);
  range_events events;
  while (x != end) {
    // Two blocks a turn share their test. A loop of its own, without the call, as above.
    for (; end - x >= 128; x += 128, to += 128) {
      if constexpr (Fetch) {
        for (std::size_t k = 0; k < 512; k += 64) fetch_behind_row(x, k);
      }
      packed_steps s[2];
      const __m512i first = by.divide({x}, s[0]);  // in this order, or no prefetcher follows
      const __m512i largest = _mm512_max_epu16(first, by.divide({x + 64}, s[1]));
      if (by.are_odd(largest) && !by.clamp<Count>(largest, s, events)) break;
      _mm512_storeu_si512(to, by.codes(s[0]));
      _mm512_storeu_si512(to + 64, by.codes(s[1]));
    }
    if (x == end) break;
    const std::size_t left = static_cast<std::size_t>(end - x), n = left < 64 ? left : 64;
    packed_steps s[1];
    const __m512i largest = by.divide({x, n}, s[0]);
    if (by.are_odd(largest) && !by.clamp<Count>(largest, s, events)) {
      divide_exactly<Count>(x, n, j, events, to);
    } else {
      _mm512_mask_storeu_epi8(to, first_bytes(n), by.codes(s[0]));
    }
    x += n, to += n;
  }
  if constexpr (Count) add(events, *j.events);
}

inline void quantize(const quantize_job& j) {
  constexpr void (*divided[2][2])(const quantize_job&) = {
      {quantize_divided<false, false>, quantize_divided<false, true>},
      {quantize_divided<true, false>, quantize_divided<true, true>}};
  if (j.divide) return divided[j.events != nullptr][j.from_memory](j);
  constexpr void (*of[2][2])(const quantize_job&) = {
      {quantize_multiplied<false, false>, quantize_multiplied<false, true>},
      {quantize_multiplied<true, false>, quantize_multiplied<true, true>}};
  of[j.events != nullptr][j.is_signed](j);
}

}  // namespace kernels::rows_avx512
}  // namespace zeropoint::inline ZP_BASELINE

ZP_END_UNDEFINED_OPERANDS
#undef ZP_ISA
#endif  // ZP_X86
