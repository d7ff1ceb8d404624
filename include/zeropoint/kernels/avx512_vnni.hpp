// AVX-512 with VNNI: one vpdpbusd multiplies 64 unsigned bytes of `a` by 64 signed bytes of `b` and
// adds groups of four into 16 lanes, exactly. Tiles of 8 x 48 and 6 x 64 outputs (24 accumulators,
// 3 or 4 registers of b, 1 broadcast of a), and every smaller number of rows.
//
// Two things here look odd and are worth a factor of two: accumulators are of an int vector type
// and only cast to __m512i at the intrinsic (g++ 12 spills them otherwise), and unrolling is by
// pack expansion in functions that carry the target attribute themselves.
#pragma once

#include <zeropoint/kernels/kernel.hpp>

#if ZP_X86
#include <immintrin.h>

#include <cstring>
#include <utility>

#define ZP_ISA ZP_TARGET("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,prfchw")

namespace zeropoint::inline ZP_BASELINE {
namespace kernels::avx512_vnni {

#pragma GCC diagnostic push
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // false positives inside g++ 12's own
#pragma GCC diagnostic ignored "-Wuninitialized"        // avx512 intrinsics
#endif

using lanes = int __attribute__((vector_size(64)));  // 16 outputs

/// What a tile asks memory for while it runs. Packed weights that exceed the second-level cache
/// arrive late otherwise, and the more evenly they are asked for, the less they disturb.
enum class fetch {
  sparse,  ///< the next panel, `count` lines per 16 k, for one of many tiles; or nothing
  paired,  ///< the next panel, two cursors that move less than a line per 4 k, for one of a few
  dense,   ///< the tile's own panel 8 KB ahead (about DRAM's latency times its bandwidth)
};
struct cursor {
  const std::int8_t* at;
  std::size_t step;   ///< bytes
  std::size_t count;  ///< sparse: steps per 16 k; paired: bytes between the two cursors
};

template <class Rows, class Vectors, fetch Fetch>
struct tile;

template <std::size_t... R, std::size_t... V, fetch Fetch>
struct tile<std::index_sequence<R...>, std::index_sequence<V...>, Fetch> {
  static constexpr std::size_t rows = sizeof...(R), vectors = sizeof...(V);
  /// vpdpbusd takes 5 cycles and two start per cycle: with fewer than 10 independent sums, odd and
  /// even groups get sums of their own.
  static constexpr std::size_t chains = rows * vectors >= 10 ? 1 : rows * vectors >= 5 ? 2 : 4;
  static constexpr std::size_t ahead = 8192;
  using sums = lanes[rows][vectors];

  ZP_ISA ZP_ALWAYS_INLINE static void dot_row(lanes (&acc)[vectors], const std::uint8_t* a,
                                              const lanes (&w)[vectors]) {
    std::int32_t four;
    std::memcpy(&four, a, 4);
    const __m512i x = _mm512_set1_epi32(four);
    ((acc[V] = reinterpret_cast<lanes>(_mm512_dpbusd_epi32(reinterpret_cast<__m512i>(acc[V]), x,
                                                           reinterpret_cast<__m512i>(w[V])))),
     ...);
  }
  ZP_ISA ZP_ALWAYS_INLINE static void group(sums& acc, const std::uint8_t* const (&a)[rows],
                                            std::size_t k, const std::int8_t* b, cursor& soon) {
    const lanes w[] = {reinterpret_cast<lanes>(_mm512_load_si512(b + 64 * V))...};
    if constexpr (Fetch == fetch::dense) (__builtin_prefetch(b + 64 * V + ahead, 0, 3), ...);
    if constexpr (Fetch == fetch::paired) {
      __builtin_prefetch(soon.at, 0, 2);
      __builtin_prefetch(soon.at + soon.count, 0, 2);
      soon.at += soon.step;
    }
    (dot_row(acc[R], a[R] + k, w), ...);
  }

