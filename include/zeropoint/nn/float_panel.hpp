// Float rows times a panel of 16 columns, with the same bits on every processor:
//
//   sum[i][j] += ((0 + x(i,0)*w(0,j)) + x(i,1)*w(1,j)) + ... + x(i,k-1)*w(k-1,j)
//
// Each product is rounded, then each sum, in ascending k. No fma: SSE2 has none and would have to
// emulate it. The price is half of the fma peak; AVX2 still does twice the work of plain SSE code
// and AVX-512 three times.
#pragma once

#include <zeropoint/nn/nibble_expand.hpp>

#include <cstddef>
#include <cstdint>

namespace zeropoint::inline ZP_BASELINE {
namespace float_panel {

inline constexpr std::size_t height = 4;  ///< rows that share one pass over it

/// An instruction set as data. w and sum are 64-byte aligned.
struct variant {
  const char* name;
  isa needs;
  /// w[k][j] = scale[j] * (codes[k][j] - zero[j]), one rounding; k rows of `width`.
  void (*expand)(std::size_t k, const std::int8_t* codes, const float* scale, const float* zero,
                 float* w);
  /// x: rows x k, `stride` floats from row to row. w: [k][width]. sum: [rows][width].
  void (*multiply)(std::size_t k, std::size_t rows, const float* x, std::size_t stride,
                   const float* w, float* sum);
  /// One row over many panels (float_row.hpp); null where expanding first is as good.
  void (*row)(const row_job&);
  /// As expand and row, from codes of up to 4 bits (nibble_format.hpp); first is a multiple of 8.
  void (*expand_nibbles)(const nibble_panel& panel, std::size_t first, std::size_t k, float* w);
  void (*nibble_row)(const nibble_job&);
  std::size_t rows_alone = 0;  ///< so many rows are faster one by one than from expanded panels
};

/// The baseline's, in the compiler's vectors; the other variants have it in intrinsics, because Clang 14
/// vectorizes over p and takes twice the time. The pointers are restricted because int8 may alias
/// anything: without it the loop runs at a quarter of the speed.
ZP_ALWAYS_INLINE void expand_loop(std::size_t k, const std::int8_t* __restrict codes,
                                  const float* __restrict scale, const float* __restrict zero,
                                  float* __restrict w) noexcept {
  for (std::size_t p = 0; p < k; ++p) {
    for (std::size_t j = 0; j < width; ++j) {
      w[p * width + j] = scale[j] * (static_cast<float>(codes[p * width + j]) - zero[j]);
    }
  }
}

/// multiply() as plain loops; every variant below gives the same bits.
inline void specification(std::size_t k, std::size_t rows, const float* x, std::size_t stride,
                          const float* w, float* sum) {
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < width; ++j) {
      float total = 0;
      for (std::size_t p = 0; p < k; ++p) {
        float product = x[i * stride + p] * w[p * width + j];
        ZP_ROUNDED(product);
        total += product;
      }
      sum[i * width + j] += total;
    }
  }
}

/// All rows, `height` at a time and then one by one.
using tile_fn = void (*)(std::size_t k, const float* x, std::size_t stride, const float* w,
                         float* sum);
template <tile_fn Tall, tile_fn Single>
void by_tiles(std::size_t k, std::size_t rows, const float* x, std::size_t stride, const float* w,
              float* sum) {
  std::size_t i = 0;
  for (; i + height <= rows; i += height) Tall(k, x + i * stride, stride, w, sum + i * width);
  for (; i < rows; ++i) Single(k, x + i * stride, stride, w, sum + i * width);
}

// The three variants differ in the vector's width, in how many vectors make a panel and in nothing
// else. Their accumulators stay in registers: 8 xmm, 8 ymm, 4 zmm for four rows.

