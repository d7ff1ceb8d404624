// The float products of float_kernels.hpp. In every variant an element of c is
//
//   ((s0 + s1) + s2) + ... + bias,   s = fma(a[k + 255], b[k + 255], ... fma(a[k], b[k], 0))
//
// a sum per 256 elements of k (the last has what is left), whatever m, n, strides and blocks are.
// For float_kernels_variant.cpp alone; nothing here has a name outside of its object file.
#pragma once

#include "lab/models/float_tiles_vectors.hpp"

namespace {

// Columns whose panels are in use at a time: 256 kB of the second-level cache.
constexpr std::size_t column_block = 256;

// panels [ceil(n / panel_width)][gap] from b[n,k]^T
void pack_nt(std::size_t n, std::size_t k, const float* b, std::size_t ldb, float* panels,
             std::size_t gap) {
  for (std::size_t j = 0; j < n; j += panel_width, panels += gap) {
    for (std::size_t p = 0; p < k; p += width) {
      const std::size_t rows = smaller(width, k - p);
      for (std::size_t u = 0; u < panel_width; u += width) {
        const std::size_t columns = j + u < n ? smaller(width, n - j - u) : 0;
        vec v[width];
        load_transposed(columns, rows, b + (columns == 0 ? 0 : (j + u) * ldb) + p, ldb, v);
        float* to = panels + p * panel_width + u;
        if (rows == width) {
#pragma GCC unroll 16
          for (std::size_t i = 0; i < width; ++i) store(v[i], to + i * panel_width);
        } else {
          for (std::size_t i = 0; i < rows; ++i) store(v[i], to + i * panel_width);
        }
      }
    }
  }
}

// The same from b[k,n]
void pack_nn(std::size_t n, std::size_t k, const float* b, std::size_t ldb, float* panels,
             std::size_t gap) {
  for (std::size_t j = 0; j < n; j += panel_width, panels += gap) {
    for (std::size_t p = 0; p < k; ++p) {
      const float* from = b + p * ldb + j;
      for (std::size_t u = 0; u < panel_width; u += width) {
        const std::size_t columns = j + u < n ? smaller(width, n - j - u) : 0;
        store(
            columns == width ? load(from + u) : load_tail(columns == 0 ? b : from + u, columns, 0),
            panels + p * panel_width + u);
      }
    }
  }
}

// GCC makes a memcpy of unknown size "rep movs", which takes a sixth of the product's time.
inline void copy_row(std::size_t n, const float* from, float* to) {
  std::size_t j = 0;
  for (; j + width <= n; j += width) store(load(from + j), to + j);
  for (; j < n; ++j) to[j] = from[j];
}

// k <= depth elements of all m rows with packed panels. `gap` floats lie between panels.
void multiply_block(std::size_t m, std::size_t n, std::size_t k, const float* a, std::size_t lda,
                    const float* panels, std::size_t gap, const tile_output& out) {
  alignas(64) float copy[tile_rows * copy_stride];
  const std::size_t tiles = (m + tile_rows - 1) / tile_rows;
  for (std::size_t t = 0, i = 0; t < tiles; ++t) {  // tiles that differ by one row at most
    const std::size_t rows = (m - i + tiles - t - 1) / (tiles - t);
    for (std::size_t r = 0; r < rows; ++r) {
      copy_row(k, a + (i + r) * lda, copy + r * copy_stride);
    }
    const tile_function f = tile_of(rows);
    const float* panel = panels;
    for (std::size_t j = 0; j < n; j += panel_width, panel += gap) {
      f(k, copy, panel,
        {out.c + i * out.ldc + j, out.ldc, smaller(panel_width, n - j),
         out.bias == nullptr ? nullptr : out.bias + j, out.first});
    }
    i += rows;
  }
}

// f(first element of k, how many, whether it is the first block, whether the last); once if k is 0.
template <class F>
inline void over_depth(std::size_t k, F f) {
  std::size_t p = 0;
  do {
    const std::size_t rows = smaller(depth, k - p);
    f(p, rows, p == 0, p + rows == k);
    p += rows;
  } while (p < k);
}

std::size_t packed_size(std::size_t n, std::size_t k) {
  return (n + panel_width - 1) / panel_width * panel_width * k;
}

void pack_all_nt(std::size_t n, std::size_t k, const float* b, std::size_t ldb, float* panels) {
  pack_nt(n, k, b, ldb, panels, k * panel_width);
}

void pack_all_nn(std::size_t n, std::size_t k, const float* b, std::size_t ldb, float* panels) {
  pack_nn(n, k, b, ldb, panels, k * panel_width);
}

// pack(column, columns, element of k, elements, panels) packs a block of b.
template <class Pack>
inline void multiply_packing(std::size_t m, std::size_t n, std::size_t k, const float* a,
                             std::size_t lda, const float* bias, float* c, std::size_t ldc,
                             Pack pack) {
  alignas(64) float panels[column_block * depth];
  for (std::size_t j = 0; j < n; j += column_block) {
    const std::size_t columns = smaller(column_block, n - j);
    over_depth(k, [&](std::size_t p, std::size_t rows, bool first, bool last) {
      pack(j, columns, p, rows, panels);
      multiply_block(m, columns, rows, a + p, lda, panels, rows * panel_width,
                     {c + j, ldc, columns, last && bias != nullptr ? bias + j : nullptr, first});
    });
  }
}

// One row, `columns` <= width elements of it. Bound by reading b, which is transposed in registers.
inline vec row_nt(std::size_t columns, std::size_t k, const float* a, const float* b,
                  std::size_t ldb) {
  vec total{};
  over_depth(k, [&](std::size_t first, std::size_t rows, bool, bool) {
    vec sum{}, v[width];
    std::size_t p = first;
    for (; p + width <= first + rows; p += width) {
      load_transposed(columns, width, b + p, ldb, v);
      // The next columns, at an even pace: 9.7 GB/s become 11.9 where the machine reads 11.6 to 12.5.
      for (std::size_t j = width; j < 2 * width; ++j) __builtin_prefetch(b + j * ldb + p, 0, 2);
#pragma GCC unroll 16
      for (std::size_t i = 0; i < width; ++i) sum = fused(filled(a[p + i]), v[i], sum);
    }
    if (const std::size_t left = first + rows - p; left > 0) {
      load_transposed(columns, left, b + p, ldb, v);
      for (std::size_t i = 0; i < left; ++i) sum = fused(filled(a[p + i]), v[i], sum);
    }
    total = first == 0 ? sum : total + sum;
  });
  return total;
}

// One row, `Vectors` vectors of it, of which `columns` elements count.
template <std::size_t Vectors>
inline void row_nn(std::size_t columns, std::size_t k, const float* a, const float* b,
                   std::size_t ldb, float* c) {
  const std::size_t tail = columns - (Vectors - 1) * width;
  vec total[Vectors] = {};
  over_depth(k, [&](std::size_t first, std::size_t rows, bool, bool) {
    vec sum[Vectors] = {};
    for (std::size_t p = first; p < first + rows; ++p) {
      const vec x = filled(a[p]);
      const float* row = b + p * ldb;
#pragma GCC unroll 8
      for (std::size_t u = 0; u < Vectors; ++u) {
        const bool whole = u + 1 < Vectors || tail == width;
        sum[u] =
            fused(x, whole ? load(row + u * width) : load_tail(row + u * width, tail, 0), sum[u]);
      }
    }
    for (std::size_t u = 0; u < Vectors; ++u) total[u] = first == 0 ? sum[u] : total[u] + sum[u];
  });
  for (std::size_t u = 0; u + 1 < Vectors; ++u) store(total[u], c + u * width);
  store_tail(total[Vectors - 1], c + (Vectors - 1) * width, tail);
}

void multiply_nt(std::size_t m, std::size_t n, std::size_t k, const float* a, std::size_t lda,
                 const float* b, std::size_t ldb, const float* bias, float* c, std::size_t ldc) {
  if (m != 1) {
    multiply_packing(
        m, n, k, a, lda, bias, c, ldc,
        [=](std::size_t j, std::size_t columns, std::size_t p, std::size_t rows, float* panels) {
          pack_nt(columns, rows, b + j * ldb + p, ldb, panels, rows * panel_width);
        });
    return;
  }
  for (std::size_t j = 0; j < n; j += width) {
    const std::size_t columns = smaller(width, n - j);
    vec v = row_nt(columns, k, a, b + j * ldb, ldb);
    if (bias != nullptr) v += load_tail(bias + j, columns, 0);
    store_tail(v, c + j, columns);
  }
}

void multiply_nn(std::size_t m, std::size_t n, std::size_t k, const float* a, std::size_t lda,
                 const float* b, std::size_t ldb, float* c, std::size_t ldc) {
  if (m != 1) {
    multiply_packing(
        m, n, k, a, lda, nullptr, c, ldc,
        [=](std::size_t j, std::size_t columns, std::size_t p, std::size_t rows, float* panels) {
          pack_nn(columns, rows, b + p * ldb + j, ldb, panels, rows * panel_width);
        });
    return;
  }
  std::size_t j = 0;
  for (; j + 8 * width <= n; j += 8 * width) row_nn<8>(8 * width, k, a, b + j, ldb, c + j);
  for (; j + 4 * width <= n; j += 4 * width) row_nn<4>(4 * width, k, a, b + j, ldb, c + j);
  for (; j < n; j += width) row_nn<1>(smaller(width, n - j), k, a, b + j, ldb, c + j);
}

}  // namespace
