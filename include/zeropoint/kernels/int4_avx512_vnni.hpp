// AVX512-VNNI for 4-bit weights (contract: int4.hpp): a load of 64 bytes holds 8 k of 16 columns; a
// mask and a shift make the unsigned operands of two vpdpbusd. Tiles of 8 x 32 outputs: 16 integer
// sums, 2 registers of nibbles, 1 mask, 1 broadcast; the float sums, needed once a group, are in
// memory. Measured on Cascade Lake: 6, 8, 10 and 12 rows reach 0.50, 0.525, 0.515 and 0.51 of the
// peak; 12 x 16 with the float sums in registers, which asks for a load per product, 0.38.
#pragma once

#include <zeropoint/kernels/avx512_rows.hpp>
#include <zeropoint/kernels/int4.hpp>
#include <zeropoint/kernels/kernel.hpp>

#if ZP_X86
#include <cstring>
#include <utility>

#define ZP_ISA ZP_TARGET("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,prfchw")

namespace zeropoint::inline ZP_BASELINE {
namespace kernels::avx512_vnni {
ZP_ALLOW_UNDEFINED_OPERANDS

/// What a tile asks memory for step by step. Tiles of several rows: nothing, run() sees to it once a
/// group.
struct fetch_nothing {
  ZP_ALWAYS_INLINE fetch_nothing(const int4_job&, std::size_t) {}
  ZP_ALWAYS_INLINE void step() {}
  ZP_ALWAYS_INLINE void scales(std::size_t) {}
};
/// One row: the lines that it reads 8 KB later.
struct fetch_own {
  const std::uint8_t* at;
  std::size_t line;

  ZP_ALWAYS_INLINE fetch_own(const int4_job& job, std::size_t vectors)
      : at(job.b + 8192), line(64 * vectors) {}
  ZP_ALWAYS_INLINE void step() {
    for (std::size_t i = 0; i < line; i += 64) __builtin_prefetch(at + i, 0, 3);
    at += line;
  }
  ZP_ALWAYS_INLINE void scales(std::size_t bytes) {
    for (std::size_t i = 0; i < bytes; i += 64) __builtin_prefetch(at + i, 0, 3);
    at += bytes;
  }
};
/// One row: the panel after this one from three places at a time, its scales at the end. Which of the
/// two: avx512_vnni.hpp says why.
struct fetch_next {
  const std::uint8_t *at, *rest;
  std::size_t gap, vectors;

  ZP_ALWAYS_INLINE fetch_next(const int4_job& job, std::size_t of_tile)
      : at(job.next),
        rest(job.next + of_tile * job.groups * job.group * 8),
        gap(job.groups * job.group * 8),  // 64 bytes per 8 k and vector
        vectors(of_tile) {}
  ZP_ALWAYS_INLINE void step() {
    for (std::size_t v = 0; v < vectors; ++v) __builtin_prefetch(at + v * gap, 0, 2);
    at += 64;
  }
  ZP_ALWAYS_INLINE void scales(std::size_t bytes) {
    for (std::size_t i = 0; i < bytes; i += 64) __builtin_prefetch(rest + i, 0, 2);
    rest += bytes;
  }
};

template <class Rows, class Vectors, bool Half, bool Zeros>
struct int4_tile;

template <std::size_t... R, std::size_t... V, bool Half, bool Zeros>
struct int4_tile<std::index_sequence<R...>, std::index_sequence<V...>, Half, Zeros> {
  static constexpr std::size_t rows = sizeof...(R), vectors = sizeof...(V), nr = 16 * vectors;
  static constexpr std::size_t step_bytes = 64 * vectors;  // of b per 8 k
  static constexpr std::size_t scale_bytes = nr * (Half ? 2 : 4);
  /// Few sums would wait for each other (vpdpbusd takes 5 cycles): low and high halves get their own.
  static constexpr std::size_t chains = rows * vectors <= 4 ? 2 : 1;
  using sums = lanes[rows][vectors];

  ZP_ISA ZP_ALWAYS_INLINE static void dot_row(lanes (&acc)[vectors], const std::uint8_t* a,
                                              const lanes (&w)[vectors]) {
    std::int32_t four;
    std::memcpy(&four, a, 4);
    const __m512i x = _mm512_set1_epi32(four);
    ((acc[V] = reinterpret_cast<lanes>(_mm512_dpbusd_epi32(reinterpret_cast<__m512i>(acc[V]),
                                                           reinterpret_cast<__m512i>(w[V]), x))),
     ...);
  }
  ZP_ISA ZP_ALWAYS_INLINE static void step(sums (&acc)[chains], const row_bases& a,
                                           const std::uint8_t* b) {
    const __m512i mask = _mm512_set1_epi8(15);
    const lanes low[] = {
        reinterpret_cast<lanes>(_mm512_and_si512(_mm512_loadu_si512(b + 64 * V), mask))...};
    (dot_row(acc[0][R], a.template row<R>(), low), ...);
    __asm__("" : "+r"(b));  // load again: kept in registers meanwhile, they would push out sums
    const lanes high[] = {reinterpret_cast<lanes>(
        _mm512_and_si512(_mm512_srli_epi16(_mm512_loadu_si512(b + 64 * V), 4), mask))...};
    (dot_row(acc[chains - 1][R], a.template row<R>() + 4, high), ...);
  }

