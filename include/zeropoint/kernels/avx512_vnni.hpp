// AVX-512 with VNNI: one vpdpbusd multiplies 64 unsigned bytes of `a` by 64 signed bytes of `b` and
// adds groups of four into 16 lanes, exactly. Tiles of 8 x 48 and 6 x 64 outputs (24 accumulators,
// 3 or 4 registers of b, 1 broadcast of a), and every smaller number of rows.
//
// Two things here look odd and are worth a factor of two: accumulators are of an int vector type
// and only cast to __m512i at the intrinsic (g++ 12 spills them otherwise), and unrolling is by
// pack expansion in functions that carry the target attribute themselves.
#pragma once

#include <zeropoint/kernels/avx512_rows.hpp>
#include <zeropoint/kernels/int4_avx512_vnni.hpp>
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

/// What a tile asks memory for while it runs. Packed weights that exceed the second-level cache
/// arrive late otherwise, and the more evenly they are asked for, the less they disturb.
enum class fetch {
  steady,   ///< one line per 16 k
  cursors,  ///< one line per cursor and 4 k; as many cursors as the tile has vectors, `gap` apart
  far,      ///< the same into the second-level cache: for what is not read soon
};
struct fetch_plan {
  const std::int8_t* at = nullptr;  ///< a line; never null: asking for page 0 costs a page walk
  std::size_t step = 0;             ///< bytes that `at` moves each time
  std::size_t gap = 0;              ///< bytes between cursors
};

/// The outer products of the job on a finished tile, in memory: the rare case of zero points per row
/// or of the weights, kept out of the tiles.
ZP_ISA ZP_NOINLINE inline void add_terms(lanes* acc, std::size_t rows, std::size_t vectors,
                                         const panel_job& job, std::size_t first) {
  for (const rank_one& term : job.term) {
    if (term.row == nullptr) continue;
    for (std::size_t r = 0; r < rows; ++r) {
      const __m512i row = _mm512_set1_epi32(term.row[first + r]);
      for (std::size_t v = 0; v < vectors; ++v) {
        const __m512i product = _mm512_mullo_epi32(row, _mm512_loadu_si512(term.column + 16 * v));
        lanes& sum = acc[r * vectors + v];
        sum = reinterpret_cast<lanes>(_mm512_add_epi32(reinterpret_cast<__m512i>(sum), product));
      }
    }
  }
}

template <class Rows, class Vectors, fetch Fetch>
struct tile;

template <std::size_t... R, std::size_t... V, fetch Fetch>
struct tile<std::index_sequence<R...>, std::index_sequence<V...>, Fetch> {
  static constexpr std::size_t rows = sizeof...(R), vectors = sizeof...(V);
  /// vpdpbusd takes 5 cycles and two start per cycle: with fewer than 10 independent sums, odd and
  /// even groups get sums of their own.
  static constexpr std::size_t chains = rows * vectors >= 10 ? 1 : rows * vectors >= 5 ? 2 : 4;
  static constexpr std::size_t group_bytes = 64 * vectors;  // of b per 4 k
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
  ZP_ISA ZP_ALWAYS_INLINE static void group(sums& acc, const row_bases& a, std::size_t k,
                                            const std::int8_t* b, fetch_plan& soon) {
    const lanes w[] = {reinterpret_cast<lanes>(_mm512_load_si512(b + 64 * V))...};
    if constexpr (Fetch != fetch::steady) {
      (__builtin_prefetch(soon.at + V * soon.gap, 0, Fetch == fetch::far ? 2 : 3), ...);
      soon.at += soon.step;
    }
    (dot_row(acc[R], a.template row<R>() + k, w), ...);
  }

