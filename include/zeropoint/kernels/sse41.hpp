// Processors without AVX2: both sides are widened to 16 bits and pmaddwd adds two exact products into
// 32 bits, as in avx2.hpp with half the width. Tiles of 4 x 8 outputs: 8 accumulators, 2 registers of
// b, 1 broadcast, 1 product.
#pragma once

#include <zeropoint/kernels/kernel.hpp>
#include <zeropoint/kernels/scalar.hpp>

#if ZP_X86
#include <immintrin.h>

#include <cmath>
#include <cstring>

#define ZP_ISA ZP_TARGET("sse4.1")

namespace zeropoint::inline ZP_BASELINE {
namespace kernels::sse41 {

using lanes = unsigned __attribute__((vector_size(16)));  // 4 outputs; unsigned: sums may wrap

inline constexpr std::size_t mr = 4, nr = 8;

ZP_ISA ZP_ALWAYS_INLINE lanes load(const std::int32_t* p) {
  return reinterpret_cast<lanes>(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}

ZP_ISA ZP_ALWAYS_INLINE void store(std::int32_t* p, lanes x) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), reinterpret_cast<__m128i>(x));
}

/// Rows of dot products to their places in c or y. A function of its own: beside its calls (there is no
/// fma but std::fma) g++ 12 keeps two of the sums of four rows on the stack.
ZP_ISA ZP_NOINLINE inline void finish(std::int32_t (*sums)[nr], std::size_t rows,
                                      const panel_job& job, std::size_t first) {
  for (std::size_t i = first; i < first + rows; ++i, ++sums) {
    for (const rank_one& term : job.term) {
      if (term.row == nullptr) continue;
      const lanes x = lanes{} + static_cast<unsigned>(term.row[i]);
      store(*sums, load(*sums) + x * load(term.column));
      store(*sums + 4, load(*sums + 4) + x * load(term.column + 4));
    }
    if (job.c != nullptr) {
      std::memcpy(job.c + i * job.stride, *sums, job.n * sizeof(std::int32_t));
      continue;
    }
    const float row = job.row_scale[i * job.row_scale_step];
    for (std::size_t j = 0; j < job.n; ++j) {
      job.y[i * job.stride + j] =
          std::fma(static_cast<float>((*sums)[j]), row * job.column_scale[j], job.bias[j]);
    }
  }
}

/// Rows first .. first + Rows of the job.
template <std::size_t Rows>
ZP_ISA inline void tile(const panel_job& job, std::size_t first) {
  const auto* a = static_cast<const char*>(job.a) + first * job.a_stride;
  const std::int8_t* b = job.b;
  const lanes factor = lanes{} + static_cast<unsigned>(job.factor);
  const lanes start[2] = {factor * load(job.sums), factor * load(job.sums + 4)};
  lanes acc[Rows][2];
#pragma GCC unroll 4
  for (std::size_t r = 0; r < Rows; ++r) acc[r][0] = start[0], acc[r][1] = start[1];
  for (std::size_t k = 0; k < job.k; k += 2, a += 2 * sizeof(std::int16_t), b += 2 * nr) {
    const __m128i left = _mm_cvtepi8_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(b)));
    const __m128i right =
        _mm_cvtepi8_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(b + nr)));
#pragma GCC unroll 4
    for (std::size_t r = 0; r < Rows; ++r) {
      std::int32_t two;
      std::memcpy(&two, a + r * job.a_stride, sizeof two);
      const __m128i x = _mm_set1_epi32(two);
      acc[r][0] += reinterpret_cast<lanes>(_mm_madd_epi16(left, x));
      acc[r][1] += reinterpret_cast<lanes>(_mm_madd_epi16(right, x));
    }
  }
  std::int32_t sums[Rows][nr];
#pragma GCC unroll 4
  for (std::size_t r = 0; r < Rows; ++r) store(sums[r], acc[r][0]), store(sums[r] + 4, acc[r][1]);
  finish(sums, Rows, job, first);
}

inline void multiply(const panel_job& job) {
  static constexpr void (*of_height[mr])(const panel_job&, std::size_t) = {&tile<1>, &tile<2>,
                                                                           &tile<3>, &tile<4>};
  by_row_blocks(job, of_height);
}

inline constexpr panel_format formats[] = {{mr, nr, &multiply}};
inline constexpr kernel table{.name = "sse41",
                              .needs = isa::sse41,
                              .a = operand::s16,
                              .k_group = 2,
                              .prepare = &scalar::prepare<operand::s16>,
                              .formats = formats,
                              .format_count = 1,
                              .int4 = &scalar::int4<16>};

}  // namespace kernels::sse41
}  // namespace zeropoint::inline ZP_BASELINE
#undef ZP_ISA
#endif  // ZP_X86
