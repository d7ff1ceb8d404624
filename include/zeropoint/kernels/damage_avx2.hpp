// The damage of a quantization for AVX2 with FMA: 8 floats a step, sums in double. Contract:
// rows.hpp.
#pragma once

#include <zeropoint/base/platform.hpp>
#include <zeropoint/kernels/quantize_avx2.hpp>
#include <zeropoint/kernels/rows.hpp>

#if ZP_X86
#include <immintrin.h>

#include <cstring>

#define ZP_ISA ZP_TARGET("avx2,fma,popcnt")

namespace zeropoint::inline ZP_BASELINE {
namespace kernels::rows_avx2 {

/// The sums in registers, lanes 0 to 3 and 4 to 7. Products of floats are exact in double: a fused
/// multiply-add gives the bits of the definition. What does not count is a zero, which changes no sum.
struct damage_lanes {
  __m256d signal[2], rounding[2], clipping[2];
  __m256 max;

  ZP_ISA ZP_ALWAYS_INLINE explicit damage_lanes(const damage_sums& s)
      : signal{_mm256_loadu_pd(s.signal), _mm256_loadu_pd(s.signal + 4)},
        rounding{_mm256_loadu_pd(s.rounding), _mm256_loadu_pd(s.rounding + 4)},
        clipping{_mm256_loadu_pd(s.clipping), _mm256_loadu_pd(s.clipping + 4)},
        max(_mm256_loadu_ps(s.max)) {}
  ZP_ISA ZP_ALWAYS_INLINE void store(damage_sums& s) const {
    for (std::size_t h = 0; h < 2; ++h) {
      _mm256_storeu_pd(s.signal + 4 * h, signal[h]);
      _mm256_storeu_pd(s.rounding + 4 * h, rounding[h]);
      _mm256_storeu_pd(s.clipping + 4 * h, clipping[h]);
    }
    _mm256_storeu_ps(s.max, max);
  }
  ZP_ISA ZP_ALWAYS_INLINE static void add_squares(__m256d (&to)[2], __m256 x) {
    const __m256d low = _mm256_cvtps_pd(_mm256_castps256_ps128(x));
    const __m256d high = _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1));
    to[0] = _mm256_fmadd_pd(low, low, to[0]);
    to[1] = _mm256_fmadd_pd(high, high, to[1]);
  }
  ZP_ISA ZP_ALWAYS_INLINE void see(__m256 error) {
    max = _mm256_max_ps(max, _mm256_andnot_ps(_mm256_set1_ps(-0.0f), error));
  }
};

/// The codes that occurred, 256 bits, in registers. Soon they are all there: 32 codes are looked up at
/// once, by the byte that their bit lies in, and only new ones are written.
struct level_table {
  __m256i lower, upper;

  ZP_ISA ZP_ALWAYS_INLINE explicit level_table(const damage_sums& s)
      : lower(_mm256_broadcastsi128_si256(
            _mm_loadu_si128(reinterpret_cast<const __m128i*>(s.levels)))),
        upper(_mm256_broadcastsi128_si256(
            _mm_loadu_si128(reinterpret_cast<const __m128i*>(s.levels + 16)))) {}
  /// Those of 32 codes that are not.
  ZP_ISA ZP_ALWAYS_INLINE std::uint32_t missing(__m256i codes) const {
    const __m256i byte = _mm256_and_si256(_mm256_srli_epi16(codes, 3), _mm256_set1_epi8(15));
    const __m256i bit =
        _mm256_shuffle_epi8(_mm256_set1_epi64x(static_cast<long long>(0x8040201008040201u)),
                            _mm256_and_si256(codes, _mm256_set1_epi8(7)));
    const __m256i there = _mm256_blendv_epi8(_mm256_shuffle_epi8(lower, byte),
                                             _mm256_shuffle_epi8(upper, byte), codes);
    return static_cast<std::uint32_t>(_mm256_movemask_epi8(
        _mm256_cmpeq_epi8(_mm256_and_si256(there, bit), _mm256_setzero_si256())));
  }
};

template <bool Signed>
ZP_ISA ZP_ALWAYS_INLINE __m256i steps_of(__m128i q, std::int32_t zero_point) {
  return _mm256_sub_epi32(Signed ? _mm256_cvtepi8_epi32(q) : _mm256_cvtepu8_epi32(q),
                          _mm256_set1_epi32(zero_point));
}
/// Values that became real zero without being it, among all without a step.
ZP_ISA ZP_ALWAYS_INLINE __m256 underflows(__m256 x, __m256i steps) {
  const __m256 no_step = _mm256_castsi256_ps(_mm256_cmpeq_epi32(steps, _mm256_setzero_si256()));
  return _mm256_and_ps(no_step, _mm256_cmp_ps(x, _mm256_setzero_ps(), _CMP_NEQ_UQ));
}

