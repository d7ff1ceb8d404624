// Float rows times panels of 16 columns of integers, a scale per column and segment of the inputs, with
// the same bits on every processor:
//
//   sum(i, j) = fma(scale(j, s), acc(s), ... fma(scale(j, 0), acc(0), 0))
//   acc(s)    = fma(x(i, k), w(k, j), acc(s)) in ascending k, from 0      w = code - zero, exact
//
// Every term is a fused multiply-add, in doubles where the instruction set has none (base/fused.hpp).
#pragma once

#include <zeropoint/nn/float_tile.hpp>
#include <zeropoint/nn/nibble_expand.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>

namespace zeropoint::inline ZP_BASELINE {
namespace float_panel {

/// An instruction set as data.
struct variant {
  const char* name;
  isa needs;
  /// w[k][j] = codes[k][j] - zero[j], k rows of `width`, codes `step` from row to row; w is 64-byte
  /// aligned.
  void (*expand)(std::size_t k, const std::int8_t* codes, std::size_t step, const float* zero,
                 float* w);
  /// The same and scale[j], from codes of up to 4 bits (nibble_format.hpp).
  void (*expand_nibbles)(const nibble_segment& segment, float* w, float* scale);
  /// Rows over expanded panels (float_tile.hpp).
  void (*multiply)(const panel_job&);
  /// One row over many panels (float_row.hpp); null where expanding first is as good.
  void (*row)(const row_job&);
  void (*nibble_row)(const nibble_job&);
  std::size_t rows_alone = 0;  ///< so many rows are faster one by one than from expanded panels
};

/// multiply() as plain loops; every variant below gives the same bits.
inline void specification(const panel_job& job) {
  for (std::size_t i = 0; i < job.rows; ++i) {
    for (std::size_t j = 0; j < job.panels * width; ++j) {
      const float* w = job.w + j / width * job.depth * width + j % width;
      float acc = 0;
      for (std::size_t k = 0; k < job.depth; ++k) {
        acc = std::fma(job.x[i * job.stride + k], w[k * width], acc);
      }
      float& sum = job.sum[i * job.panels * width + j];
      sum = std::fma(job.scale[j], acc, sum);
    }
  }
}

namespace baseline {
/// In the compiler's vectors; the other variants have it in intrinsics, because Clang 14 vectorizes
/// over p and takes twice the time. The pointers are restricted because int8 may alias anything:
/// without it the loop runs at a quarter of the speed.
inline void expand(std::size_t k, const std::int8_t* __restrict codes, std::size_t step,
                   const float* __restrict zero, float* __restrict w) {
  for (std::size_t p = 0; p < k; ++p) {
    for (std::size_t j = 0; j < width; ++j) {
      w[p * width + j] = static_cast<float>(codes[p * step + j]) - zero[j];
    }
  }
}
inline constexpr variant table{"baseline", isa::baseline, &expand, &expand_nibbles,
                               &multiply,  nullptr,       nullptr};
}  // namespace baseline

#if ZP_X86
namespace avx2 {
ZP_TARGET("avx2,fma,f16c")
inline void expand(std::size_t k, const std::int8_t* codes, std::size_t step, const float* zero,
                   float* w) {
  typedef float floats __attribute__((vector_size(32), aligned(4), may_alias));
  const auto* z = reinterpret_cast<const floats*>(zero);
  const floats zeros[] = {z[0], z[1]};
  for (auto* to = reinterpret_cast<floats*>(w); k != 0; --k, codes += step, to += 2) {
#pragma GCC unroll 2
    for (std::size_t h = 0; h < 2; ++h) {
      const __m128i c = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(codes + h * 8));
      to[h] = floats(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(c))) - zeros[h];
    }
  }
}
inline constexpr variant table{"avx2",    isa::avx2_fma, &expand,     &expand_nibbles,
                               &multiply, &row,          &nibble_row, 3};
}  // namespace avx2

namespace avx512 {
ZP_TARGET("avx512f")
inline void expand(std::size_t k, const std::int8_t* codes, std::size_t step, const float* zero,
                   float* w) {
  typedef float floats __attribute__((vector_size(64), aligned(4), may_alias));
  const floats z = *reinterpret_cast<const floats*>(zero);
  for (auto* to = reinterpret_cast<floats*>(w); k != 0; --k, codes += step, ++to) {
    const __m128i c = _mm_loadu_si128(reinterpret_cast<const __m128i*>(codes));
    *to = floats(as_floats(c)) - z;
  }
}
inline constexpr variant table{"avx512",  isa::avx512, &expand,     &expand_nibbles,
                               &multiply, &row,        &nibble_row, 4};
}  // namespace avx512
#endif

inline constexpr const variant* compiled[] = {
#if ZP_X86
    &avx512::table,
    &avx2::table,
#endif
    &baseline::table,
};

/// The widest variant that this processor runs and that needs no more than `allowed`.
[[nodiscard]] inline const variant& choose(isa allowed) noexcept {
  for (const variant* v : compiled) {
    if (contains(cpu_features(), v->needs) && contains(allowed, v->needs)) return *v;
  }
  return baseline::table;
}

}  // namespace float_panel
}  // namespace zeropoint::inline ZP_BASELINE