  ZP_ISA ZP_ALWAYS_INLINE static void copy_row(lanes (&to)[vectors], const lanes (&from)[vectors]) {
    ((to[V] = from[V]), ...);
  }
  ZP_ISA ZP_ALWAYS_INLINE static void add_row(lanes (&to)[vectors], const lanes (&from)[vectors]) {
    ((to[V] += from[V]), ...);
  }
  ZP_ISA ZP_ALWAYS_INLINE static void add(sums& to, const sums& from) {
    (add_row(to[R], from[R]), ...);
  }
  ZP_ISA ZP_ALWAYS_INLINE static void clear(sums& acc) { ((clear_row(acc[R])), ...); }
  ZP_ISA ZP_ALWAYS_INLINE static void clear_row(lanes (&acc)[vectors]) {
    ((acc[V] = lanes{}), ...);
  }
  ZP_ISA ZP_ALWAYS_INLINE static void store_row(const lanes (&acc)[vectors], std::int32_t* c,
                                                const __mmask16 (&mask)[vectors]) {
    (_mm512_mask_storeu_epi32(c + 16 * V, mask[V], reinterpret_cast<__m512i>(acc[V])), ...);
  }
  /// The column side of the float output, read once for all rows: the outputs might alias it.
  struct column_values {
    __m512 scale[vectors], bias[vectors];
  };
  ZP_ISA ZP_ALWAYS_INLINE static void scale_row(const lanes (&acc)[vectors], float* y, float scale,
                                                const column_values& of,
                                                const __mmask16 (&mask)[vectors]) {
    const __m512 row = _mm512_set1_ps(scale);
    (_mm512_mask_storeu_ps(y + 16 * V, mask[V],
                           _mm512_fmadd_ps(_mm512_cvtepi32_ps(reinterpret_cast<__m512i>(acc[V])),
                                           _mm512_mul_ps(row, of.scale[V]), of.bias[V])),
     ...);
  }
  /// Fetches the output lines of one row for writing. Row by row, in between the sums: all at once
  /// they would fill the queue that the loads of b need.
  ZP_ISA ZP_ALWAYS_INLINE static void touch(const char* out) {
    ((__builtin_prefetch(out + 64 * V, 1, 3)), ...);
    __builtin_prefetch(out + 64 * vectors - 1, 1, 3);
  }
  /// 16 k.
  ZP_ISA ZP_ALWAYS_INLINE static void step(sums (&acc)[chains], const row_bases& a,
                                           const std::int8_t* b, fetch_plan& soon) {
    if constexpr (Fetch == fetch::steady) {
      __builtin_prefetch(soon.at, 0, 2);
      soon.at += soon.step;
    }
    group(acc[0], a, 0, b, soon);
    group(acc[1 % chains], a, 4, b + group_bytes, soon);
    group(acc[2 % chains], a, 8, b + 2 * group_bytes, soon);
    group(acc[3 % chains], a, 12, b + 3 * group_bytes, soon);
  }

  /// Rows first .. first + rows of the job.
  ZP_ISA static void run(const panel_job& job, std::size_t first, const fetch_plan& plan) {
    fetch_plan soon =
        plan;  // a local: through an argument's memory clang orders every load of a and b
    row_bases a(static_cast<const std::uint8_t*>(job.a) + first * job.a_stride, job.a_stride);
    const std::int8_t* b = job.b;
    const std::size_t offset = first * job.stride;
    const auto* out = job.c != nullptr ? reinterpret_cast<const char*>(job.c + offset)
                                       : reinterpret_cast<const char*>(job.y + offset);
    sums acc[chains];
    const __m512i factor = _mm512_set1_epi32(job.factor);
    const lanes start[] = {reinterpret_cast<lanes>(
        _mm512_mullo_epi32(factor, _mm512_loadu_si512(job.sums + 16 * V)))...};
    (copy_row(acc[0][R], start), ...);
    for (std::size_t s = 1; s < chains; ++s) clear(acc[s]);

    constexpr std::size_t step_bytes = 4 * group_bytes;
    const std::size_t steps = job.k / 16;
    const std::int8_t* const last = b + steps * step_bytes;
    if constexpr (rows == 1) {
      touch(out);
    } else {
      // The first steps also fetch the output, a row each: a loop of its own, without which every row
      // would end an inner loop, and the ends of short loops are what branch prediction gets wrong.
      const std::int8_t* const touched = b + (steps < rows ? steps : rows) * step_bytes;
      for (; b != touched;
           b += step_bytes, a.advance(16), out += job.stride * sizeof(std::int32_t)) {
        touch(out);
        step(acc, a, b, soon);
      }
    }
    for (; b != last; b += step_bytes, a.advance(16)) step(acc, a, b, soon);
    for (std::size_t k = 16 * steps; k < job.k; k += 4, b += group_bytes, a.advance(4)) {
      group(acc[0], a, 0, b, soon);
    }
    if constexpr (chains == 4) add(acc[2], acc[3]);
    if constexpr (chains == 4) add(acc[0], acc[2]);
    if constexpr (chains >= 2) add(acc[0], acc[1]);

    if (job.term[0].row != nullptr || job.term[1].row != nullptr) {
      sums plain;
      (copy_row(plain[R], acc[0][R]), ...);
      add_terms(&plain[0][0], rows, vectors, job, first);
      (copy_row(acc[0][R], plain[R]), ...);
    }
    const __mmask16 mask[] = {live_lanes(job.n, V)...};
    if (job.c != nullptr) {
      (store_row(acc[0][R], job.c + offset + R * job.stride, mask), ...);
    } else {
      const column_values of{{_mm512_loadu_ps(job.column_scale + 16 * V)...},
                             {_mm512_loadu_ps(job.bias + 16 * V)...}};
      (scale_row(acc[0][R], job.y + offset + R * job.stride,
                 job.row_scale[(first + R) * job.row_scale_step], of, mask),
       ...);
    }
  }
};

