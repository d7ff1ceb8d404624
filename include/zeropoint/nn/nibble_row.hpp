// One float row times panels of codes of up to 4 bits, as float_row.hpp has it for bytes: the same
// sums and bits from half of the memory (nibble_format.hpp).
//
// A product costs one fma; what is left to save is the way from code to float. AVX-512 takes one
// instruction, twice per shift of the word: vpermps looks at the lowest 4 bits of an index only, and
// finds the number there; and of bits 16 .. 19 behind the exponent of 128, vpternlogd makes
// 136 + code, from which 136 + zero is taken, exactly. AVX2 shifts a code up, then down with its
// sign, and converts.
#pragma once

#include <zeropoint/nn/nibble_format.hpp>

namespace zeropoint::inline ZP_BASELINE {
namespace float_panel {

using unit_fn = void (*)(const nibble_job&, const std::byte* unit, float* sum);
/// Two units of four panels at a time (null: one by one), then one, then units of one panel.
template <unit_fn Eight, unit_fn Four, unit_fn One>
inline void over_units(const nibble_job& j) {
  for (std::size_t p = 0; p < j.panels;) {
    const std::size_t left = j.panels - p;
    const std::size_t n = Eight != nullptr && left >= 2 * together ? 2 * together
                          : left >= together                       ? together
                                                                   : 1;
    const std::byte* unit = nibble_panel_at(*j.format, j.records, j.panels, p).unit;
    (n == 1 ? One : n == together ? Four : Eight)(j, unit, j.sum + p * width);
    p += n;
  }
}

using nibble_fn = void (*)(const nibble_job&);
/// The function for what the records hold.
template <nibble_fn Plain, nibble_fn Zeros, nibble_fn Half, nibble_fn HalfZeros>
inline void by_format(const nibble_job& j) {
  if (j.format->half_scales) return j.format->has_zeros ? HalfZeros(j) : Half(j);
  return j.format->has_zeros ? Zeros(j) : Plain(j);
}

/// Bytes between what is multiplied and what is fetched. A unit is one stream, and behind it begins
/// the next.
inline constexpr std::size_t nibbles_ahead = 8192;

ZP_ALWAYS_INLINE void fetch_lines(const std::byte* from, std::size_t bytes) noexcept {
  for (std::size_t i = 0; i < bytes; i += nibble_format::line) {
    __builtin_prefetch(from + nibbles_ahead + i);
  }
}

/// x in eights: the last of its inputs with zeros behind them, which meet the zeros behind a panel's
/// last word. A sum that began with 0 is never -0, so that they leave its bits alone.
struct eights {
  const float* x;
  std::size_t whole;  ///< inputs in full eights
  alignas(32) float rest[nibble_format::depth] = {};

  explicit eights(const nibble_job& j) noexcept
      : x(j.x), whole(j.format->in - j.format->in % nibble_format::depth) {
    for (std::size_t k = whole; k < j.format->in; ++k) rest[k - whole] = x[k];
  }
  [[nodiscard]] const float* at(std::size_t k) const noexcept { return k < whole ? x + k : rest; }
};

#if ZP_X86
namespace avx2 {
typedef std::uint32_t words __attribute__((vector_size(32), may_alias));

template <bool Half>
ZP_TARGET("avx2,fma,f16c")
ZP_ALWAYS_INLINE lanes scales_at(const std::byte* from) {
  if constexpr (!Half) return *reinterpret_cast<const lanes*>(from);
  return _mm256_cvtph_ps(_mm_load_si128(reinterpret_cast<const __m128i*>(from)));
}
ZP_TARGET("avx2,fma,f16c") ZP_ALWAYS_INLINE lanes zeros_at(const std::byte* from) {
  return _mm256_cvtepi32_ps(
      _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from))));
}
ZP_TARGET("avx2,fma,f16c")
ZP_ALWAYS_INLINE lanes codes_at(const std::byte* from, std::uint32_t bit) {
  const words top = *reinterpret_cast<const words*>(from) << (28 - bit);
  return _mm256_cvtepi32_ps(_mm256_srai_epi32(reinterpret_cast<__m256i>(top), 28));
}

/// acc = fma(x, code - zero, acc) for input u of the words at `at`.
template <bool Zeros, std::size_t Halves>
ZP_TARGET("avx2,fma,f16c")
ZP_ALWAYS_INLINE void add_nibbles(const std::byte* at, std::size_t u, float x, const lanes* zero,
                                  lanes (&acc)[Halves]) {
#pragma GCC unroll 8
  for (std::size_t h = 0; h < Halves; ++h) {
    lanes code = codes_at(at + h * sizeof(words), nibble_bit(u));
    if constexpr (Zeros) code -= zero[h];
    acc[h] = _mm256_fmadd_ps(_mm256_set1_ps(x), code, acc[h]);
  }
}

