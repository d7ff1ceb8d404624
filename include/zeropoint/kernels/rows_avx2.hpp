// Row loops for AVX2 with FMA: 32 floats a step. Contract and method: rows.hpp.
#pragma once

#include <zeropoint/base/platform.hpp>
#include <zeropoint/kernels/damage_avx2.hpp>
#include <zeropoint/kernels/rows.hpp>

#if ZP_X86
#include <immintrin.h>

#include <bit>
#include <cstring>

#define ZP_ISA ZP_TARGET("avx2,fma,popcnt")

namespace zeropoint::inline ZP_BASELINE {
namespace kernels::rows_avx2 {

/// Eight floats from the first n <= 8 of x, zeros behind them.
ZP_ISA ZP_ALWAYS_INLINE __m256 first_floats(const float* x, std::size_t n) {
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_maskload_ps(x, _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), lane));
}
ZP_ISA ZP_ALWAYS_INLINE __m256i magnitude(__m256 x) {
  return _mm256_and_si256(_mm256_castps_si256(x), _mm256_set1_epi32(0x7fffffff));
}
/// All ones in lanes of finite values, by their magnitude.
ZP_ISA ZP_ALWAYS_INLINE __m256i finite(__m256i magnitude) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(largest_finite + 1), magnitude);
}

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

/// 32 int16 steps, in the order that vpackssdw leaves them.
struct packed_steps {
  __m256i low, high;
};

struct constants {
  __m256 factor, scale, inverse, low, high;
  __m256i zero_point, least, most;

  ZP_ISA ZP_ALWAYS_INLINE explicit constants(const quantize_job& j)
      : factor(_mm256_set1_ps(j.divide ? j.fast_factor(in_14_bits) : j.inverse)),
        scale(_mm256_set1_ps(j.scale)),
        inverse(_mm256_set1_ps(j.inverse)),
        low(_mm256_set1_ps(static_cast<float>(j.low))),
        high(_mm256_set1_ps(static_cast<float>(j.high))),
        zero_point(_mm256_set1_epi16(static_cast<short>(j.zero_point))),
        least(_mm256_set1_epi16(static_cast<short>(j.low))),
        most(_mm256_set1_epi16(static_cast<short>(j.high))) {}
};

ZP_ISA ZP_ALWAYS_INLINE unsigned lanes_of(__m256 mask) {
  return static_cast<unsigned>(std::popcount(static_cast<unsigned>(_mm256_movemask_ps(mask))));
}

