// One float row times panels of int8 codes, the weight-only product of a decode step: the codes become
// floats in registers and are never written. The same bits as float_panel.hpp gives for expanded
// blocks:
//
//   sum[j] = the sum over blocks of ((0 + x0*w0j) + x1*w1j) + ...     w = scale * (code - zero)
//
// A sum in ascending k waits four cycles for every addition, so a row goes over several panels at
// once, and fetches each of them 4 KB ahead: without that it waits for memory half of the time (Zen 5).
#pragma once

#include <zeropoint/base/cpu.hpp>

#include <cstddef>
#include <cstdint>

#if ZP_X86
#include <immintrin.h>
#endif

namespace zeropoint::inline ZP_BASELINE {
namespace float_panel {

inline constexpr std::size_t width = 16;  ///< columns of a panel

struct row_job {
  std::size_t panels = 0, in = 0;
  std::size_t group_size = 0, block_depth = 0;  ///< >= 1
  const float* x = nullptr;                     ///< [in]
  const std::int8_t* codes = nullptr;           ///< [panels][in][width]
  const float* scale = nullptr;                 ///< [panels][ceil(in / group_size)][width]
  const float* zero = nullptr;                  ///< as scale; null: all are 0
  float* sum = nullptr;                         ///< [panels][width]; written
};

/// `Together` panels at a time, then one by one.
template <void (*Several)(const row_job&, std::size_t panel),
          void (*One)(const row_job&, std::size_t), std::size_t Together = 4>
inline void over_row(const row_job& j) {
  std::size_t p = 0;
  for (; p + Together <= j.panels; p += Together) Several(j, p);
  for (; p < j.panels; ++p) One(j, p);
}

/// What to fetch while k .. k + 3 of `panels` panels are multiplied, from `codes` on: a line of each.
/// Behind the last k comes the beginning of the panels after these.
[[nodiscard]] inline const std::int8_t* ahead(const row_job& j, std::size_t panels, std::size_t k,
                                              const std::int8_t* codes) noexcept {
  constexpr std::size_t distance = 256;  // k
  return codes + width * (distance + (k + distance >= j.in ? (panels - 1) * j.in : 0));
}

[[nodiscard]] constexpr std::size_t smaller(std::size_t a, std::size_t b) noexcept {
  return a < b ? a : b;
}

#if ZP_X86
namespace avx2 {
typedef float lanes __attribute__((vector_size(32), may_alias));

/// acc += x * scale * (code - zero) for the 16 codes of each panel; panels are `stride` bytes apart.
template <bool Zeros, std::size_t Panels>
ZP_TARGET("avx2")
ZP_ALWAYS_INLINE void add_products(const std::int8_t* codes, std::size_t stride, float x,
                                   const lanes (&scale)[Panels][2], const lanes (&zero)[Panels][2],
                                   lanes (&acc)[Panels][2]) {
#pragma GCC unroll 4
  for (std::size_t p = 0; p < Panels; ++p) {
#pragma GCC unroll 2
    for (std::size_t h = 0; h < 2; ++h) {
      const __m128i c =
          _mm_loadl_epi64(reinterpret_cast<const __m128i*>(codes + p * stride + h * 8));
      lanes code = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(c));
      if constexpr (Zeros) code -= zero[p][h];
      lanes product = scale[p][h] * code * x;
      ZP_ROUNDED(product);
      acc[p][h] += product;
    }
  }
}

template <bool Zeros, std::size_t Panels>
ZP_TARGET("avx2")
inline void row_panels(const row_job& j, std::size_t panel) {
  const std::size_t groups = (j.in + j.group_size - 1) / j.group_size;
  lanes total[Panels][2] = {};
  for (std::size_t k = 0; k < j.in;) {
    const std::size_t block = smaller(j.in, (k / j.block_depth + 1) * j.block_depth);
    lanes acc[Panels][2] = {};
    while (k < block) {
      const std::size_t group = k / j.group_size, end = smaller(block, (group + 1) * j.group_size);
      lanes scale[Panels][2], zero[Panels][2] = {};
#pragma GCC unroll 4
      for (std::size_t p = 0; p < Panels; ++p) {
        const std::size_t at = ((panel + p) * groups + group) * width;
#pragma GCC unroll 2
        for (std::size_t h = 0; h < 2; ++h) {
          scale[p][h] = reinterpret_cast<const lanes*>(j.scale + at)[h];
          if constexpr (Zeros) zero[p][h] = reinterpret_cast<const lanes*>(j.zero + at)[h];
        }
      }
      const std::int8_t* codes = j.codes + (panel * j.in + k) * width;
      for (; k + 4 <= end; k += 4) {
        const std::int8_t* next = ahead(j, Panels, k, codes);
#pragma GCC unroll 4
        for (std::size_t u = 0; u < 4; ++u, codes += width) {
          if (u < Panels) __builtin_prefetch(next + u * j.in * width);
          add_products<Zeros>(codes, j.in * width, j.x[k + u], scale, zero, acc);
        }
      }
      for (; k < end; ++k, codes += width) {
        add_products<Zeros>(codes, j.in * width, j.x[k], scale, zero, acc);
      }
    }
#pragma GCC unroll 4
    for (std::size_t p = 0; p < Panels; ++p) {
      total[p][0] += acc[p][0];
      total[p][1] += acc[p][1];
    }
  }
#pragma GCC unroll 4
  for (std::size_t p = 0; p < Panels; ++p) {
    auto* out = reinterpret_cast<lanes*>(j.sum + (panel + p) * width);
    out[0] = total[p][0];
    out[1] = total[p][1];
  }
}
inline void row(const row_job& j) {
  // Two panels: 16 registers hold the sums and scales of no more, and 4 chains hide the additions.
  j.zero == nullptr ? over_row<&row_panels<false, 2>, &row_panels<false, 1>, 2>(j)
                    : over_row<&row_panels<true, 2>, &row_panels<true, 1>, 2>(j);
}
}  // namespace avx2

namespace avx512 {
typedef float lanes __attribute__((vector_size(64), may_alias));

/// 16 codes. Masked with all ones, which compiles to the plain instructions: GCC 12 finds the plain
/// intrinsics uninitialised, and behind a precompiled header no pragma stops it.
ZP_TARGET("avx512f")
ZP_ALWAYS_INLINE __m512 as_floats(__m128i codes) {
  constexpr __mmask16 all = 0xffff;
  return _mm512_maskz_cvtepi32_ps(all, _mm512_maskz_cvtepi8_epi32(all, codes));
}

/// acc += x * scale * (code - zero) for the 16 codes of each panel; panels are `stride` bytes apart.
template <bool Zeros, std::size_t Panels>
ZP_TARGET("avx512f")
ZP_ALWAYS_INLINE void add_products(const std::int8_t* codes, std::size_t stride, float x,
                                   const lanes (&scale)[Panels], const lanes (&zero)[Panels],
                                   lanes (&acc)[Panels]) {
#pragma GCC unroll 4
  for (std::size_t p = 0; p < Panels; ++p) {
    lanes code = as_floats(_mm_loadu_si128(reinterpret_cast<const __m128i*>(codes + p * stride)));
    if constexpr (Zeros) code -= zero[p];
    lanes product = scale[p] * code * x;
    ZP_ROUNDED(product);
    acc[p] += product;
  }
}

template <bool Zeros, std::size_t Panels>
ZP_TARGET("avx512f")
inline void row_panels(const row_job& j, std::size_t panel) {
  const std::size_t groups = (j.in + j.group_size - 1) / j.group_size;
  lanes total[Panels] = {};
  for (std::size_t k = 0; k < j.in;) {
    const std::size_t block = smaller(j.in, (k / j.block_depth + 1) * j.block_depth);
    lanes acc[Panels] = {};
    while (k < block) {
      const std::size_t group = k / j.group_size, end = smaller(block, (group + 1) * j.group_size);
      lanes scale[Panels], zero[Panels] = {};
#pragma GCC unroll 4
      for (std::size_t p = 0; p < Panels; ++p) {
        const std::size_t at = ((panel + p) * groups + group) * width;
        scale[p] = *reinterpret_cast<const lanes*>(j.scale + at);
        if constexpr (Zeros) zero[p] = *reinterpret_cast<const lanes*>(j.zero + at);
      }
      const std::int8_t* codes = j.codes + (panel * j.in + k) * width;
      for (; k + 4 <= end; k += 4) {
        const std::int8_t* next = ahead(j, Panels, k, codes);
#pragma GCC unroll 4
        for (std::size_t u = 0; u < 4; ++u, codes += width) {
          if (u < Panels) __builtin_prefetch(next + u * j.in * width);
          add_products<Zeros>(codes, j.in * width, j.x[k + u], scale, zero, acc);
        }
      }
      for (; k < end; ++k, codes += width) {
        add_products<Zeros>(codes, j.in * width, j.x[k], scale, zero, acc);
      }
    }
#pragma GCC unroll 4
    for (std::size_t p = 0; p < Panels; ++p) total[p] += acc[p];
  }
#pragma GCC unroll 4
  for (std::size_t p = 0; p < Panels; ++p) {
    *reinterpret_cast<lanes*>(j.sum + (panel + p) * width) = total[p];
  }
}
inline void row(const row_job& j) {
  j.zero == nullptr ? over_row<&row_panels<false, 4>, &row_panels<false, 1>>(j)
                    : over_row<&row_panels<true, 4>, &row_panels<true, 1>>(j);
}
}  // namespace avx512
#endif

}  // namespace float_panel
}  // namespace zeropoint::inline ZP_BASELINE