template <bool Half, bool Zeros, std::size_t Panels>
ZP_TARGET("avx2,fma,f16c")
inline void nibble_unit(const nibble_job& j, const std::byte* at, float* sum) {
  const nibble_format& f = *j.format;
  const eights x(j);
  const std::size_t head_bytes = f.head_bytes(Panels);
  constexpr std::size_t one = 8 * (Half ? sizeof(float16) : sizeof(float));
  const std::byte* head = at;
  auto* out = reinterpret_cast<lanes*>(sum);
  for (std::size_t p = 0; p < 2 * Panels; ++p) out[p] = lanes{};
  for (std::size_t k = 0, group_end = 0; k < f.in;) {
    if (k == group_end) {
      fetch_lines(at, head_bytes);
      head = at;
      at += head_bytes;
      group_end += f.group_size;
    }
    lanes acc[2 * Panels] = {}, zeros[2 * Panels];
    if constexpr (Zeros) {
#pragma GCC unroll 8
      for (std::size_t p = 0; p < 2 * Panels; ++p) {
        zeros[p] = zeros_at(head + 2 * Panels * one + p * 8);
      }
    }
    const lanes* zero = zeros;
    __asm__("" : "+r"(zero)::"memory");  // they stay there: there are 16 registers
    const std::size_t end = segment_end(k, f.in, f.group_size);
    for (; k < end; k += 8, at += nibble_format::line * Panels) {
      const float* values = x.at(k);
      __asm__("" : "+r"(values));  // one pointer: Clang would choose between two for every input
      fetch_lines(at, nibble_format::line * Panels);
#pragma GCC unroll 8
      for (std::size_t u = 0; u < 8; ++u) {
        add_nibbles<Zeros>(at, u, values[u], zero, acc);
        // Sums first, then the words again: else both compilers begin several inputs, and spill.
#pragma GCC unroll 8
        for (std::size_t p = 0; p < 2 * Panels; ++p) {
          __asm__ volatile("" : "+x"(acc[p])::"memory");
        }
      }
    }
#pragma GCC unroll 8
    for (std::size_t p = 0; p < 2 * Panels; ++p) {
      out[p] = _mm256_fmadd_ps(scales_at<Half>(head + p * one), acc[p], out[p]);
    }
  }
}
template <bool Half, bool Zeros>
inline void nibble_units(const nibble_job& j) {
  over_units<nullptr, &nibble_unit<Half, Zeros, 4>, &nibble_unit<Half, Zeros, 1>>(j);
}
inline void nibble_row(const nibble_job& j) {
  by_format<&nibble_units<false, false>, &nibble_units<false, true>, &nibble_units<true, false>,
            &nibble_units<true, true>>(j);
}
}  // namespace avx2

