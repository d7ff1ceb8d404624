// AVX2 for 4-bit weights (contract: int4.hpp). vpmaddubsw saturates for bytes, but not here: a pair
// of products of nibbles and bytes is at most 2 * 15 * 128 = 3840, so two pairs are added in 16 bits,
// exactly, before one widening sum. Tiles of 3 x 16 outputs: 6 integer sums, 4 registers of nibbles,
// 2 broadcasts, 1 product, 2 constants; the float sums, needed once a group, are in memory.
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

// As in avx2.hpp: of an int vector type, only cast to __m256i at the intrinsic, or g++ 12 spills.
using int4_lanes = int __attribute__((vector_size(32)));  // 8 outputs

template <class Rows, class Vectors, bool Half, bool Zeros>
struct int4_tile;

template <std::size_t... R, std::size_t... V, bool Half, bool Zeros>
struct int4_tile<std::index_sequence<R...>, std::index_sequence<V...>, Half, Zeros> {
  static constexpr std::size_t rows = sizeof...(R), vectors = sizeof...(V), nr = 8 * vectors;
  static constexpr std::size_t step_bytes = 32 * vectors;  // of b per 8 k
  static constexpr std::size_t scale_bytes = nr * (Half ? 2 : 4);
  using sums = int4_lanes[rows][vectors];

  ZP_ISA ZP_ALWAYS_INLINE static __m256i load(const std::uint8_t* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  /// Pairs of products of eight k, at most 4 * 15 * 128 = 7680 together, then widened.
  ZP_ISA ZP_ALWAYS_INLINE static int4_lanes products(int4_lanes low, int4_lanes high, __m256i x,
                                                     __m256i y) {
    const __m256i pairs =
        _mm256_add_epi16(_mm256_maddubs_epi16(reinterpret_cast<__m256i>(low), x),
                         _mm256_maddubs_epi16(reinterpret_cast<__m256i>(high), y));
    return reinterpret_cast<int4_lanes>(_mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
  }
  ZP_ISA ZP_ALWAYS_INLINE static void dot_row(int4_lanes (&acc)[vectors], const std::int8_t* a,
                                              const int4_lanes (&low)[vectors],
                                              const int4_lanes (&high)[vectors]) {
    std::int32_t four[2];
    std::memcpy(four, a, 8);
    const __m256i x = _mm256_set1_epi32(four[0]), y = _mm256_set1_epi32(four[1]);
    ((acc[V] += products(low[V], high[V], x, y)), ...);
  }
  ZP_ISA ZP_ALWAYS_INLINE static void step(sums& acc, const std::int8_t* const (&a)[rows],
                                           std::size_t k, const std::uint8_t* b) {
    const __m256i mask = _mm256_set1_epi8(15);
    const int4_lanes low[] = {
        reinterpret_cast<int4_lanes>(_mm256_and_si256(load(b + 32 * V), mask))...};
    const int4_lanes high[] = {reinterpret_cast<int4_lanes>(
        _mm256_and_si256(_mm256_srli_epi16(load(b + 32 * V), 4), mask))...};
    (dot_row(acc[R], a[R] + k, low, high), ...);
  }

  /// acc = -zero * sum of the row over the group.
  ZP_ISA ZP_ALWAYS_INLINE static int4_lanes start(std::int32_t minus_sum,
                                                  const std::uint8_t* zeros) {
    const __m256i sum = _mm256_set1_epi32(minus_sum);
    if constexpr (Zeros) {
      const __m128i eight = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(zeros));
      return reinterpret_cast<int4_lanes>(_mm256_mullo_epi32(sum, _mm256_cvtepu8_epi32(eight)));
    } else {
      return reinterpret_cast<int4_lanes>(_mm256_slli_epi32(sum, 3));
    }
  }
  ZP_ISA ZP_ALWAYS_INLINE static void start_row(int4_lanes (&acc)[vectors], std::int32_t minus_sum,
                                                const std::uint8_t* zeros) {
    ((acc[V] = start(minus_sum, zeros + 8 * V)), ...);
  }
  ZP_ISA ZP_ALWAYS_INLINE static __m256 scale(const std::uint8_t* scales, std::size_t v) {
    if constexpr (Half) {
      return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(scales + 16 * v)));
    } else {
      return _mm256_castsi256_ps(load(scales + 32 * v));
    }
  }
  ZP_ISA ZP_ALWAYS_INLINE static void scale_row(float* total, const int4_lanes (&acc)[vectors],
                                                const std::uint8_t* scales) {
    (_mm256_store_ps(total + 8 * V,
                     _mm256_fmadd_ps(_mm256_cvtepi32_ps(reinterpret_cast<__m256i>(acc[V])),
                                     scale(scales, V), _mm256_load_ps(total + 8 * V))),
     ...);
  }
  ZP_ISA ZP_ALWAYS_INLINE static __m256i live(std::size_t n, std::size_t v) {
    const __m256i column = _mm256_add_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7),
                                            _mm256_set1_epi32(static_cast<int>(8 * v)));
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), column);
  }
  ZP_ISA ZP_ALWAYS_INLINE static void store_row(const float* total, float* y, float row_scale,
                                                const int4_job& job) {
    const __m256 row = _mm256_set1_ps(row_scale);
    (_mm256_maskstore_ps(
         y + 8 * V, live(job.n, V),
         _mm256_fmadd_ps(_mm256_load_ps(total + 8 * V), row, _mm256_loadu_ps(job.bias + 8 * V))),
     ...);
  }

  /// Rows first .. first + rows of the job.
  ZP_ISA static void run(const int4_job& job, std::size_t first) {
    const std::int8_t* const a[] = {job.a + (first + R) * job.a_stride...};
    const std::uint8_t* b = job.b;
    const std::int32_t* minus_sums = job.minus_sums + first * job.groups;
    std::size_t k = 0;
    alignas(32) float total[rows * nr] = {};  // in memory: the registers are for the inner loop
    for (std::size_t g = 0; g < job.groups; ++g) {
      const std::uint8_t *scales = b, *zeros = b + scale_bytes;
      b = zeros + (Zeros ? nr : 0);
      sums acc;
      (start_row(acc[R], minus_sums[R * job.groups + g], zeros), ...);
      for (const std::size_t end = k + job.group; k < end; k += 8, b += step_bytes) {
        step(acc, a, k, b);
      }
      (scale_row(total + R * nr, acc[R], scales), ...);
    }
    (store_row(total + R * nr, job.y + (first + R) * job.stride,
               job.row_scale[(first + R) * job.row_scale_step], job),
     ...);
  }
};

template <bool Half, bool Zeros, std::size_t... R>
inline void multiply_int4_rows(const int4_job& job, std::index_sequence<R...>) {
  static constexpr void (*of_height[])(const int4_job&, std::size_t) = {
      &int4_tile<std::make_index_sequence<R + 1>, std::make_index_sequence<2>, Half,
                 Zeros>::run...};
  by_row_blocks(job, of_height);
}
template <bool Half, bool Zeros>
inline void multiply_int4(const int4_job& job) {
  multiply_int4_rows<Half, Zeros>(job, std::make_index_sequence<3>{});
}

inline constexpr int4_format int4{4,
                                  16,
                                  {{&multiply_int4<false, false>, &multiply_int4<false, true>},
                                   {&multiply_int4<true, false>, &multiply_int4<true, true>}}};

}  // namespace kernels::avx2
}  // namespace zeropoint::inline ZP_BASELINE
#undef ZP_ISA
#endif  // ZP_X86