  ZP_ISA ZP_ALWAYS_INLINE static void add_row(lanes (&to)[vectors], const lanes (&from)[vectors]) {
    ((to[V] += from[V]), ...);
  }
  ZP_ISA ZP_ALWAYS_INLINE static void add(sums& to, const sums& from) {
    (add_row(to[R], from[R]), ...);
  }
  ZP_ISA ZP_ALWAYS_INLINE static void fill_row(lanes (&acc)[vectors], const std::int32_t* start) {
    ((acc[V] =
          start == nullptr ? lanes{} : reinterpret_cast<lanes>(_mm512_loadu_si512(start + 16 * V))),
     ...);
  }
  ZP_ISA ZP_ALWAYS_INLINE static void fill(sums& acc, const std::int32_t* start) {
    (fill_row(acc[R], start), ...);
  }
  ZP_ISA ZP_ALWAYS_INLINE static void outer_row(lanes (&acc)[vectors], std::int32_t row,
                                                const std::int32_t* column) {
    const __m512i x = _mm512_set1_epi32(row);
    ((acc[V] = reinterpret_cast<lanes>(
          _mm512_add_epi32(reinterpret_cast<__m512i>(acc[V]),
                           _mm512_mullo_epi32(x, _mm512_loadu_si512(column + 16 * V))))),
     ...);
  }
  ZP_ISA ZP_ALWAYS_INLINE static void outer(sums& acc, const rank_one& term, std::size_t first) {
    if (term.row != nullptr) (outer_row(acc[R], term.row[first + R], term.column), ...);
  }

