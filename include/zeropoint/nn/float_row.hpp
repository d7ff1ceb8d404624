// One float row times panels of int8 codes, the weight-only product of a decode step: the codes become
// floats in registers and are never written. The bits are those of float_panel.hpp's expanded
// segments:
//
//   sum[j] = fma(scale(j, s), acc_s, ...)     acc_s = fma(x(k), code(j, k) - zero(j, s), acc_s) from 0
//
// A chain in ascending k waits four cycles for every fma, so a row goes over a unit of several panels
// at once, one stream that it fetches 8 KB ahead: without that it waits for memory half of the time
// (Zen 5).
#pragma once

#include <zeropoint/base/cpu.hpp>

#include <cstddef>
#include <cstdint>

#if ZP_X86
#include <immintrin.h>
#endif

namespace zeropoint::inline ZP_BASELINE {
namespace float_panel {

inline constexpr std::size_t width = 16;         ///< columns of a panel
inline constexpr std::size_t block_depth = 128;  ///< a segment ends at every multiple of it

[[nodiscard]] constexpr std::size_t smaller(std::size_t a, std::size_t b) noexcept {
  return a < b ? a : b;
}
/// Where the segment of input k ends: with its group, with its block, or with the inputs.
[[nodiscard]] constexpr std::size_t segment_end(std::size_t k, std::size_t in,
                                                std::size_t group_size) noexcept {
  const std::size_t block = (k / block_depth + 1) * block_depth;
  return smaller(smaller(in, block), (k / group_size + 1) * group_size);
}

/// Panels lie in units of `together`, the last ones alone: what a row reads is one stream of memory,
/// and 4 codes of 16 columns are a cache line.
inline constexpr std::size_t together = 4;
/// Where element i of `count` of panel p begins in [units][count][panels of the unit][width].
[[nodiscard]] constexpr std::size_t unit_place(std::size_t p, std::size_t panels, std::size_t count,
                                               std::size_t i) noexcept {
  const std::size_t whole = panels - panels % together;
  if (p >= whole) return (p * count + i) * width;
  return (p / together * count * together + i * together + p % together) * width;
}

struct row_job {
  std::size_t panels = 0, in = 0;
  std::size_t group_size = 0;          ///< >= 1
  const float* x = nullptr;            ///< [in]
  const std::int8_t* codes = nullptr;  ///< [units][in][panels of the unit][width]
  const float* scale = nullptr;  ///< [units][ceil(in / group_size)][panels of the unit][width]
  const float* zero = nullptr;   ///< as scale; null: all are 0
  float* sum = nullptr;          ///< [panels][width]; written
};

/// Units of `together` panels, then of one.
template <void (*Several)(const row_job&, std::size_t panel),
          void (*One)(const row_job&, std::size_t)>
inline void over_row(const row_job& j) {
  std::size_t p = 0;
  for (; p + together <= j.panels; p += together) Several(j, p);
  for (; p < j.panels; ++p) One(j, p);
}

/// Bytes between what is multiplied and what is fetched; behind a unit begins the next.
inline constexpr std::size_t bytes_ahead = 8192;

#if ZP_X86
namespace avx2 {
typedef float lanes __attribute__((vector_size(32), may_alias));

/// acc = fma(x, code - zero, acc) for the 16 codes of each panel.
template <bool Zeros, std::size_t Panels>
ZP_TARGET("avx2,fma,f16c")
ZP_ALWAYS_INLINE void add_products(const std::int8_t* codes, float x, const lanes* zero,
                                   lanes (&acc)[2 * Panels]) {
#pragma GCC unroll 8
  for (std::size_t h = 0; h < 2 * Panels; ++h) {
    const __m128i c = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(codes + h * 8));
    lanes code = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(c));
    if constexpr (Zeros) code -= zero[h];
    acc[h] = _mm256_fmadd_ps(_mm256_set1_ps(x), code, acc[h]);
  }
}

template <bool Zeros, std::size_t Panels>
ZP_TARGET("avx2,fma,f16c")
inline void row_panels(const row_job& j, std::size_t panel) {
  const std::size_t groups = (j.in + j.group_size - 1) / j.group_size;
  const std::int8_t* codes = j.codes + panel * j.in * width;
  auto* out = reinterpret_cast<lanes*>(j.sum + panel * width);
  for (std::size_t h = 0; h < 2 * Panels; ++h) out[h] = lanes{};
  for (std::size_t k = 0; k < j.in;) {
    const std::size_t end = segment_end(k, j.in, j.group_size);
    const std::size_t at = (panel * groups + k / j.group_size * Panels) * width;
    const auto* zero = reinterpret_cast<const lanes*>(Zeros ? j.zero + at : nullptr);
    lanes acc[2 * Panels] = {};
    for (; k + 4 <= end; k += 4) {
#pragma GCC unroll 4
      for (std::size_t u = 0; u < 4; ++u, codes += Panels * width) {
        if (u < Panels) __builtin_prefetch(codes + bytes_ahead);
        add_products<Zeros, Panels>(codes, j.x[k + u], zero, acc);
      }
    }
    for (; k < end; ++k, codes += Panels * width) {
      add_products<Zeros, Panels>(codes, j.x[k], zero, acc);
    }
    const auto* scale = reinterpret_cast<const lanes*>(j.scale + at);
#pragma GCC unroll 8
    for (std::size_t h = 0; h < 2 * Panels; ++h) {
      out[h] = _mm256_fmadd_ps(scale[h], acc[h], out[h]);
    }
  }
}
inline void row(const row_job& j) {
  j.zero == nullptr ? over_row<&row_panels<false, together>, &row_panels<false, 1>>(j)
                    : over_row<&row_panels<true, together>, &row_panels<true, 1>>(j);
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

/// acc = fma(x, code - zero, acc) for the 16 codes of each panel.
template <bool Zeros, std::size_t Panels>
ZP_TARGET("avx512f")
ZP_ALWAYS_INLINE void add_products(const std::int8_t* codes, float x, const lanes (&zero)[Panels],
                                   lanes (&acc)[Panels]) {
#pragma GCC unroll 4
  for (std::size_t p = 0; p < Panels; ++p) {
    lanes code = as_floats(_mm_loadu_si128(reinterpret_cast<const __m128i*>(codes + p * width)));
    if constexpr (Zeros) code -= zero[p];
    acc[p] = _mm512_fmadd_ps(_mm512_set1_ps(x), code, acc[p]);
  }
}

template <bool Zeros, std::size_t Panels>
ZP_TARGET("avx512f")
inline void row_panels(const row_job& j, std::size_t panel) {
  const std::size_t groups = (j.in + j.group_size - 1) / j.group_size;
  const std::int8_t* codes = j.codes + panel * j.in * width;
  auto* out = reinterpret_cast<lanes*>(j.sum + panel * width);
  for (std::size_t p = 0; p < Panels; ++p) out[p] = lanes{};
  for (std::size_t k = 0; k < j.in;) {
    const std::size_t end = segment_end(k, j.in, j.group_size);
    const std::size_t at = (panel * groups + k / j.group_size * Panels) * width;
    lanes acc[Panels] = {}, zero[Panels] = {};
    if constexpr (Zeros) {
#pragma GCC unroll 4
      for (std::size_t p = 0; p < Panels; ++p) {
        zero[p] = reinterpret_cast<const lanes*>(j.zero + at)[p];
      }
    }
    for (; k + 4 <= end; k += 4) {
#pragma GCC unroll 4
      for (std::size_t u = 0; u < 4; ++u, codes += Panels * width) {
        if (u < Panels) __builtin_prefetch(codes + bytes_ahead);
        add_products<Zeros>(codes, j.x[k + u], zero, acc);
      }
    }
    for (; k < end; ++k, codes += Panels * width) add_products<Zeros>(codes, j.x[k], zero, acc);
    const auto* scale = reinterpret_cast<const lanes*>(j.scale + at);
#pragma GCC unroll 4
    for (std::size_t p = 0; p < Panels; ++p) out[p] = _mm512_fmadd_ps(scale[p], acc[p], out[p]);
  }
}
inline void row(const row_job& j) {
  j.zero == nullptr ? over_row<&row_panels<false, together>, &row_panels<false, 1>>(j)
                    : over_row<&row_panels<true, together>, &row_panels<true, 1>>(j);
}
}  // namespace avx512
#endif

}  // namespace float_panel
}  // namespace zeropoint::inline ZP_BASELINE
