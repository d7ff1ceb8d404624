// AArch64 with the dot-product extension: sdot multiplies 16 signed bytes of `a` by 16 of `b` and
// adds groups of four into 4 lanes, exactly. Tiles of 6 x 16 outputs: 24 accumulators, 4 registers
// of b, 1 broadcast.
#pragma once

#include <zeropoint/kernels/int4_neon_dot.hpp>
#include <zeropoint/kernels/kernel.hpp>
#include <zeropoint/kernels/scalar.hpp>

#if ZP_HAS_NEON_DOT
#include <arm_neon.h>

#include <cstring>
#include <utility>

#define ZP_ISA ZP_TARGET("arch=armv8.2-a+dotprod")

namespace zeropoint::inline ZP_BASELINE {
namespace kernels::neon_dot {

template <class Rows, class Vectors>
struct tile;

template <std::size_t... R, std::size_t... V>
struct tile<std::index_sequence<R...>, std::index_sequence<V...>> {
  static constexpr std::size_t rows = sizeof...(R), vectors = sizeof...(V);
  using sums = int32x4_t[rows][vectors];

  ZP_ISA ZP_ALWAYS_INLINE static void dot_row(int32x4_t (&acc)[vectors], const std::int8_t* a,
                                              const int8x16_t (&w)[vectors]) {
    std::int32_t four;
    std::memcpy(&four, a, 4);
    const int8x16_t x = vreinterpretq_s8_s32(vdupq_n_s32(four));
    ((acc[V] = vdotq_s32(acc[V], x, w[V])), ...);
  }
  ZP_ISA ZP_ALWAYS_INLINE static void group(sums& acc, const std::int8_t* const (&a)[rows],
                                            std::size_t k, const std::int8_t* b) {
    const int8x16_t w[] = {vld1q_s8(b + 16 * V)...};
    (dot_row(acc[R], a[R] + k, w), ...);
  }
  ZP_ISA ZP_ALWAYS_INLINE static void fill_row(int32x4_t (&acc)[vectors], const panel_job& job) {
    ((acc[V] = vmulq_n_s32(vld1q_s32(job.sums + 4 * V), job.factor)), ...);
  }
  ZP_ISA ZP_ALWAYS_INLINE static void outer_row(int32x4_t (&acc)[vectors], std::int32_t row,
                                                const std::int32_t* column) {
    ((acc[V] = vmlaq_n_s32(acc[V], vld1q_s32(column + 4 * V), row)), ...);
  }
  ZP_ISA ZP_ALWAYS_INLINE static void outer(sums& acc, const rank_one& term, std::size_t first) {
    if (term.row != nullptr) (outer_row(acc[R], term.row[first + R], term.column), ...);
  }
  /// NEON has no masked store: a ragged last panel goes through memory of its own.
  template <class T>
  ZP_ISA ZP_ALWAYS_INLINE static void store(const T (&values)[4 * vectors], T* out, std::size_t n) {
    std::memcpy(out, values, n * sizeof(T));
  }
  ZP_ISA ZP_ALWAYS_INLINE static void store_row(const int32x4_t (&acc)[vectors], std::int32_t* c,
                                                std::size_t n) {
    if (n == 4 * vectors) {
      (vst1q_s32(c + 4 * V, acc[V]), ...);
      return;
    }
    std::int32_t values[4 * vectors];
    (vst1q_s32(values + 4 * V, acc[V]), ...);
    store(values, c, n);
  }
  ZP_ISA ZP_ALWAYS_INLINE static void scale_row(const int32x4_t (&acc)[vectors], float* y,
                                                float scale, const panel_job& job) {
    const float32x4_t scaled[] = {
        vfmaq_f32(vld1q_f32(job.bias + 4 * V), vcvtq_f32_s32(acc[V]),
                  vmulq_f32(vdupq_n_f32(scale), vld1q_f32(job.column_scale + 4 * V)))...};
    if (job.n == 4 * vectors) {
      (vst1q_f32(y + 4 * V, scaled[V]), ...);
      return;
    }
    float values[4 * vectors];
    (vst1q_f32(values + 4 * V, scaled[V]), ...);
    store(values, y, job.n);
  }

  /// Rows first .. first + rows of the job, whose dot products are in `acc`.
  ZP_ISA ZP_ALWAYS_INLINE static void finish(sums& acc, const panel_job& job, std::size_t first) {
    const std::size_t offset = first * job.stride;
    outer(acc, job.term[0], first);
    outer(acc, job.term[1], first);
    if (job.c != nullptr) {
      (store_row(acc[R], job.c + offset + R * job.stride, job.n), ...);
    } else {
      (scale_row(acc[R], job.y + offset + R * job.stride,
                 job.row_scale[(first + R) * job.row_scale_step], job),
       ...);
    }
  }

  /// Rows first .. first + rows of the job.
  ZP_ISA static void run(const panel_job& job, std::size_t first) {
    const auto* base = static_cast<const std::int8_t*>(job.a) + first * job.a_stride;
    const std::int8_t* const a[] = {base + R * job.a_stride...};
    const std::int8_t* b = job.b;

    sums acc;
    (fill_row(acc[R], job), ...);
    for (std::size_t k = 0; k < job.k; k += 4, b += 16 * vectors) group(acc, a, k, b);

    finish(acc, job, first);
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

inline constexpr panel_format formats[] = {{6, 16, &multiply<4, 6>}};
inline constexpr kernel table{
    "neon_dot", isa::neon_dot, operand::s8, 4, &scalar::prepare<operand::s8>, formats, 1, &int4};

}  // namespace kernels::neon_dot
}  // namespace zeropoint::inline ZP_BASELINE
#undef ZP_ISA
#endif  // ZP_HAS_NEON_DOT
