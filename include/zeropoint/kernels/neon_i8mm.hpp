// AArch64 with the matrix extension: smmla multiplies 2 rows of `a` by 2 columns of `b`, 8 signed
// bytes deep, and adds the products into a 2 x 2 block, exactly: twice the products of an sdot.
// Tiles of 6 x 16 outputs: 3 x 8 blocks of sums, 3 pairs of rows, 1 register of b.
//
//   block  =  { (row 0, column 0), (row 0, column 1), (row 1, column 0), (row 1, column 1) }
//
// k_group is 8, so that the 16 bytes of two columns lie together. At the end blocks become rows,
// which neon_dot.hpp finishes.
#pragma once

#include <zeropoint/kernels/neon_dot.hpp>

#if ZP_HAS_NEON_I8MM && ZP_HAS_NEON_DOT
#include <arm_neon.h>

#include <utility>

#define ZP_ISA ZP_TARGET("arch=armv8.2-a+dotprod+i8mm")

namespace zeropoint::inline ZP_BASELINE {
namespace kernels::neon_i8mm {

/// Rows 2 * P and 2 * P + 1 of a tile for each P, columns 2 * C and 2 * C + 1 for each C. The last row
/// is computed twice where their number is odd.
template <std::size_t Rows, class Pairs, class Columns>
struct tile;

template <std::size_t Rows, std::size_t... P, std::size_t... C>
struct tile<Rows, std::index_sequence<P...>, std::index_sequence<C...>> {
  static constexpr std::size_t pairs = sizeof...(P), blocks = sizeof...(C), vectors = blocks / 2;
  static_assert(pairs == (Rows + 1) / 2 && blocks % 2 == 0);
  using sums = int32x4_t[pairs][blocks];
  template <std::size_t R>
  using finished = neon_dot::tile<std::make_index_sequence<R>, std::make_index_sequence<vectors>>;

  ZP_ISA ZP_ALWAYS_INLINE static int8x16_t two_rows(const std::int8_t* even,
                                                    const std::int8_t* odd) {
    return vcombine_s8(vld1_s8(even), vld1_s8(odd));
  }
  ZP_ISA ZP_ALWAYS_INLINE static void dot_column(int32x4_t (&acc)[pairs][blocks], std::size_t c,
                                                 const int8x16_t (&x)[pairs], int8x16_t w) {
    ((acc[P][c] = vmmlaq_s32(acc[P][c], x[P], w)), ...);
  }
  ZP_ISA ZP_ALWAYS_INLINE static void group(sums& acc, const std::int8_t* const (&a)[2 * pairs],
                                            std::size_t k, const std::int8_t* b) {
    const int8x16_t x[] = {two_rows(a[2 * P] + k, a[2 * P + 1] + k)...};
    (dot_column(acc, C, x, vld1q_s8(b + 16 * C)), ...);
  }
  ZP_ISA ZP_ALWAYS_INLINE static int32x4_t twice(int32x2_t columns) {
    return vcombine_s32(columns, columns);
  }
  ZP_ISA ZP_ALWAYS_INLINE static void fill_pair(int32x4_t (&acc)[blocks], const panel_job& job) {
    ((acc[C] = twice(vmul_n_s32(vld1_s32(job.sums + 2 * C), job.factor))), ...);
  }
  /// Half `Odd` of two neighbouring blocks: four columns of one row.
  template <bool Odd>
  ZP_ISA ZP_ALWAYS_INLINE static int32x4_t half(int32x4_t left, int32x4_t right) {
    const int64x2_t l = vreinterpretq_s64_s32(left), r = vreinterpretq_s64_s32(right);
    return vreinterpretq_s32_s64(Odd ? vzip2q_s64(l, r) : vzip1q_s64(l, r));
  }
  template <bool Odd, std::size_t... V>
  ZP_ISA ZP_ALWAYS_INLINE static void copy_row(int32x4_t (&to)[vectors],
                                               const int32x4_t (&from)[blocks],
                                               std::index_sequence<V...>) {
    ((to[V] = half<Odd>(from[2 * V], from[2 * V + 1])), ...);
  }
  template <std::size_t... R>
  ZP_ISA ZP_ALWAYS_INLINE static void copy_rows(int32x4_t (&to)[Rows][vectors], const sums& from,
                                                std::index_sequence<R...>) {
    (copy_row<R % 2 == 1>(to[R], from[R / 2], std::make_index_sequence<vectors>{}), ...);
  }

  /// Rows first .. first + Rows of the job.
  ZP_ISA static void run(const panel_job& job, std::size_t first) {
    const auto* base = static_cast<const std::int8_t*>(job.a) + first * job.a_stride;
    const std::int8_t* a[2 * pairs];
    for (std::size_t r = 0; r < 2 * pairs; ++r) {
      a[r] = base + (r < Rows ? r : Rows - 1) * job.a_stride;
    }
    const std::int8_t* b = job.b;

    sums acc;
    (fill_pair(acc[P], job), ...);
    for (std::size_t k = 0; k < job.k; k += 8, b += 16 * blocks) group(acc, a, k, b);

    int32x4_t rows[Rows][vectors];
    copy_rows(rows, acc, std::make_index_sequence<Rows>{});
    finished<Rows>::finish(rows, job, first);
  }
};

template <std::size_t Nr, std::size_t... R>
inline void multiply_rows(const panel_job& job, std::index_sequence<R...>) {
  static constexpr void (*of_height[])(
      const panel_job&, std::size_t) = {&tile<R + 1, std::make_index_sequence<(R + 2) / 2>,
                                              std::make_index_sequence<Nr / 2>>::run...};
  by_row_blocks(job, of_height);
}
template <std::size_t Nr, std::size_t Mr>
inline void multiply(const panel_job& job) {
  multiply_rows<Nr>(job, std::make_index_sequence<Mr>{});
}

inline constexpr panel_format formats[] = {{6, 16, &multiply<16, 6>}};
inline constexpr kernel table{.name = "neon_i8mm",
                              .needs = isa::neon_dot | isa::neon_i8mm,
                              .a = operand::s8,
                              .k_group = 8,
                              .prepare = &scalar::prepare<operand::s8>,
                              .formats = formats,
                              .format_count = 1,
                              .int4 = &neon_dot::int4};

}  // namespace kernels::neon_i8mm
}  // namespace zeropoint::inline ZP_BASELINE
#undef ZP_ISA
#endif
