// AVX2 without VNNI, for weights with an overflow certificate (gemm/overflow_certificate.hpp):
// vpmaddubsw adds two products of bytes in 16 bits, which packing has proven to fit, and vpmaddwd two
// such pairs in 32. 32 products by 3 instructions where avx2.hpp takes 4, and rows of half the size.
// Tiles of 5 x 16 outputs: 10 accumulators, 2 registers of b, 1 broadcast, 1 or 2 products, 1 constant.
// Never in the list of kernels: packing for avx2 comes here by itself where the proof holds.
#pragma once

#include <zeropoint/kernels/int4_avx2.hpp>
#include <zeropoint/kernels/kernel.hpp>
#include <zeropoint/kernels/ymm_sums.hpp>

#if ZP_X86
#include <immintrin.h>

#include <cstring>
#include <utility>

#define ZP_ISA ZP_TARGET("avx2,fma")

namespace zeropoint::inline ZP_BASELINE {
namespace kernels::avx2_narrow {

using ymm::lanes;

template <class Rows, class Vectors>
struct tile;

template <std::size_t... R, std::size_t... V>
struct tile<std::index_sequence<R...>, std::index_sequence<V...>> {
  using shared = ymm::tile_sums<std::index_sequence<R...>, std::index_sequence<V...>>;
  using sums = typename shared::sums;
  static constexpr std::size_t rows = shared::rows, vectors = shared::vectors;

  ZP_ISA ZP_ALWAYS_INLINE static void dot_row(lanes (&acc)[vectors], const std::uint8_t* a,
                                              const lanes (&w)[vectors]) {
    std::int32_t four;
    std::memcpy(&four, a, 4);
    const __m256i x = _mm256_set1_epi32(four), ones = _mm256_set1_epi16(1);
    ((acc[V] += reinterpret_cast<lanes>(
          _mm256_madd_epi16(_mm256_maddubs_epi16(x, reinterpret_cast<__m256i>(w[V])), ones))),
     ...);
  }
  ZP_ISA ZP_ALWAYS_INLINE static void group(sums& acc, const std::uint8_t* const (&a)[rows],
                                            std::size_t k, const std::int8_t* b) {
    const lanes w[] = {reinterpret_cast<lanes>(
        _mm256_load_si256(reinterpret_cast<const __m256i*>(b + 32 * V)))...};
    (dot_row(acc[R], a[R] + k, w), ...);
  }

  /// Rows first .. first + rows of the job.
  ZP_ISA static void run(const panel_job& job, std::size_t first) {
    const auto* base = static_cast<const std::uint8_t*>(job.a) + first * job.a_stride;
    const std::uint8_t* const a[] = {base + R * job.a_stride...};
    const std::int8_t* b = job.b;

    sums acc;
    shared::fill(acc, job);
    const std::size_t ahead = shared::fetch_distance(job, first);
    for (std::size_t k = 0; k < job.k; k += 4, b += 32 * vectors) {
      __builtin_prefetch(b + ahead);
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

inline void prepare(const prepare_job& job) {
  ymm::prepare_bytes(job, job.shift);
}

inline constexpr panel_format formats[] = {{5, 16, &multiply<2, 5>}};
inline constexpr kernel table{.name = "avx2_narrow",
                              .needs = isa::avx2_fma,
                              .a = operand::u8,
                              .k_group = 4,
                              .prepare = &prepare,
                              .formats = formats,
                              .format_count = 1,
                              .int4 = &avx2::int4,
                              .needs_certificate = true};

}  // namespace kernels::avx2_narrow
}  // namespace zeropoint::inline ZP_BASELINE
#undef ZP_ISA
#endif  // ZP_X86
