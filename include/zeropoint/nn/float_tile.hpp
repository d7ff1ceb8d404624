// Float rows times expanded panels, over one segment of the inputs:
//
//   sum[i][j] = fma(scale[j], acc, sum[i][j])     acc = fma(x(i, k), w(k, j), acc) in ascending k, from 0
//
// A tile keeps as many sums as leave registers for a row of w and one broadcast: of 32 zmm 12 rows x
// 2 panels, of 16 ymm 6 x 1. That is 14 loads for 24 products (8 for 12), so that loads do not bound
// it, and the fma units do.
#pragma once

#include <zeropoint/base/fused.hpp>
#include <zeropoint/nn/float_row.hpp>

#include <algorithm>

namespace zeropoint::inline ZP_BASELINE {
namespace float_panel {

/// One segment of some panels. w, scale and sum are 64-byte aligned.
struct panel_job {
  std::size_t depth = 0, rows = 0, panels = 0;  ///< depth <= block_depth
  const float* x = nullptr;                     ///< [rows][depth], `stride` floats from row to row
  std::size_t stride = 0;
  const float* w = nullptr;      ///< [panels][depth][width]
  const float* scale = nullptr;  ///< [panels][width]
  float* sum = nullptr;          ///< [rows][panels][width]; added to
};

/// Rows of a tile lie in a copy with this stride, off the powers of two that would put all of them into
/// the same lines of the first-level cache.
inline constexpr std::size_t copy_stride = block_depth + 16, tallest = 12;

/// `rows` of the tile's rows are there, the others are zeros and go nowhere.
struct tile_job {
  std::size_t depth, rows;
  const float* x;  ///< [tile's rows][copy_stride]
  const float* w;  ///< of the first panel, the second follows
  const float* scale;
  float* sum;
  std::size_t sum_stride;
};
using tile_fn = void (*)(const tile_job&);

/// Tiles of `Step` rows and its multiples, over one panel and over two.
template <std::size_t Step, std::size_t Heights>
struct tile_table {
  tile_fn one[Heights];
  tile_fn two[Heights];  ///< null: one by one
};

/// All rows, in tiles whose heights differ by one step at most.
template <const auto& Table, std::size_t Step, std::size_t Heights>
inline void by_tiles(const panel_job& j) {
  alignas(64) float copy[tallest * copy_stride];
  const std::size_t steps = (j.rows + Step - 1) / Step, tiles = (steps + Heights - 1) / Heights;
  for (std::size_t t = 0, i = 0; t < tiles; ++t) {
    const std::size_t height = (steps - i / Step + tiles - t - 1) / (tiles - t);
    const std::size_t rows = smaller(height * Step, j.rows - i);
    for (std::size_t r = 0; r < height * Step; ++r) {
      float* to = copy + r * copy_stride;
      if (r < rows) std::copy_n(j.x + (i + r) * j.stride, j.depth, to);
      if (r >= rows) std::fill_n(to, j.depth, 0.0f);
    }
    for (std::size_t p = 0; p < j.panels;) {
      const bool both = Table.two[height - 1] != nullptr && p + 2 <= j.panels;
      (both ? Table.two : Table.one)[height - 1](
          {j.depth, rows, copy, j.w + p * j.depth * width, j.scale + p * width,
           j.sum + (i * j.panels + p) * width, j.panels * width});
      p += both ? 2 : 1;
    }
    i += rows;
  }
}

namespace baseline {
template <std::size_t Rows>
inline void tile(const tile_job& j) {
  typedef float lanes __attribute__((vector_size(16), may_alias));
  lanes acc[Rows][4] = {};
  const auto* b = reinterpret_cast<const lanes*>(j.w);
  for (std::size_t k = 0; k < j.depth; ++k, b += 4) {
#pragma GCC unroll 4
    for (std::size_t r = 0; r < Rows; ++r) {
      const float v = j.x[r * copy_stride + k];
      const lanes x = {v, v, v, v};
#pragma GCC unroll 4
      for (std::size_t q = 0; q < 4; ++q) acc[r][q] = fused(x, b[q], acc[r][q]);
    }
  }
#pragma GCC unroll 4
  for (std::size_t r = 0; r < Rows; ++r) {
    auto* out = reinterpret_cast<lanes*>(j.sum + r * j.sum_stride);
    const auto* scale = reinterpret_cast<const lanes*>(j.scale);
#pragma GCC unroll 4
    for (std::size_t q = 0; q < 4; ++q) out[q] = fused(scale[q], acc[r][q], out[q]);
  }
}
inline constexpr tile_table<1, 4> tiles{{&tile<1>, &tile<2>, &tile<3>, &tile<4>}, {}};
inline void multiply(const panel_job& j) {
  by_tiles<tiles, 1, 4>(j);
}
}  // namespace baseline

#if ZP_X86
namespace avx2 {
template <std::size_t Rows>
ZP_TARGET("avx2,fma,f16c")
inline void tile(const tile_job& j) {
  lanes acc[Rows][2] = {};
  const auto* b = reinterpret_cast<const lanes*>(j.w);
  const float* x = j.x;
  for (std::size_t k = 0; k < j.depth; ++k, b += 2, ++x) {
    const lanes left = b[0], right = b[1];
#pragma GCC unroll 6
    for (std::size_t r = 0; r < Rows; ++r) {
      const lanes v = _mm256_set1_ps(x[r * copy_stride]);
      acc[r][0] = _mm256_fmadd_ps(v, left, acc[r][0]);
      acc[r][1] = _mm256_fmadd_ps(v, right, acc[r][1]);
    }
  }
  const auto* scale = reinterpret_cast<const lanes*>(j.scale);
#pragma GCC unroll 6
  for (std::size_t r = 0; r < Rows; ++r) {
    if (r >= j.rows) break;
    auto* out = reinterpret_cast<lanes*>(j.sum + r * j.sum_stride);
    out[0] = _mm256_fmadd_ps(scale[0], acc[r][0], out[0]);
    out[1] = _mm256_fmadd_ps(scale[1], acc[r][1], out[1]);
  }
}
inline constexpr tile_table<2, 3> tiles{{&tile<2>, &tile<4>, &tile<6>}, {}};
inline void multiply(const panel_job& j) {
  by_tiles<tiles, 2, 3>(j);
}
}  // namespace avx2

namespace avx512 {
template <std::size_t Rows, std::size_t Panels>
ZP_TARGET("avx512f")
inline void tile(const tile_job& j) {
  lanes acc[Rows][Panels] = {};
  const auto* b = reinterpret_cast<const lanes*>(j.w);
  const float* x = j.x;
  for (std::size_t k = 0; k < j.depth; ++k, ++b, ++x) {
    lanes w[Panels];
#pragma GCC unroll 2
    for (std::size_t p = 0; p < Panels; ++p) w[p] = b[p * j.depth];
#pragma GCC unroll 12
    for (std::size_t r = 0; r < Rows; ++r) {
      const lanes v = _mm512_set1_ps(x[r * copy_stride]);
#pragma GCC unroll 2
      for (std::size_t p = 0; p < Panels; ++p) acc[r][p] = _mm512_fmadd_ps(v, w[p], acc[r][p]);
    }
  }
  const auto* scale = reinterpret_cast<const lanes*>(j.scale);
#pragma GCC unroll 12
  for (std::size_t r = 0; r < Rows; ++r) {
    if (r >= j.rows) break;
    auto* out = reinterpret_cast<lanes*>(j.sum + r * j.sum_stride);
#pragma GCC unroll 2
    for (std::size_t p = 0; p < Panels; ++p) {
      out[p] = _mm512_fmadd_ps(scale[p], acc[r][p], out[p]);
    }
  }
}
inline constexpr tile_table<4, 3> tiles{{&tile<4, 1>, &tile<8, 1>, &tile<12, 1>},
                                        {&tile<4, 2>, &tile<8, 2>, &tile<12, 2>}};
inline void multiply(const panel_job& j) {
  by_tiles<tiles, 4, 3>(j);
}
}  // namespace avx512
#endif

}  // namespace float_panel
}  // namespace zeropoint::inline ZP_BASELINE
