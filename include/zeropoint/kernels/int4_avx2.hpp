// AVX2 for 4-bit weights (contract: int4.hpp). vpmaddubsw saturates for bytes, but not here: a pair
// of nibbles times bytes is at most 2 * 15 * 128 = 3840, and the 8 pairs of 32 k add up to 30720,
// within 16 bits. So 32 k take 8 byte products and one widening sum, exactly.
// Tiles of 2 x 16 outputs: 4 sums each of 16 bits, 32 bits and float.
#pragma once

#include <zeropoint/kernels/int4.hpp>
#include <zeropoint/kernels/kernel.hpp>

#if ZP_X86
#include <immintrin.h>

#include <cstring>
#include <utility>

#define ZP_ISA ZP_TARGET("avx2,fma,f16c")

namespace zeropoint::inline ZP_BASELINE {
namespace kernels::avx2 {

template <class Rows, class Vectors, bool Half, bool Zeros>
struct int4_tile;

template <std::size_t... R, std::size_t... V, bool Half, bool Zeros>
struct int4_tile<std::index_sequence<R...>, std::index_sequence<V...>, Half, Zeros> {
  static constexpr std::size_t rows = sizeof...(R), vectors = sizeof...(V), nr = 8 * vectors;
  static constexpr std::size_t step_bytes = 32 * vectors;  // of b per 8 k
  static constexpr std::size_t scale_bytes = nr * (Half ? 2 : 4);
  using sums = __m256i[rows][vectors];
  using totals = __m256[rows][vectors];