  /// acc = -zero * sum of the row over the group.
  ZP_ISA ZP_ALWAYS_INLINE static void start_row(lanes (&acc)[vectors], std::int32_t minus_sum,
                                                const std::uint8_t* zeros) {
    __m512i sum = _mm512_set1_epi32(minus_sum);
    ZP_ROUNDED(sum);  // Clang 14 would shift before it broadcasts: three instructions, not two
    if constexpr (Zeros) {
      ((acc[V] = reinterpret_cast<lanes>(_mm512_mullo_epi32(
            sum, _mm512_cvtepu8_epi32(
                     _mm_loadu_si128(reinterpret_cast<const __m128i*>(zeros + 16 * V)))))),
       ...);
    } else {
      ((acc[V] = reinterpret_cast<lanes>(_mm512_slli_epi32(sum, 3))), ...);
    }
  }
  ZP_ISA ZP_ALWAYS_INLINE static __m512 scale(const std::uint8_t* scales, std::size_t v) {
    if constexpr (Half) {
      return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(scales + 32 * v)));
    } else {
      return _mm512_loadu_ps(scales + 64 * v);
    }
  }
  ZP_ISA ZP_ALWAYS_INLINE static void add_row(lanes (&to)[vectors], const lanes (&from)[vectors]) {
    ((to[V] += from[V]), ...);
  }
  ZP_ISA ZP_ALWAYS_INLINE static void clear_row(lanes (&acc)[vectors]) {
    ((acc[V] = lanes{}), ...);
  }
  ZP_ISA ZP_ALWAYS_INLINE static void scale_row(float* total, const lanes (&acc)[vectors],
                                                const __m512 (&s)[vectors]) {
    (_mm512_store_ps(total + 16 * V,
                     _mm512_fmadd_ps(_mm512_cvtepi32_ps(reinterpret_cast<__m512i>(acc[V])), s[V],
                                     _mm512_load_ps(total + 16 * V))),
     ...);
  }
  ZP_ISA ZP_ALWAYS_INLINE static void store_row(const float* total, float* y, float row_scale,
                                                const int4_job& job) {
    const __m512 row = _mm512_set1_ps(row_scale);
    (_mm512_mask_storeu_ps(
         y + 16 * V, live_lanes(job.n, V),
         _mm512_fmadd_ps(_mm512_load_ps(total + 16 * V), row, _mm512_loadu_ps(job.bias + 16 * V))),
     ...);
  }

  /// Rows first .. first + rows of the job.
  template <class Fetch>
  ZP_ISA static void run(const int4_job& job, std::size_t first) {
    row_bases a(job.a + first * job.a_stride, job.a_stride);
    const std::uint8_t* b = job.b;
    const std::int32_t* minus_sums = job.minus_sums + first * job.groups;
    const std::size_t groups = job.groups, group = job.group;
    const std::size_t ahead =
        job.next != nullptr && first == 0 && rows > 1 ? nr * group / 2 : 0;  // bytes
    Fetch soon(job, vectors);
    alignas(64) float total[rows * nr] = {};  // in memory: the registers are for the inner loop
    for (std::size_t g = 0; g < groups; ++g) {
      const std::uint8_t *scales = b, *zeros = b + scale_bytes;
      b = zeros + (Zeros ? nr : 0);
      for (std::size_t line = 0; line < ahead; line += 64)
        __builtin_prefetch(b + 8192 + line, 0, 3);
      soon.scales(scale_bytes + (Zeros ? nr : 0));
      sums acc[chains];
      (start_row(acc[0][R], minus_sums[R * groups + g], zeros), ...);
      if constexpr (chains == 2) (clear_row(acc[1][R]), ...);
      const std::uint8_t* const end = b + group / 8 * step_bytes;
      do {  // a group is never empty; with a test at its head g++ 12 copies all sums in the loop
        step(acc, a, b);
        soon.step();
        b += step_bytes, a.advance(8);
      } while (b != end);
      if constexpr (chains == 2) (add_row(acc[0][R], acc[1][R]), ...);
      const __m512 s[] = {scale(scales, V)...};
      (scale_row(total + R * nr, acc[0][R], s), ...);
    }
    (store_row(total + R * nr, job.y + (first + R) * job.stride,
               job.row_scale[(first + R) * job.row_scale_step], job),
     ...);
  }
};

template <std::size_t Vectors, bool Half, bool Zeros, std::size_t... R>
inline void multiply_int4_rows(const int4_job& job, std::index_sequence<R...>) {
  using columns = std::make_index_sequence<Vectors>;
  using one_row = int4_tile<std::make_index_sequence<1>, columns, Half, Zeros>;
  static constexpr void (*of_height[])(
      const int4_job&, std::size_t) = {&int4_tile<std::make_index_sequence<R + 1>, columns, Half,
                                                  Zeros>::template run<fetch_nothing>...};
  if (job.m > 1 || job.next == nullptr) return by_row_blocks(job, of_height);
  static const auto alone =
      made_by_amd() ? &one_row::template run<fetch_own> : &one_row::template run<fetch_next>;
  alone(job, 0);
}
template <bool Half, bool Zeros>
inline void multiply_int4(const int4_job& job) {
  multiply_int4_rows<2, Half, Zeros>(job, std::make_index_sequence<8>{});
}

inline constexpr int4_format int4{8,
                                  32,
                                  {{&multiply_int4<false, false>, &multiply_int4<false, true>},
                                   {&multiply_int4<true, false>, &multiply_int4<true, true>}}};

ZP_END_UNDEFINED_OPERANDS
}  // namespace kernels::avx512_vnni
}  // namespace zeropoint::inline ZP_BASELINE
#undef ZP_ISA
#endif  // ZP_X86
