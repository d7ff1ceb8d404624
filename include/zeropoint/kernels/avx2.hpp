// AVX2 without VNNI. The byte instruction of this generation, vpmaddubsw, adds two products into 16
// bits *with saturation* (255 * 127 * 2 = 64770 becomes 32767), so both sides are widened to 16
// bits first: vpmaddwd adds two exact products into 32 bits. Exact for all of int8 and uint8. Where
// packing proves that nothing can saturate, avx2_narrow.hpp takes over.
// Tiles of 6 x 16 outputs: 12 accumulators, 2 registers of b, 1 broadcast, 1 product.
#pragma once

#include <zeropoint/kernels/avx2_narrow.hpp>
#include <zeropoint/kernels/int4_avx2.hpp>
#include <zeropoint/kernels/kernel.hpp>
#include <zeropoint/kernels/ymm_sums.hpp>

#if ZP_X86
#include <immintrin.h>

#include <cstring>
#include <utility>

#define ZP_ISA ZP_TARGET("avx2,fma")

namespace zeropoint::inline ZP_BASELINE {
namespace kernels::avx2 {

using ymm::lanes;

template <class Rows, class Vectors>
struct tile;

template <std::size_t... R, std::size_t... V>
struct tile<std::index_sequence<R...>, std::index_sequence<V...>> {
  using shared = ymm::tile_sums<std::index_sequence<R...>, std::index_sequence<V...>>;
  using sums = typename shared::sums;
  static constexpr std::size_t rows = shared::rows, vectors = shared::vectors;

  ZP_ISA ZP_ALWAYS_INLINE static void dot_row(lanes (&acc)[vectors], const std::int16_t* a,
                                              const lanes (&w)[vectors]) {
    std::int32_t two;
    std::memcpy(&two, a, 4);
    const __m256i x = _mm256_set1_epi32(two);
    ((acc[V] += reinterpret_cast<lanes>(_mm256_madd_epi16(x, reinterpret_cast<__m256i>(w[V])))),
     ...);
  }
  ZP_ISA ZP_ALWAYS_INLINE static void group(sums& acc, const std::int16_t* const (&a)[rows],
                                            std::size_t k, const std::int8_t* b) {
    const lanes w[] = {reinterpret_cast<lanes>(
        _mm256_cvtepi8_epi16(_mm_load_si128(reinterpret_cast<const __m128i*>(b + 16 * V))))...};
    (dot_row(acc[R], a[R] + k, w), ...);
  }

  /// Rows first .. first + rows of the job.
  ZP_ISA static void run(const panel_job& job, std::size_t first) {
    const auto* base = static_cast<const char*>(job.a) + first * job.a_stride;
    const std::int16_t* const a[] = {
        reinterpret_cast<const std::int16_t*>(base + R * job.a_stride)...};
    const std::int8_t* b = job.b;

    sums acc;
    shared::fill(acc, job);
    const std::size_t ahead = shared::fetch_distance(job, first);
    std::size_t k = 0;
    if constexpr (rows <= 3) {  // of more rows g++ 12 would start all products first and spill them
      for (; k + 4 <= job.k; k += 4, b += 2 * 16 * vectors) {
        __builtin_prefetch(b + ahead);
        group(acc, a, k, b);
        group(acc, a, k + 2, b + 16 * vectors);
      }
    }
    for (; k < job.k; k += 2, b += 16 * vectors) {
      __builtin_prefetch(b + ahead);  // each line twice
      group(acc, a, k, b);
    }

    shared::finish(acc, job, first);
  }
};

template <std::size_t Vectors, std::size_t... R>
inline void multiply_rows(const panel_job& job, std::index_sequence<R...>) {
  static constexpr void (*of_height[])(const panel_job&, std::size_t) = {
      &tile<std::make_index_sequence<R + 1>, std::make_index_sequence<Vectors>>::run...};
  by_row_blocks(job, of_height);
}
template <std::size_t Vectors, std::size_t Mr>
inline void multiply(const panel_job& job) {
  multiply_rows<Vectors>(job, std::make_index_sequence<Mr>{});
}

ZP_ISA inline void prepare(const prepare_job& job) {
  for (std::size_t i = 0; i < job.m; ++i) {
    const std::uint8_t* a = job.a + i * job.a_stride;
    auto* out = reinterpret_cast<std::int16_t*>(static_cast<char*>(job.out) + i * job.out_stride);
    std::size_t k = 0;
    for (; k + 16 <= job.k; k += 16) {
      const __m128i x = _mm_loadu_si128(reinterpret_cast<const __m128i*>(a + k));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + k),
                          job.is_signed ? _mm256_cvtepi8_epi16(x) : _mm256_cvtepu8_epi16(x));
    }
    for (; k < job.k; ++k) {
      const int value = job.is_signed ? static_cast<std::int8_t>(a[k]) : a[k];
      out[k] = static_cast<std::int16_t>(value);
    }
    for (; k < job.padded_k; ++k) out[k] = 0;
  }
}

inline constexpr panel_format formats[] = {{6, 16, &multiply<2, 6>}};
inline constexpr kernel table{.name = "avx2",
                              .needs = isa::avx2_fma,
                              .a = operand::s16,
                              .k_group = 2,
                              .prepare = &prepare,
                              .formats = formats,
                              .format_count = 1,
                              .int4 = &int4,
                              .if_certified = &avx2_narrow::table};

}  // namespace kernels::avx2
}  // namespace zeropoint::inline ZP_BASELINE
#undef ZP_ISA
#endif  // ZP_X86