using tile_fn = void (*)(const panel_job&, std::size_t first, const fetch_plan&);

/// All rows of a panel, T tiles. A lone tile of several rows streams its own panel, 8 KB ahead
/// (about the latency of DRAM times its bandwidth); of several tiles, each fetches 1/T of the next
/// panel. One row fetches the next panel from as many places as it has vectors: DRAM gives a core of
/// Intel's 1.1 times as much through three or four streams as through one. On AMD's (Zen 5) that is
/// 0.86 to 0.92 of the read loop where one stream, fetched 6 KB ahead, is 0.95 to 1 (0.93 from the
/// third-level cache; 2 KB: 0.91).
template <std::size_t Vectors, std::size_t... R>
inline void multiply_rows(const panel_job& job, std::index_sequence<R...>) {
  using columns = std::make_index_sequence<Vectors>;
  static constexpr tile_fn steady[] = {
      &tile<std::make_index_sequence<R + 1>, columns, fetch::steady>::run...};
  static constexpr tile_fn cursors[] = {
      &tile<std::make_index_sequence<R + 1>, columns, fetch::cursors>::run...};
  static constexpr tile_fn one_row_far =
      &tile<std::make_index_sequence<1>, columns, fetch::far>::run;
  constexpr std::size_t too_long = 400 * 1024;  // a panel this long would push itself out of the L2
  const bool one_stream = made_by_amd();
  const row_blocks blocks(job.m, sizeof...(R));
  const std::size_t tiles = blocks.count, bytes = 16 * Vectors * job.k, share = bytes / tiles;
  const bool wanted = job.next != nullptr, lone = tiles == 1 || bytes > too_long;
  for (std::size_t i = 0, first = 0; i < tiles; first += blocks.height(i++)) {
    tile_fn run = steady[blocks.height(i) - 1];
    fetch_plan soon{job.b, 0, 0};
    if (wanted && job.m == 1 && bytes <= too_long && !one_stream) {
      run = one_row_far;
      soon = {job.next, 64, share / Vectors};
    } else if (wanted && lone && i == 0) {
      run = cursors[blocks.height(i) - 1];
      soon = {job.b + (job.m == 1 ? 6144 : 8192), 64 * Vectors, 64};
    } else if (wanted && !lone && tiles < 8) {
      run = cursors[blocks.height(i) - 1];
      soon = {job.next + i * share, 64 / tiles + 1, share / Vectors};
    } else if (wanted && !lone) {  // every other line may do: lines come in pairs
      soon = {job.next + i * share, (share / (job.k / 16 + 1) + 63) / 64 * 64, 0};
    }
    run(job, first, soon);
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
    "avx512_vnni", isa::avx512 | isa::avx512_vnni, operand::u8, 4, &prepare, formats, 2, &int4};

}  // namespace kernels::avx512_vnni
}  // namespace zeropoint::inline ZP_BASELINE
#undef ZP_ISA
#endif  // ZP_X86