/// The first n <= 8 values of any kind, from i on. The sums come and go by value: those of the loop stay
/// in registers.
template <bool Divide, bool Signed>
ZP_ISA ZP_NOINLINE damage_lanes add_any(damage_lanes sums, const damage_job& j, std::size_t i,
                                        std::size_t n) {
  const __m256i live = first_lanes(n);
  const __m256 x = first_floats(j.x + i, n);
  std::uint64_t eight = 0;
  std::memcpy(&eight, static_cast<const std::uint8_t*>(j.codes) + i, n);
  const __m256i steps = _mm256_and_si256(
      live, steps_of<Signed>(_mm_cvtsi64_si128(static_cast<long long>(eight)), j.zero_point));
  const __m256 factor = _mm256_set1_ps(Divide ? j.scale : j.inverse);
  const __m256 nan = _mm256_cmp_ps(x, x, _CMP_UNORD_Q);
  const __m256 is_finite = _mm256_castsi256_ps(finite(magnitude(x)));
  const __m256 t = Divide ? _mm256_div_ps(x, factor) : _mm256_mul_ps(x, factor);
  const __m256 low =
      _mm256_and_ps(is_finite, _mm256_cmp_ps(t, _mm256_set1_ps(j.low_edge), _CMP_LT_OQ));
  const __m256 high =
      _mm256_and_ps(is_finite, _mm256_cmp_ps(t, _mm256_set1_ps(j.high_edge), _CMP_GT_OQ));
  const __m256 clipped = _mm256_or_ps(low, high);
  const __m256 value = _mm256_and_ps(is_finite, x);
  const __m256d scale = _mm256_set1_pd(static_cast<double>(j.scale));
  const auto error = [scale](__m128 of, __m128i steps_of_it) ZP_ISA {
    return _mm256_cvtpd_ps(
        _mm256_fnmadd_pd(scale, _mm256_cvtepi32_pd(steps_of_it), _mm256_cvtps_pd(of)));
  };
  const __m128 low_error = error(_mm256_castps256_ps128(value), _mm256_castsi256_si128(steps));
  const __m128 high_error =
      error(_mm256_extractf128_ps(value, 1), _mm256_extracti128_si256(steps, 1));
  const __m256 e = _mm256_and_ps(
      is_finite, _mm256_insertf128_ps(_mm256_castps128_ps256(low_error), high_error, 1));
  sums.see(e);
  damage_lanes::add_squares(sums.signal, value);
  damage_lanes::add_squares(sums.rounding, _mm256_andnot_ps(clipped, e));
  damage_lanes::add_squares(sums.clipping, _mm256_and_ps(clipped, e));
  j.sums->underflow +=
      lanes_of(_mm256_andnot_ps(clipped, _mm256_and_ps(is_finite, underflows(x, steps))));
  add({lanes_of(low), lanes_of(high), lanes_of(nan), 8 - lanes_of(_mm256_or_ps(is_finite, nan))},
      j.sums->events);
  return sums;
}

template <bool Divide, bool Signed>
ZP_ISA inline void damage_row(const damage_job& j) {
  const float_range kept = surely_kept(j);
  const __m256 least = _mm256_set1_ps(kept.min), most = _mm256_set1_ps(kept.max);
  const __m256 scale = _mm256_set1_ps(j.scale);
  const std::int32_t zero_point = j.zero_point;
  const std::size_t n = j.n;
  const float* const x = j.x;
  const auto* const codes = static_cast<const std::uint8_t*>(j.codes);
  damage_lanes sums(*j.sums);
  level_table levels(*j.sums);
  __m256i underflow = _mm256_setzero_si256();  // minus their number
  for (std::size_t i = 0; i < n; i += 32) {
    const std::size_t end = n - i < 32 ? n : i + 32, whole = i + (end - i) / 8 * 8;
    std::uint8_t tail[32] = {};
    const std::uint8_t* const some = end - i == 32 ? codes + i : tail;
    if (some == tail) std::memcpy(tail, codes + i, end - i);
    std::uint32_t fresh =
        levels.missing(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(some)));
    if (some == tail) fresh &= (1u << (end - i)) - 1;
    if (__builtin_expect(fresh != 0, 0)) {
      insert_levels(some, fresh, *j.sums);
      levels = level_table(*j.sums);
    }
    for (std::size_t v = i; v < whole; v += 8) {
      const __m256 eight = _mm256_loadu_ps(x + v);
      const __m256 out = _mm256_or_ps(_mm256_cmp_ps(eight, least, _CMP_NGE_UQ),  // or NaN
                                      _mm256_cmp_ps(eight, most, _CMP_NLE_UQ));
      if (__builtin_expect(_mm256_movemask_ps(out) != 0, 0)) {
        sums = add_any<Divide, Signed>(sums, j, v, 8);
        continue;
      }
      // Of values that are kept the error is as exact in float as in double: value and nearest step
      // are so near each other that their difference has 26 bits, and the fma rounds it once.
      const __m256i steps = steps_of<Signed>(
          _mm_loadl_epi64(reinterpret_cast<const __m128i*>(codes + v)), zero_point);
      const __m256 error = _mm256_fnmadd_ps(scale, _mm256_cvtepi32_ps(steps), eight);
      sums.see(error);
      damage_lanes::add_squares(sums.signal, eight);
      damage_lanes::add_squares(sums.rounding, error);
      underflow = _mm256_add_epi32(underflow, _mm256_castps_si256(underflows(eight, steps)));
    }
    if (whole != end) sums = add_any<Divide, Signed>(sums, j, whole, end - whole);
  }
  sums.store(*j.sums);
  alignas(32) std::int32_t lost[8];
  _mm256_store_si256(reinterpret_cast<__m256i*>(lost), underflow);
  for (const std::int32_t lane : lost) j.sums->underflow += static_cast<std::uint32_t>(-lane);
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
