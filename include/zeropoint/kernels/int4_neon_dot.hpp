// AArch64 with the dot-product extension for 4-bit weights (contract: int4.hpp). Nibbles 0 .. 15 are
// positive signed bytes, so sdot takes them as they are. Tiles of 2 x 16 outputs: 8 integer and 8
// float sums.
#pragma once

#include <zeropoint/kernels/int4.hpp>
#include <zeropoint/kernels/kernel.hpp>

#if ZP_HAS_NEON_DOT
#include <arm_neon.h>

#include <cstring>
#include <utility>

#define ZP_ISA ZP_TARGET("arch=armv8.2-a+dotprod")

namespace zeropoint::inline ZP_BASELINE {
namespace kernels::neon_dot {

template <class Rows, class Vectors, bool Half, bool Zeros>
struct int4_tile;

template <std::size_t... R, std::size_t... V, bool Half, bool Zeros>
struct int4_tile<std::index_sequence<R...>, std::index_sequence<V...>, Half, Zeros> {
  static constexpr std::size_t rows = sizeof...(R), vectors = sizeof...(V), nr = 4 * vectors;
  static constexpr std::size_t step_bytes = 16 * vectors;  // of b per 8 k
  static constexpr std::size_t scale_bytes = nr * (Half ? 2 : 4);
  using sums = int32x4_t[rows][vectors];
  using totals = float32x4_t[rows][vectors];

  ZP_ISA ZP_ALWAYS_INLINE static void dot_row(int32x4_t (&acc)[vectors], const std::int8_t* a,
                                              const int8x16_t (&w)[vectors]) {
    std::int32_t four;
    std::memcpy(&four, a, 4);
    const int8x16_t x = vreinterpretq_s8_s32(vdupq_n_s32(four));
    ((acc[V] = vdotq_s32(acc[V], w[V], x)), ...);
  }
  ZP_ISA ZP_ALWAYS_INLINE static void step(sums& acc, const std::int8_t* const (&a)[rows],
                                           std::size_t k, const std::uint8_t* b) {
    const uint8x16_t mask = vdupq_n_u8(15);
    const int8x16_t low[] = {vreinterpretq_s8_u8(vandq_u8(vld1q_u8(b + 16 * V), mask))...};
    (dot_row(acc[R], a[R] + k, low), ...);
    const int8x16_t high[] = {vreinterpretq_s8_u8(vshrq_n_u8(vld1q_u8(b + 16 * V), 4))...};
    (dot_row(acc[R], a[R] + k + 4, high), ...);
  }

  /// acc = -zero * sum of the row over the group.
  ZP_ISA ZP_ALWAYS_INLINE static int32x4_t start(std::int32_t minus_sum,
                                                 const std::uint8_t* zeros) {
    if constexpr (Zeros) {
      std::uint32_t four;
      std::memcpy(&four, zeros, 4);
      const uint16x8_t wide = vmovl_u8(vreinterpret_u8_u32(vdup_n_u32(four)));
      return vmulq_n_s32(vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(wide))), minus_sum);
    } else {
      return vshlq_n_s32(vdupq_n_s32(minus_sum), 3);
    }
  }
  ZP_ISA ZP_ALWAYS_INLINE static void start_row(int32x4_t (&acc)[vectors], std::int32_t minus_sum,
                                                const std::uint8_t* zeros) {
    ((acc[V] = start(minus_sum, zeros + 4 * V)), ...);
  }
  ZP_ISA ZP_ALWAYS_INLINE static void clear_row(float32x4_t (&total)[vectors]) {
    ((total[V] = vdupq_n_f32(0)), ...);
  }
  ZP_ISA ZP_ALWAYS_INLINE static float32x4_t scale(const std::uint8_t* scales, std::size_t v) {
    if constexpr (Half) {
      return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(scales + 8 * v)));
    } else {
      return vreinterpretq_f32_u8(vld1q_u8(scales + 16 * v));
    }
  }
  ZP_ISA ZP_ALWAYS_INLINE static void scale_row(float32x4_t (&total)[vectors],
                                                const int32x4_t (&acc)[vectors],
                                                const std::uint8_t* scales) {
    ((total[V] = vfmaq_f32(total[V], vcvtq_f32_s32(acc[V]), scale(scales, V))), ...);
  }
  /// NEON has no masked store: a ragged last panel goes through memory of its own.
  ZP_ISA ZP_ALWAYS_INLINE static void store_row(const float32x4_t (&total)[vectors], float* y,
                                                float row_scale, const int4_job& job) {
    const float32x4_t out[] = {
        vfmaq_f32(vld1q_f32(job.bias + 4 * V), total[V], vdupq_n_f32(row_scale))...};
    if (job.n == nr) {
      (vst1q_f32(y + 4 * V, out[V]), ...);
      return;
    }
    float values[nr];
    (vst1q_f32(values + 4 * V, out[V]), ...);
    std::memcpy(y, values, job.n * sizeof(float));
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
      for (const std::size_t end = k + job.group; k < end; k += 8, b += step_bytes) {
        step(acc, a, k, b);
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
  using columns = std::make_index_sequence<4>;
  static constexpr void (*of_height[])(const int4_job&, std::size_t) = {
      &int4_tile<std::make_index_sequence<1>, columns, Half, Zeros>::run,
      &int4_tile<std::make_index_sequence<2>, columns, Half, Zeros>::run};
  by_row_blocks(job, of_height);
}

inline constexpr int4_format int4{2,
                                  16,
                                  {{&multiply_int4<false, false>, &multiply_int4<false, true>},
                                   {&multiply_int4<true, false>, &multiply_int4<true, true>}}};

}  // namespace kernels::neon_dot
}  // namespace zeropoint::inline ZP_BASELINE
#undef ZP_ISA
#endif  // ZP_HAS_NEON_DOT
