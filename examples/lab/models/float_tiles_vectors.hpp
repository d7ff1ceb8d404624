// The register tile that all float products come down to, and the panels that it reads:
//
//   panel p of b [k, n], in k-major order:   [k][panel_width], columns p * panel_width ..., padded with 0
//
// For float_products_vectors.hpp alone; nothing here has a name outside of its object file.
#pragma once

#include "lab/models/float_kernels.hpp"
#include "lab/models/float_kernels_vectors.hpp"

#if defined(__AVX__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace {

#if !defined(__AVX512F__) && !defined(__FMA__) && !defined(__aarch64__)
// fma in double, for an instruction set without it. The product of two floats is exact; the sum s is
// rounded, and e is what it lost (Knuth's TwoSum). When that is not 0 and the last bit of s is, s moves
// one step towards the sum: rounded to odd, it keeps on which side of a tie the sum is, and the rounding to
// float gives what a single one gives (Boldo and Melquiond 2008; 53 bits >= 24 + 2). A NaN or infinity
// has a NaN for e, which compares as neither.
using dvec = double __attribute__((vector_size(2 * ZP_LAB_REGISTER)));
using lvec = decltype(dvec{} > dvec{});
inline vec fused_in_double(vec a, vec b, vec c) {
  const dvec p = __builtin_convertvector(a, dvec) * __builtin_convertvector(b, dvec);
  const dvec t = __builtin_convertvector(c, dvec);
  dvec s = p + t;
  const dvec u = s - p, e = (p - (s - u)) + (t - u);
  const lvec below = e < dvec{}, inexact = (e > dvec{}) | below;
  const lvec step = (below ^ (s < dvec{})) | 1;  // of the magnitude: 1, or -1 where signs differ
  lvec bits;
  __builtin_memcpy(&bits, &s, sizeof s);
  bits += inexact & ((bits & 1) - 1) & step;
  __builtin_memcpy(&s, &bits, sizeof s);
  return __builtin_convertvector(s, vec);
}
#endif

// a * b + c, rounded once, in every variant; -ffp-contract=off leaves no other way to ask for it.
inline vec fused(vec a, vec b, vec c) {
#if defined(__AVX512F__)
  return _mm512_fmadd_ps(a, b, c);
#elif defined(__FMA__)
  return _mm256_fmadd_ps(a, b, c);
#elif defined(__aarch64__)
  return vfmaq_f32(c, a, b);
#else
  return fused_in_double(a, b, c);
#endif
}

// As many accumulators as leave room for a row of b and one broadcast: 28 of 32 registers, 12 of 16.
#if defined(__AVX512F__)
constexpr std::size_t tile_rows = 14;
#else
constexpr std::size_t tile_rows = 6;
#endif
constexpr std::size_t tile_vectors = 2, panel_width = tile_vectors * width;

// Elements of k that are summed in registers before they join the sum in memory. Part of what the bits
// are, so the same in all variants: a panel of 32 columns takes 32 kB.
constexpr std::size_t depth = lab::float_sum_depth;
// Rows of a tile lie in a copy with this stride, off the powers of two that would put them all into the
// same eight lines of the first-level cache.
constexpr std::size_t copy_stride = depth + 16;

inline std::size_t smaller(std::size_t a, std::size_t b) {
  return a < b ? a : b;
}

// Where the sums of a tile go.
struct tile_output {
  float* c;
  std::size_t ldc, columns;  // columns <= panel_width
  const float* bias;         // added after the last block of k; may be null
  bool first;                // block of k: c is written; otherwise added to
};

// What is in memory joins the sums; they come back with the bias.
inline vec joined(vec sum, const float* c, std::size_t column, const tile_output& out) {
  if (!out.first) sum = load(c) + sum;
  return out.bias == nullptr ? sum : sum + load(out.bias + column);
}

// Of the last panel, some of whose columns are none of c's.
__attribute__((noinline)) void store_some(std::size_t rows, const float* sums,
                                          const tile_output& out) {
  for (std::size_t i = 0; i < rows; ++i, sums += panel_width) {
    float* c = out.c + i * out.ldc;
    for (std::size_t j = 0; j < out.columns; ++j) {
      const float sum = out.first ? sums[j] : c[j] + sums[j];
      c[j] = out.bias == nullptr ? sum : sum + out.bias[j];
    }
  }
}

// Rows of a (with copy_stride) times a panel, over k <= depth elements: one chain of sums per element.
template <std::size_t Rows>
void tile(std::size_t k, const float* a, const float* panel, const tile_output& out) {
  for (std::size_t i = 0; i < Rows; ++i) {
    __builtin_prefetch(out.c + i * out.ldc, 1);
    __builtin_prefetch(out.c + i * out.ldc + out.columns - 1, 1);
  }
  vec sum[Rows][tile_vectors] = {};
  for (std::size_t p = 0; p < k; ++p, ++a, panel += panel_width) {
    vec b[tile_vectors];
#pragma GCC unroll 2
    for (std::size_t u = 0; u < tile_vectors; ++u) {
      b[u] = load(panel + u * width);
      __builtin_prefetch(panel + 8 * panel_width + u * width);  // 3 to 7 % of a product
    }
#pragma GCC unroll 14
    for (std::size_t i = 0; i < Rows; ++i) {
      const vec x = filled(a[i * copy_stride]);
#pragma GCC unroll 2
      for (std::size_t u = 0; u < tile_vectors; ++u) sum[i][u] = fused(x, b[u], sum[i][u]);
    }
  }
  alignas(64) float some[Rows * panel_width];
  const bool whole = out.columns == panel_width;
#pragma GCC unroll 14
  for (std::size_t i = 0; i < Rows; ++i) {
#pragma GCC unroll 2
    for (std::size_t u = 0; u < tile_vectors; ++u) {
      float* const c = out.c + i * out.ldc + u * width;
      whole ? store(joined(sum[i][u], c, u * width, out), c)
            : store(sum[i][u], some + i * panel_width + u * width);
    }
  }
  if (!whole) store_some(Rows, some, out);
}