namespace avx512 {
typedef std::uint32_t words __attribute__((vector_size(64), may_alias));
inline constexpr float odd_bias = 136;

template <bool Half>
ZP_TARGET("avx512f")
ZP_ALWAYS_INLINE lanes scales_at(const std::byte* from) {
  constexpr __mmask16 all = 0xffff;
  if constexpr (!Half) return *reinterpret_cast<const lanes*>(from);
  return _mm512_maskz_cvtph_ps(all, _mm256_load_si256(reinterpret_cast<const __m256i*>(from)));
}
ZP_TARGET("avx512f") ZP_ALWAYS_INLINE lanes zeros_at(const std::byte* from) {
  return as_floats(_mm_load_si128(reinterpret_cast<const __m128i*>(from)));
}
/// The numbers that codes are, in the order of their bits.
ZP_TARGET("avx512f") ZP_ALWAYS_INLINE lanes digits() {
  return lanes{0, 1, 2, 3, 4, 5, 6, 7, -8, -7, -6, -5, -4, -3, -2, -1};
}

/// Inputs 2i of words shifted by 4i.
ZP_TARGET("avx512f") ZP_ALWAYS_INLINE lanes even_codes(words w, lanes table) {
  constexpr __mmask16 all = 0xffff;
  return _mm512_maskz_permutexvar_ps(all, reinterpret_cast<__m512i>(w), table);
}
/// Inputs 2i + 1 of words shifted by 4i, plus odd_bias.
ZP_TARGET("avx512f") ZP_ALWAYS_INLINE lanes odd_codes(words w) {
  constexpr int mask = 0x000f0000, flip = 0x43080000, and_xor = 0x6a;  // 128 with the sign bit on
  return reinterpret_cast<lanes>(_mm512_ternarylogic_epi32(
      reinterpret_cast<__m512i>(w), _mm512_set1_epi32(mask), _mm512_set1_epi32(flip), and_xor));
}

/// acc = fma(x, code - zero, acc) for inputs 2i and 2i + 1 of the words at `at`: those of Panels
/// panels, and of as many of each further unit. odd is zero + odd_bias, or the same for all.
template <bool Zeros, std::size_t Panels, std::size_t All>
ZP_TARGET("avx512f")
ZP_ALWAYS_INLINE
    void add_pair(const std::byte* at, std::size_t unit, std::size_t i, const float* x,
                  const lanes (&even)[All], const lanes (&odd)[All], lanes (&acc)[All]) {
  const lanes table = digits();
#pragma GCC unroll 8
  for (std::size_t p = 0; p < All; ++p) {
    const std::byte* from = at + p / Panels * unit + p % Panels * sizeof(words);
    const words w = *reinterpret_cast<const words*>(from) >> static_cast<std::uint32_t>(4 * i);
    lanes code = even_codes(w, table);
    if constexpr (Zeros) code -= even[p];
    acc[p] = _mm512_fmadd_ps(_mm512_set1_ps(x[0]), code, acc[p]);
    code = odd_codes(w) - odd[Zeros ? p : 0];
    acc[p] = _mm512_fmadd_ps(_mm512_set1_ps(x[1]), code, acc[p]);
  }
}

/// Units units of Panels panels side by side: eight chains of sums, where four would wait for
/// each other's fma.
template <bool Half, bool Zeros, std::size_t Panels, std::size_t Units>
ZP_TARGET("avx512f")
inline void nibble_unit(const nibble_job& j, const std::byte* at, float* sum) {
  const nibble_format& f = *j.format;
  const eights x(j);
  const std::size_t head_bytes = f.head_bytes(Panels), unit = f.unit_bytes(Panels);
  constexpr std::size_t all = Panels * Units, step = Panels * sizeof(words);
  constexpr std::size_t one = width * (Half ? sizeof(float16) : sizeof(float));
  const std::byte *head = at, *const last = at + unit - nibbles_ahead;
  auto* out = reinterpret_cast<lanes*>(sum);
  for (std::size_t p = 0; p < all; ++p) out[p] = lanes{};
  for (std::size_t k = 0, group_end = 0; k < f.in;) {
    if (k == group_end) {
      for (std::size_t u = 0; u < Units; ++u) fetch_lines(at + u * unit, head_bytes);
      head = at;
      at += head_bytes;
      group_end += f.group_size;
    }
    lanes acc[all] = {}, even[all] = {}, odd[all];
#pragma GCC unroll 8
    for (std::size_t p = 0; p < all; ++p) {
      const std::byte* zeros = head + p / Panels * unit + Panels * one;
      if constexpr (Zeros) even[p] = zeros_at(zeros + p % Panels * width);
      odd[p] = even[p] + odd_bias;
    }
    const std::size_t end = segment_end(k, f.in, f.group_size);
    for (; k < end; k += 8, at += step) {
      const float* values = x.at(k);
      __asm__("" : "+r"(values));  // one pointer: Clang would choose between two for every input
      const std::byte* next = at < last ? at : at + (Units - 1) * unit;
#pragma GCC unroll 2
      for (std::size_t u = 0; u < Units; ++u) fetch_lines(next + u * unit, step);
#pragma GCC unroll 4
      for (std::size_t i = 0; i < 4; ++i) {
        add_pair<Zeros, Panels>(at, unit, i, values + 2 * i, even, odd, acc);
        // Sums first, then the words again: else both compilers begin several pairs, and spill.
#pragma GCC unroll 8
        for (std::size_t p = 0; p < all; ++p) __asm__ volatile("" : "+v"(acc[p])::"memory");
      }
    }
#pragma GCC unroll 8
    for (std::size_t p = 0; p < all; ++p) {
      const lanes scale = scales_at<Half>(head + p / Panels * unit + p % Panels * one);
      out[p] = _mm512_fmadd_ps(scale, acc[p], out[p]);
    }
  }
}
template <bool Half, bool Zeros>
inline void nibble_units(const nibble_job& j) {
  over_units<&nibble_unit<Half, Zeros, 4, 2>, &nibble_unit<Half, Zeros, 4, 1>,
             &nibble_unit<Half, Zeros, 1, 1>>(j);
}
inline void nibble_row(const nibble_job& j) {
  by_format<&nibble_units<false, false>, &nibble_units<false, true>, &nibble_units<true, false>,
            &nibble_units<true, true>>(j);
}
}  // namespace avx512
#endif

}  // namespace float_panel
}  // namespace zeropoint::inline ZP_BASELINE