  ZP_ISA ZP_ALWAYS_INLINE static __m256i load(const std::uint8_t* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  ZP_ISA ZP_ALWAYS_INLINE static void dot_row(__m256i (&acc)[vectors], const std::int8_t* a,
                                              const __m256i (&low)[vectors],
                                              const __m256i (&high)[vectors]) {
    std::int32_t four[2];
    std::memcpy(four, a, 8);
    const __m256i x = _mm256_set1_epi32(four[0]), y = _mm256_set1_epi32(four[1]);
    ((acc[V] = _mm256_add_epi16(acc[V], _mm256_add_epi16(_mm256_maddubs_epi16(low[V], x),
                                                         _mm256_maddubs_epi16(high[V], y)))),
     ...);
  }
  ZP_ISA ZP_ALWAYS_INLINE static void step(sums& acc, const std::int8_t* const (&a)[rows],
                                           std::size_t k, const std::uint8_t* b) {
    const __m256i mask = _mm256_set1_epi8(15);
    const __m256i low[] = {_mm256_and_si256(load(b + 32 * V), mask)...};
    const __m256i high[] = {_mm256_and_si256(_mm256_srli_epi16(load(b + 32 * V), 4), mask)...};
    (dot_row(acc[R], a[R] + k, low, high), ...);
  }

  /// acc = -zero * sum of the row over the group.
  ZP_ISA ZP_ALWAYS_INLINE static void start_row(__m256i (&acc)[vectors], std::int32_t minus_sum,
                                                const std::uint8_t* zeros) {
    const __m256i sum = _mm256_set1_epi32(minus_sum);
    if constexpr (Zeros) {
      ((acc[V] = _mm256_mullo_epi32(sum, _mm256_cvtepu8_epi32(_mm_loadl_epi64(
                                             reinterpret_cast<const __m128i*>(zeros + 8 * V))))),
       ...);
    } else {
      ((acc[V] = _mm256_slli_epi32(sum, 3)), ...);
    }
  }
  ZP_ISA ZP_ALWAYS_INLINE static void clear_row(__m256i (&acc)[vectors]) {
    ((acc[V] = _mm256_setzero_si256()), ...);
  }
  ZP_ISA ZP_ALWAYS_INLINE static void clear_row(__m256 (&total)[vectors]) {
    ((total[V] = _mm256_setzero_ps()), ...);
  }
  ZP_ISA ZP_ALWAYS_INLINE static void widen_row(__m256i (&to)[vectors],
                                                const __m256i (&from)[vectors]) {
    const __m256i ones = _mm256_set1_epi16(1);
    ((to[V] = _mm256_add_epi32(to[V], _mm256_madd_epi16(from[V], ones))), ...);
  }
  ZP_ISA ZP_ALWAYS_INLINE static __m256 scale(const std::uint8_t* scales, std::size_t v) {
    if constexpr (Half) {
      return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(scales + 16 * v)));
    } else {
      return _mm256_castsi256_ps(load(scales + 32 * v));
    }
  }
  ZP_ISA ZP_ALWAYS_INLINE static void scale_row(__m256 (&total)[vectors],
                                                const __m256i (&acc)[vectors],
                                                const std::uint8_t* scales) {
    ((total[V] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(acc[V]), scale(scales, V), total[V])), ...);
  }
  ZP_ISA ZP_ALWAYS_INLINE static __m256i live(std::size_t n, std::size_t v) {
    const __m256i column = _mm256_add_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7),
                                            _mm256_set1_epi32(static_cast<int>(8 * v)));
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), column);
  }
  ZP_ISA ZP_ALWAYS_INLINE static void store_row(const __m256 (&total)[vectors], float* y,
                                                float row_scale, const int4_job& job) {
    const __m256 row = _mm256_set1_ps(row_scale);
    (_mm256_maskstore_ps(y + 8 * V, live(job.n, V),
                         _mm256_fmadd_ps(total[V], row, _mm256_loadu_ps(job.bias + 8 * V))),
     ...);
  }

  /// Rows first .. first + rows of the job.
  ZP_ISA static void run(const int4_job& job, std::size_t first) {
    const std::int8_t* const a[] = {job.a + (first + R) * job.a_stride...};
    const std::uint8_t* b = job.b;
    const std::int32_t* minus_sums = job.minus_sums + first * job.groups;
    std::size_t k = 0;
    totals total;
    (clear_row(total[R]), ...);
    for (std::size_t g = 0; g < job.groups; ++g) {
      const std::uint8_t *scales = b, *zeros = b + scale_bytes;
      b = zeros + (Zeros ? nr : 0);
      sums acc;
      (start_row(acc[R], minus_sums[R * job.groups + g], zeros), ...);
      for (const std::size_t end = k + job.group; k < end; k += 32, b += 4 * step_bytes) {
        sums pairs;
        (clear_row(pairs[R]), ...);
        step(pairs, a, k, b);
        step(pairs, a, k + 8, b + step_bytes);
        step(pairs, a, k + 16, b + 2 * step_bytes);
        step(pairs, a, k + 24, b + 3 * step_bytes);
        (widen_row(acc[R], pairs[R]), ...);
      }
      (scale_row(total[R], acc[R], scales), ...);
    }
    (store_row(total[R], job.y + (first + R) * job.stride,
               job.row_scale[(first + R) * job.row_scale_step], job),
     ...);
  }
};

template <bool Half, bool Zeros>
inline void multiply_int4(const int4_job& job) {
  using columns = std::make_index_sequence<2>;
  for (std::size_t first = 0; first < job.m; first += 2) {
    if (job.m - first == 1) {
      int4_tile<std::make_index_sequence<1>, columns, Half, Zeros>::run(job, first);
    } else {
      int4_tile<std::make_index_sequence<2>, columns, Half, Zeros>::run(job, first);
    }
  }
}

inline constexpr int4_format int4{2,
                                  16,
                                  {{&multiply_int4<false, false>, &multiply_int4<false, true>},
                                   {&multiply_int4<true, false>, &multiply_int4<true, true>}}};

}  // namespace kernels::avx2
}  // namespace zeropoint::inline ZP_BASELINE
#undef ZP_ISA
#endif  // ZP_X86