/// 32 steps as the definition has them; adds to `events`.
template <bool Divide, bool Count>
ZP_ISA ZP_NOINLINE packed_steps exact_steps(const float* x, const constants& c,
                                            range_events* events) {
  __m256i steps[4];
  for (std::size_t v = 0; v < 4; ++v) {
    const __m256 value = _mm256_loadu_ps(x + 8 * v);
    const __m256 t = Divide ? _mm256_div_ps(value, c.scale) : _mm256_mul_ps(value, c.inverse);
    if constexpr (Count) {
      const __m256 is_finite = _mm256_castsi256_ps(finite(magnitude(value)));
      const __m256 nan = _mm256_cmp_ps(value, value, _CMP_UNORD_Q);
      const __m256 rounded = _mm256_round_ps(t, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
      events->nan += lanes_of(nan);
      events->infinite += 8 - lanes_of(_mm256_or_ps(nan, is_finite));
      events->low += lanes_of(_mm256_and_ps(is_finite, _mm256_cmp_ps(rounded, c.low, _CMP_LT_OQ)));
      events->high +=
          lanes_of(_mm256_and_ps(is_finite, _mm256_cmp_ps(rounded, c.high, _CMP_GT_OQ)));
    }
    const __m256 number = _mm256_and_ps(t, _mm256_cmp_ps(t, t, _CMP_ORD_Q));
    steps[v] = _mm256_cvtps_epi32(_mm256_min_ps(_mm256_max_ps(number, c.low), c.high));
  }
  return {_mm256_packs_epi32(steps[0], steps[1]), _mm256_packs_epi32(steps[2], steps[3])};
}

/// 32 steps without a division; false where exact_steps has to be asked (rows.hpp).
template <bool Divide>
ZP_ISA ZP_ALWAYS_INLINE bool fast_steps(const float* x, const constants& c, packed_steps& out) {
  __m256i v[4], fraction = _mm256_set1_epi32(in_14_bits.near_tie);
  for (std::size_t k = 0; k < 4; ++k) {
    const __m256 value = _mm256_loadu_ps(x + 8 * k);
    if constexpr (Divide) {
      v[k] = _mm256_cvtps_epi32(_mm256_fmadd_ps(value, c.factor, _mm256_set1_ps(in_14_bits.half)));
      fraction = _mm256_min_epi32(fraction,
                                  _mm256_and_si256(v[k], _mm256_set1_epi32(in_14_bits.near_tie)));
      v[k] = _mm256_srai_epi32(v[k], in_14_bits.bits);
    } else {
      v[k] = _mm256_cvtps_epi32(_mm256_mul_ps(value, c.factor));
    }
  }
  out = {_mm256_packs_epi32(v[0], v[1]), _mm256_packs_epi32(v[2], v[3])};
  const __m256i overflow = _mm256_set1_epi16(-32768);
  const __m256i odd = _mm256_or_si256(_mm256_or_si256(_mm256_cmpeq_epi16(out.low, overflow),
                                                      _mm256_cmpeq_epi16(out.high, overflow)),
                                      _mm256_cmpeq_epi32(fraction, _mm256_setzero_si256()));
  return _mm256_testz_si256(odd, odd) != 0;
}

ZP_ISA ZP_ALWAYS_INLINE unsigned words_of(__m256i a, __m256i b) {
  const __m256i bytes = _mm256_packs_epi16(a, b);
  return static_cast<unsigned>(std::popcount(static_cast<unsigned>(_mm256_movemask_epi8(bytes))));
}

template <bool Count>
ZP_ISA ZP_ALWAYS_INLINE void clamp(packed_steps& s, const constants& c, range_events* events) {
  if constexpr (Count) {
    events->low +=
        words_of(_mm256_cmpgt_epi16(c.least, s.low), _mm256_cmpgt_epi16(c.least, s.high));
    events->high += words_of(_mm256_cmpgt_epi16(s.low, c.most), _mm256_cmpgt_epi16(s.high, c.most));
  }
  s.low = _mm256_min_epi16(_mm256_max_epi16(s.low, c.least), c.most);
  s.high = _mm256_min_epi16(_mm256_max_epi16(s.high, c.least), c.most);
}

/// The codes of 32 values.
template <bool Divide, bool Count>
ZP_ISA ZP_ALWAYS_INLINE void quantize_block(const float* x, const constants& c, bool is_signed,
                                            range_events* events, std::uint8_t* to) {
  packed_steps s;
  if (fast_steps<Divide>(x, c, s)) {
    clamp<Count>(s, c, events);
  } else {
    s = exact_steps<Divide, Count>(x, c, events);
  }
  const __m256i low = _mm256_add_epi16(s.low, c.zero_point);
  const __m256i high = _mm256_add_epi16(s.high, c.zero_point);
  const __m256i bytes = is_signed ? _mm256_packs_epi16(low, high) : _mm256_packus_epi16(low, high);
  _mm256_storeu_si256(
      reinterpret_cast<__m256i*>(to),
      _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7)));
}

template <bool Divide, bool Count>
ZP_ISA inline void quantize_row(const quantize_job& j) {
  const constants c(j);
  auto* to = static_cast<std::uint8_t*>(j.codes);
  std::size_t i = 0;
  for (; i + 32 <= j.n; i += 32) {
    quantize_block<Divide, Count>(j.x + i, c, j.is_signed, j.events, to + i);
  }
  if (i == j.n) return;
  float tail[32] = {};
  std::uint8_t codes[32];
  std::memcpy(tail, j.x + i, (j.n - i) * sizeof(float));
  quantize_block<Divide, Count>(tail, c, j.is_signed, j.events, codes);
  std::memcpy(to + i, codes, j.n - i);
}

inline void quantize(const quantize_job& j) {
  constexpr void (*of[2][2])(const quantize_job&) = {
      {quantize_row<false, false>, quantize_row<false, true>},
      {quantize_row<true, false>, quantize_row<true, true>}};
  of[j.divide][j.events != nullptr](j);
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
