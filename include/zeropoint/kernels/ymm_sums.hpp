// What the kernels of 256-bit registers share: the sums of a tile from their start to the outputs of
// the contract (kernel.hpp). They differ in how they multiply: avx2.hpp, avx2_narrow.hpp,
// avx_vnni.hpp.
#pragma once

#include <zeropoint/kernels/kernel.hpp>

#if ZP_X86
#include <immintrin.h>

#include <utility>

#define ZP_ISA ZP_TARGET("avx2,fma")

namespace zeropoint::inline ZP_BASELINE {
namespace kernels::ymm {

using lanes = unsigned __attribute__((vector_size(32)));  // 8 outputs; unsigned: sums may wrap

template <class Rows, class Vectors>
struct tile_sums;

template <std::size_t... R, std::size_t... V>
struct tile_sums<std::index_sequence<R...>, std::index_sequence<V...>> {
  static constexpr std::size_t rows = sizeof...(R), vectors = sizeof...(V);
  using sums = lanes[rows][vectors];

  ZP_ISA ZP_ALWAYS_INLINE static __m256i load(const std::int32_t* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  ZP_ISA ZP_ALWAYS_INLINE static void copy_row(lanes (&to)[vectors], const lanes (&from)[vectors]) {
    ((to[V] = from[V]), ...);
  }
  /// What the dot products are added to.
  ZP_ISA ZP_ALWAYS_INLINE static void fill(sums& acc, const panel_job& job) {
    const __m256i factor = _mm256_set1_epi32(job.factor);
    const lanes start[] = {
        reinterpret_cast<lanes>(_mm256_mullo_epi32(factor, load(job.sums + 8 * V)))...};
    (copy_row(acc[R], start), ...);
  }
  ZP_ISA ZP_ALWAYS_INLINE static void clear_row(lanes (&acc)[vectors]) {
    ((acc[V] = lanes{}), ...);
  }
  ZP_ISA ZP_ALWAYS_INLINE static void clear(sums& acc) { (clear_row(acc[R]), ...); }
  ZP_ISA ZP_ALWAYS_INLINE static void add_row(lanes (&to)[vectors], const lanes (&from)[vectors]) {
    ((to[V] += from[V]), ...);
  }
  ZP_ISA ZP_ALWAYS_INLINE static void add(sums& to, const sums& from) {
    (add_row(to[R], from[R]), ...);
  }
  ZP_ISA ZP_ALWAYS_INLINE static void outer_row(lanes (&acc)[vectors], std::int32_t row,
                                                const std::int32_t* column) {
    const __m256i x = _mm256_set1_epi32(row);
    ((acc[V] = reinterpret_cast<lanes>(_mm256_add_epi32(
          reinterpret_cast<__m256i>(acc[V]), _mm256_mullo_epi32(x, load(column + 8 * V))))),
     ...);
  }
  ZP_ISA ZP_ALWAYS_INLINE static void outer(sums& acc, const rank_one& term, std::size_t first) {
    if (term.row != nullptr) (outer_row(acc[R], term.row[first + R], term.column), ...);
  }

  /// How far ahead of itself the first tile of a panel fetches it, in bytes; 0, which asks for what is
  /// there already, where the weights stay in the second-level cache or another tile has fetched them.
  ZP_ISA ZP_ALWAYS_INLINE static std::size_t fetch_distance(const panel_job& job,
                                                            std::size_t first) {
    return job.next != nullptr && first == 0 ? 4096 : 0;
  }

  /// The lanes of vector v that are live columns, as a mask of sign bits.
  ZP_ISA ZP_ALWAYS_INLINE static lanes live(std::size_t n, std::size_t v) {
    const __m256i column = _mm256_add_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7),
                                            _mm256_set1_epi32(static_cast<int>(8 * v)));
    return reinterpret_cast<lanes>(
        _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), column));
  }
  ZP_ISA ZP_ALWAYS_INLINE static void store_row(const lanes (&acc)[vectors], std::int32_t* c,
                                                const lanes (&mask)[vectors]) {
    (_mm256_maskstore_epi32(c + 8 * V, reinterpret_cast<__m256i>(mask[V]),
                            reinterpret_cast<__m256i>(acc[V])),
     ...);
  }
  ZP_ISA ZP_ALWAYS_INLINE static void scale_row(const lanes (&acc)[vectors], float* y, float scale,
                                                const panel_job& job,
                                                const lanes (&mask)[vectors]) {
    const __m256 row = _mm256_set1_ps(scale);
    (_mm256_maskstore_ps(
         y + 8 * V, reinterpret_cast<__m256i>(mask[V]),
         _mm256_fmadd_ps(_mm256_cvtepi32_ps(reinterpret_cast<__m256i>(acc[V])),
                         _mm256_mul_ps(row, _mm256_loadu_ps(job.column_scale + 8 * V)),
                         _mm256_loadu_ps(job.bias + 8 * V))),
     ...);
  }
  /// Rows first .. first + rows of the job, whose dot products are in `acc`.
  ZP_ISA ZP_ALWAYS_INLINE static void finish(sums& acc, const panel_job& job, std::size_t first) {
    const std::size_t offset = first * job.stride;
    outer(acc, job.term[0], first);
    outer(acc, job.term[1], first);
    const lanes mask[] = {live(job.n, V)...};
    if (job.c != nullptr) {
      (store_row(acc[R], job.c + offset + R * job.stride, mask), ...);
    } else {
      (scale_row(acc[R], job.y + offset + R * job.stride,
                 job.row_scale[(first + R) * job.row_scale_step], job, mask),
       ...);
    }
  }
};

/// Rows of bytes with `shift` added to each, modulo 256.
ZP_ISA inline void prepare_bytes(const prepare_job& job, std::int32_t shift) {
  const __m256i added = _mm256_set1_epi8(static_cast<char>(shift));
  for (std::size_t i = 0; i < job.m; ++i) {
    const std::uint8_t* a = job.a + i * job.a_stride;
    auto* out = static_cast<std::uint8_t*>(job.out) + i * job.out_stride;
    std::size_t k = 0;
    for (; k + 32 <= job.k; k += 32) {
      const __m256i x = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(a + k));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + k), _mm256_add_epi8(x, added));
    }
    for (; k < job.k; ++k) out[k] = static_cast<std::uint8_t>(a[k] + shift);
    for (; k < job.padded_k; ++k) out[k] = 0;
  }
}

}  // namespace kernels::ymm
}  // namespace zeropoint::inline ZP_BASELINE
#undef ZP_ISA
#endif  // ZP_X86
