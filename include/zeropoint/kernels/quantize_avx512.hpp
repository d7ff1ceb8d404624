// Quantization of a row with AVX-512 (F, BW, DQ, VL): 64 floats a step. Contract and method: rows.hpp.
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

/// 64 int16 steps; exact_steps and fast_steps leave them in the order of vpackssdw, which
/// code_bytes::of undoes.
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

/// Up to 64 values by true division: codes, and events when Count.
template <bool Count>
ZP_ISA ZP_NOINLINE void divide_exactly(const float* x, std::size_t n, const quantize_job& j,
                                       range_events& events, std::uint8_t* to) {
  const packed_steps s = exact_steps<true, Count>(x, n, j, events);
  _mm512_mask_storeu_epi8(to, first_bytes(n),
                          j.is_signed ? code_bytes<true>(j).of(s) : code_bytes<false>(j).of(s));
}

/// x / scale without dividing (rows.hpp): with 16 bits behind the point the steps are the high words of
/// v, and one vpermt2w takes those of 32 values. They are counted from the low end of the grid, which
/// the offset of the fma adds for nothing; packing to unsigned bytes then clamps them there.
struct fast_divider {
  __m512 factor, offset;
  __m512i span, span_bytes, first, high_words, order;

  ZP_ISA ZP_ALWAYS_INLINE explicit fast_divider(const quantize_job& j)
      : factor(_mm512_set1_ps(j.fast_factor())),
        offset(_mm512_set1_ps(j.fast_offset())),
        span(_mm512_set1_epi16(static_cast<short>(j.high - j.low))),
        span_bytes(_mm512_set1_epi8(static_cast<char>(j.high - j.low))),
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
  /// Steps above the low end of the values of load(k), k = 0 .. 3, 32 in each half, not clamped;
  /// false where one is near a tie.
  template <class Load>
  ZP_ISA ZP_ALWAYS_INLINE bool divide(const Load& load, packed_steps& out) const {
    __m512i v[4];
#pragma GCC unroll 4
    for (std::size_t k = 0; k < 4; ++k) {
      v[k] = _mm512_cvtps_epi32(_mm512_fmadd_ps(load(k), factor, offset));
    }
    out = {_mm512_permutex2var_epi16(v[0], high_words, v[1]),
           _mm512_permutex2var_epi16(v[2], high_words, v[3])};
    // The least of the low words says what four tests would: comparisons into masks are the scarcest
    // of all instructions here (Zen 5: 1.14 times as fast in the first-level cache).
    const __m512i least =
        _mm512_min_epu16(_mm512_min_epu16(v[0], v[1]), _mm512_min_epu16(v[2], v[3]));
    return _mm512_testn_epi32_mask(least, _mm512_set1_epi32(fast_division::near_tie)) == 0;
  }
  ZP_ISA ZP_ALWAYS_INLINE __m512i codes(const packed_steps& s) const {
    const __m512i bytes = _mm512_permutexvar_epi64(order, _mm512_packus_epi16(s.low, s.high));
    return _mm512_add_epi8(_mm512_min_epu8(bytes, span_bytes), first);
  }
  /// Steps outside the grid are counted where there are any: most blocks cost a maximum and a test.
  ZP_ISA ZP_ALWAYS_INLINE void count(const packed_steps& s, range_events& events) const {
    const __mmask32 some = _mm512_cmpgt_epu16_mask(_mm512_max_epu16(s.low, s.high), span);
    if (__builtin_expect(some != 0, 0)) count_outside(s, events);
  }
  ZP_ISA ZP_ALWAYS_INLINE void count_outside(const packed_steps& s, range_events& events) const {
    const auto population = [](__mmask32 m) { return static_cast<unsigned>(std::popcount(m)); };
    const unsigned all = population(_mm512_cmpgt_epu16_mask(s.low, span)) +
                         population(_mm512_cmpgt_epu16_mask(s.high, span));
    const unsigned below =
        population(_mm512_movepi16_mask(s.low)) + population(_mm512_movepi16_mask(s.high));
    events.low += below, events.high += all - below;
  }
};

template <bool Count, bool Fetch>
ZP_ISA inline void quantize_divided(const quantize_job& j) {
  const fast_divider by(j);
  const float* x = j.x;
  auto* to = static_cast<std::uint8_t*>(j.codes);
  range_events events;
  const std::size_t tail = j.n % 64;
  for (const float* const end = x + (j.n - tail); x != end; x += 64, to += 64) {
    // As above, a loop of its own without the call.
    for (; x != end; x += 64, to += 64) {
      packed_steps s;
      const auto load = [x](std::size_t k) ZP_ISA { return _mm512_loadu_ps(x + 16 * k); };
      if constexpr (Fetch) {
        for (std::size_t k = 0; k < 256; k += 64) fetch_behind_row(x, k);
      }
      if (!by.divide(load, s)) break;
      if constexpr (Count) by.count(s, events);
      _mm512_storeu_si512(to, by.codes(s));
    }
    if (x == end) break;
    divide_exactly<Count>(x, 64, j, events, to);
  }
  if (tail != 0) {  // the values it lacks are zeros, which are no ties and inside every grid
    packed_steps s;
    const auto load = [x, tail](std::size_t k) ZP_ISA {
      return _mm512_maskz_loadu_ps(tail > 16 * k ? first_lanes(tail - 16 * k) : __mmask16{0},
                                   x + 16 * k);
    };
    if (by.divide(load, s)) {
      if constexpr (Count) by.count(s, events);
      _mm512_mask_storeu_epi8(to, first_bytes(tail), by.codes(s));
    } else {
      divide_exactly<Count>(x, tail, j, events, to);
    }
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