using tile_function = void (*)(std::size_t, const float*, const float*, const tile_output&);

inline tile_function tile_of(std::size_t rows) {
  static constexpr tile_function all[] = {
    &tile<1>,
    &tile<2>,
    &tile<3>,
    &tile<4>,
    &tile<5>,
    &tile<6>,
#if defined(__AVX512F__)
    &tile<7>,
    &tile<8>,
    &tile<9>,
    &tile<10>,
    &tile<11>,
    &tile<12>,
    &tile<13>,
    &tile<14>,
#endif
  };
  return all[rows - 1];
}

// Columns become rows: v[i][j] and v[j][i] change places.
#if defined(__AVX512F__)
inline void transpose(vec (&v)[width]) {
  __m512 t[width];
#pragma GCC unroll 4
  for (std::size_t i = 0; i < width; i += 4) {
    const __m512 a = _mm512_unpacklo_ps(v[i], v[i + 1]), b = _mm512_unpackhi_ps(v[i], v[i + 1]),
                 c = _mm512_unpacklo_ps(v[i + 2], v[i + 3]),
                 d = _mm512_unpackhi_ps(v[i + 2], v[i + 3]);
    t[i] = _mm512_shuffle_ps(a, c, 0x44), t[i + 1] = _mm512_shuffle_ps(a, c, 0xee);
    t[i + 2] = _mm512_shuffle_ps(b, d, 0x44), t[i + 3] = _mm512_shuffle_ps(b, d, 0xee);
  }
  // Each t is now four columns of four rows: quarter q of t[i + r] is column 4 q + r.
#pragma GCC unroll 4
  for (std::size_t r = 0; r < 4; ++r) {
    const __m512 a = _mm512_shuffle_f32x4(t[r], t[4 + r], 0x88),
                 b = _mm512_shuffle_f32x4(t[r], t[4 + r], 0xdd),
                 c = _mm512_shuffle_f32x4(t[8 + r], t[12 + r], 0x88),
                 d = _mm512_shuffle_f32x4(t[8 + r], t[12 + r], 0xdd);
    v[r] = _mm512_shuffle_f32x4(a, c, 0x88), v[8 + r] = _mm512_shuffle_f32x4(a, c, 0xdd);
    v[4 + r] = _mm512_shuffle_f32x4(b, d, 0x88), v[12 + r] = _mm512_shuffle_f32x4(b, d, 0xdd);
  }
}
#elif defined(__AVX__)
inline void transpose(vec (&v)[width]) {
  __m256 t[width];
#pragma GCC unroll 2
  for (std::size_t i = 0; i < width; i += 4) {
    const __m256 a = _mm256_unpacklo_ps(v[i], v[i + 1]), b = _mm256_unpackhi_ps(v[i], v[i + 1]),
                 c = _mm256_unpacklo_ps(v[i + 2], v[i + 3]),
                 d = _mm256_unpackhi_ps(v[i + 2], v[i + 3]);
    t[i] = _mm256_shuffle_ps(a, c, 0x44), t[i + 1] = _mm256_shuffle_ps(a, c, 0xee);
    t[i + 2] = _mm256_shuffle_ps(b, d, 0x44), t[i + 3] = _mm256_shuffle_ps(b, d, 0xee);
  }
#pragma GCC unroll 4
  for (std::size_t r = 0; r < 4; ++r) {
    v[r] = _mm256_permute2f128_ps(t[r], t[4 + r], 0x20);
    v[4 + r] = _mm256_permute2f128_ps(t[r], t[4 + r], 0x31);
  }
}
#else
inline void transpose(vec (&v)[width]) {
  vec t[width];
  for (std::size_t i = 0; i < width; ++i) {
    for (std::size_t j = 0; j < width; ++j) t[i][j] = v[j][i];
  }
  for (std::size_t i = 0; i < width; ++i) v[i] = t[i];
}
#endif

// v[p][j] = b[j * ldb + p] for j < columns and p < k, both at most width; 0 for other j.
inline void load_transposed(std::size_t columns, std::size_t k, const float* b, std::size_t ldb,
                            vec (&v)[width]) {
  if (columns == width && k == width) {
#pragma GCC unroll 16
    for (std::size_t j = 0; j < width; ++j) v[j] = load(b + j * ldb);
  } else {
    for (std::size_t j = 0; j < width; ++j) {
      v[j] = j < columns ? load_tail(b + j * ldb, k, 0) : vec{};
    }
  }
  transpose(v);
}

}  // namespace