namespace baseline {
/// 128-bit vectors, which every architecture has: half a panel at a time.
template <std::size_t Rows>
inline void tile(std::size_t k, const float* x, std::size_t stride, const float* w, float* sum) {
  typedef float lanes __attribute__((vector_size(16), may_alias));
  for (std::size_t half = 0; half < width; half += 8) {
    lanes acc[Rows][2] = {};
    for (std::size_t p = 0; p < k; ++p) {
      const auto* b = reinterpret_cast<const lanes*>(w + p * width + half);
#pragma GCC unroll 4
      for (std::size_t r = 0; r < Rows; ++r) {
        lanes left = b[0] * x[r * stride + p], right = b[1] * x[r * stride + p];
        ZP_ROUNDED(left);
        ZP_ROUNDED(right);
        acc[r][0] += left;
        acc[r][1] += right;
      }
    }
#pragma GCC unroll 4
    for (std::size_t r = 0; r < Rows; ++r) {
      auto* out = reinterpret_cast<lanes*>(sum + r * width + half);
      out[0] += acc[r][0];
      out[1] += acc[r][1];
    }
  }
}
inline void expand(std::size_t k, const std::int8_t* codes, const float* scale, const float* zero,
                   float* w) {
  expand_loop(k, codes, scale, zero, w);
}
inline constexpr variant table{"baseline", isa::baseline,
                               &expand,    &by_tiles<&tile<height>, &tile<1>>,
                               nullptr,    &expand_nibbles<&expand_group>,
                               nullptr};
}  // namespace baseline

#if ZP_X86
namespace avx2 {
template <std::size_t Rows>
ZP_TARGET("avx2")
inline void tile(std::size_t k, const float* x, std::size_t stride, const float* w, float* sum) {
  lanes acc[Rows][2] = {};
  for (std::size_t p = 0; p < k; ++p) {
    const auto* b = reinterpret_cast<const lanes*>(w + p * width);
#pragma GCC unroll 4
    for (std::size_t r = 0; r < Rows; ++r) {
      lanes left = b[0] * x[r * stride + p], right = b[1] * x[r * stride + p];
      ZP_ROUNDED(left);
      ZP_ROUNDED(right);
      acc[r][0] += left;
      acc[r][1] += right;
    }
  }
#pragma GCC unroll 4
  for (std::size_t r = 0; r < Rows; ++r) {
    auto* out = reinterpret_cast<lanes*>(sum + r * width);
    out[0] += acc[r][0];
    out[1] += acc[r][1];
  }
}
ZP_TARGET("avx2")
inline void expand(std::size_t k, const std::int8_t* codes, const float* scale, const float* zero,
                   float* w) {
  typedef float floats __attribute__((vector_size(32), aligned(4), may_alias));
  const auto *s = reinterpret_cast<const floats*>(scale),
             *z = reinterpret_cast<const floats*>(zero);
  const floats scales[] = {s[0], s[1]}, zeros[] = {z[0], z[1]};
  for (auto* to = reinterpret_cast<floats*>(w); k != 0; --k, codes += width, to += 2) {
#pragma GCC unroll 2
    for (std::size_t h = 0; h < 2; ++h) {
      const __m128i c = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(codes + h * 8));
      to[h] = scales[h] * (floats(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(c))) - zeros[h]);
    }
  }
}
inline constexpr variant table{"avx2",      isa::avx2_fma,
                               &expand,     &by_tiles<&tile<height>, &tile<1>>,
                               &row,        &expand_nibbles<&expand_group>,
                               &nibble_row, 1};
}  // namespace avx2

namespace avx512 {
template <std::size_t Rows>
ZP_TARGET("avx512f")
inline void tile(std::size_t k, const float* x, std::size_t stride, const float* w, float* sum) {
  lanes acc[Rows] = {};
  for (std::size_t p = 0; p < k; ++p) {
    const auto* b = reinterpret_cast<const lanes*>(w + p * width);
#pragma GCC unroll 4
    for (std::size_t r = 0; r < Rows; ++r) {
      lanes product = b[0] * x[r * stride + p];
      ZP_ROUNDED(product);
      acc[r] += product;
    }
  }
#pragma GCC unroll 4
  for (std::size_t r = 0; r < Rows; ++r) reinterpret_cast<lanes*>(sum + r * width)[0] += acc[r];
}
ZP_TARGET("avx512f")
inline void expand(std::size_t k, const std::int8_t* codes, const float* scale, const float* zero,
                   float* w) {
  typedef float floats __attribute__((vector_size(64), aligned(4), may_alias));
  const floats s = *reinterpret_cast<const floats*>(scale),
               z = *reinterpret_cast<const floats*>(zero);
  for (auto* to = reinterpret_cast<floats*>(w); k != 0; --k, codes += width, ++to) {
    const __m128i c = _mm_loadu_si128(reinterpret_cast<const __m128i*>(codes));
    *to = s * (floats(as_floats(c)) - z);
  }
}
inline constexpr variant table{"avx512",    isa::avx512,
                               &expand,     &by_tiles<&tile<height>, &tile<1>>,
                               &row,        &expand_nibbles<&expand_group>,
                               &nibble_row, 3};
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