  /// The lanes of vector v that are live columns.
  ZP_ISA ZP_ALWAYS_INLINE static __mmask16 live(std::size_t n, std::size_t v) {
    return n >= 16 * v + 16 ? __mmask16{0xffff}
           : n <= 16 * v    ? __mmask16{0}
                            : static_cast<__mmask16>((1u << (n - 16 * v)) - 1);
  }
  ZP_ISA ZP_ALWAYS_INLINE static void store_row(const lanes (&acc)[vectors], std::int32_t* c,
                                                const __mmask16 (&mask)[vectors]) {
    (_mm512_mask_storeu_epi32(c + 16 * V, mask[V], reinterpret_cast<__m512i>(acc[V])), ...);
  }
  ZP_ISA ZP_ALWAYS_INLINE static void scale_row(const lanes (&acc)[vectors], float* y, float scale,
                                                const panel_job& job,
                                                const __mmask16 (&mask)[vectors]) {
    const __m512 row = _mm512_set1_ps(scale);
    (_mm512_mask_storeu_ps(
         y + 16 * V, mask[V],
         _mm512_fmadd_ps(_mm512_cvtepi32_ps(reinterpret_cast<__m512i>(acc[V])),
                         _mm512_mul_ps(row, _mm512_loadu_ps(job.column_scale + 16 * V)),
                         _mm512_loadu_ps(job.bias + 16 * V))),
     ...);
  }
  /// Rows first .. first + rows of the job.
  ZP_ISA static void run(const panel_job& job, std::size_t first, cursor soon) {
    const auto* base = static_cast<const std::uint8_t*>(job.a) + first * job.a_stride;
    const std::uint8_t* const a[] = {base + R * job.a_stride...};
    const std::int8_t* b = job.b;
    const std::size_t offset = first * job.stride;
    // The output lines are fetched for writing while the sums run, one line per 16 k: all at once
    // they would fill the queue that the loads of b need.
    const auto* out = job.c != nullptr ? reinterpret_cast<const char*>(job.c + offset)
                                       : reinterpret_cast<const char*>(job.y + offset);
    const char* line = out;
    std::size_t row = 0, column = 0;

    sums acc[chains];
    fill(acc[0], job.start);
    for (std::size_t s = 1; s < chains; ++s) fill(acc[s], nullptr);
    std::size_t k = 0;
    for (; k + 16 <= job.k; k += 16, b += 4 * 64 * vectors) {
      __builtin_prefetch(line + column, 1, 3);
      column += 64;
      if (column > 64 * vectors) {
        column = 0, line += job.stride * sizeof(std::int32_t);
        if (++row == rows) row = 0, line = out;
      }
      if constexpr (Fetch == fetch::sparse) {
        for (std::size_t i = 0; i < soon.count; ++i, soon.at += soon.step) {
          __builtin_prefetch(soon.at, 0, 2);
        }
      }
      group(acc[0], a, k, b, soon);
      group(acc[1 % chains], a, k + 4, b + 64 * vectors, soon);
      group(acc[2 % chains], a, k + 8, b + 2 * 64 * vectors, soon);
      group(acc[3 % chains], a, k + 12, b + 3 * 64 * vectors, soon);
    }
    for (; k < job.k; k += 4, b += 64 * vectors) group(acc[0], a, k, b, soon);
    if constexpr (chains == 4) add(acc[2], acc[3]);
    if constexpr (chains == 4) add(acc[0], acc[2]);
    if constexpr (chains >= 2) add(acc[0], acc[1]);

    outer(acc[0], job.term[0], first);
    outer(acc[0], job.term[1], first);
    const __mmask16 mask[] = {live(job.n, V)...};
    if (job.c != nullptr) {
      (store_row(acc[0][R], job.c + offset + R * job.stride, mask), ...);
    } else {
      (scale_row(acc[0][R], job.y + offset + R * job.stride,
                 job.row_scale[(first + R) * job.row_scale_step], job, mask),
       ...);
    }
  }
};

using tile_fn = void (*)(const panel_job&, std::size_t first, cursor);

/// All rows of a panel, T tiles. A lone tile fetches its own panel; of several, each fetches 1/T of
/// the next one. One row needs no help: the hardware's own prefetcher keeps up with it.
template <std::size_t Vectors, std::size_t... R>
inline void multiply_rows(const panel_job& job, std::index_sequence<R...>) {
  using columns = std::make_index_sequence<Vectors>;
  static constexpr tile_fn
      sparse[] = {&tile<std::make_index_sequence<R + 1>, columns, fetch::sparse>::run...},
      paired[] = {&tile<std::make_index_sequence<R + 1>, columns, fetch::paired>::run...},
      dense[] = {&tile<std::make_index_sequence<R + 1>, columns, fetch::dense>::run...};
  constexpr std::size_t far = 400 * 1024;  // a panel this long would push itself out of the L2
  const row_blocks blocks(job.m, sizeof...(R));
  const std::size_t tiles = blocks.count, bytes = 16 * Vectors * job.k, share = bytes / tiles;
  const bool wanted = job.next != nullptr && job.m > 1, lone = tiles == 1 || bytes > far;
  for (std::size_t i = 0, first = 0; i < tiles; first += blocks.height(i++)) {
    const tile_fn* of_height = sparse;
    cursor soon{job.next + i * share, 0, 0};
    if (wanted && lone) {
      of_height = i == 0 ? dense : sparse;
    } else if (wanted && tiles < 8) {
      of_height = paired;
      soon.step = 64 * Vectors / (2 * tiles) + 1, soon.count = share / 2;
    } else if (wanted) {
      soon.count = (4 * Vectors + tiles - 1) / tiles;  // 4 * Vectors lines of b per 16 k
      soon.step = 64 * 4 * Vectors / (tiles * soon.count) + 1;
    }
    of_height[blocks.height(i) - 1](job, first, soon);
  }
}
template <std::size_t Vectors, std::size_t Mr>
inline void multiply(const panel_job& job) {
  multiply_rows<Vectors>(job, std::make_index_sequence<Mr>{});
}

ZP_ISA inline void prepare(const prepare_job& job) {
  const __m512i flip = _mm512_set1_epi8(job.is_signed ? -128 : 0);
  for (std::size_t i = 0; i < job.m; ++i) {
    const std::uint8_t* a = job.a + i * job.a_stride;
    auto* out = static_cast<std::uint8_t*>(job.out) + i * job.out_stride;
    std::size_t k = 0;
    for (; k + 64 <= job.k; k += 64) {
      _mm512_storeu_si512(out + k, _mm512_xor_si512(_mm512_loadu_si512(a + k), flip));
    }
    if (k == job.padded_k) continue;
    const __mmask64 given = (std::uint64_t{1} << (job.k - k)) - 1;
    const std::size_t left = job.padded_k - k;
    const __mmask64 padded = left >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << left) - 1;
    const __m512i last = _mm512_xor_si512(_mm512_maskz_loadu_epi8(given, a + k), flip);
    _mm512_mask_storeu_epi8(out + k, padded, last);
  }
}
#pragma GCC diagnostic pop

inline constexpr panel_format formats[] = {{8, 48, &multiply<3, 8>}, {6, 64, &multiply<4, 6>}};
inline constexpr kernel table{
    "avx512_vnni", isa::avx512 | isa::avx512_vnni, operand::u8, 4, &prepare, formats, 2};

}  // namespace kernels::avx512_vnni
}  // namespace zeropoint::inline ZP_BASELINE
#undef ZP_ISA
#endif  // ZP_X86
