// One float row times panels of codes of up to 4 bits, as float_row.hpp has it for bytes: the same
// sums and bits from half of the memory (nibble_format.hpp).
//
// A product costs a multiplication by the scale, one by x and an addition; what is left to save is
// the way from code to float. AVX-512 takes one instruction, twice per shift of the word: vpermps
// looks at the lowest 4 bits of an index only, and finds the number there; and of bits 16 .. 19
// behind the exponent of 128, vpternlogd makes 136 + code. AVX2 shifts a code up, then down with
// its sign, and converts.
#pragma once

#include <zeropoint/nn/nibble_format.hpp>

namespace zeropoint::inline ZP_BASELINE {
namespace float_panel {

/// Units of four panels, then of one.
template <void (*Four)(const nibble_job&, const std::byte* unit, float* sum),
          void (*One)(const nibble_job&, const std::byte*, float*)>
inline void over_units(const nibble_job& j) {
  constexpr std::size_t together = nibble_format::together;
  const std::byte* unit = j.records;
  std::size_t p = 0;
  for (; p + together <= j.panels; p += together, unit += j.format->unit_bytes(together)) {
    Four(j, unit, j.sum + p * width);
  }
  for (; p < j.panels; ++p, unit += j.format->unit_bytes(1)) One(j, unit, j.sum + p * width);
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

#if ZP_X86
// With scales of 11 bits scale * (zero + 136) is exact and so is the weight: then one fma makes it.
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

/// acc += x * weight for input u of the words at `at`.
template <bool Half, bool Zeros, std::size_t Panels>
ZP_TARGET("avx2,fma,f16c")
ZP_ALWAYS_INLINE
    void add_nibbles(const std::byte* at, std::size_t u, float x, const lanes (&scale)[Panels][2],
                     const lanes (&zero)[Panels][2], lanes (&acc)[Panels][2]) {
#pragma GCC unroll 4
  for (std::size_t p = 0; p < Panels; ++p) {
#pragma GCC unroll 2
    for (std::size_t h = 0; h < 2; ++h) {
      lanes weight = codes_at(at + p * nibble_format::line + h * sizeof(words), nibble_bit(u));
      if constexpr (Zeros && Half) {
        weight = _mm256_fmadd_ps(weight, scale[p][h], zero[p][h]);
      } else {
        if constexpr (Zeros) weight -= zero[p][h];
        weight *= scale[p][h];
      }
      lanes product = weight * x;
      ZP_ROUNDED(product);
      acc[p][h] += product;
    }
  }
}

template <bool Half, bool Zeros, std::size_t Panels>
ZP_TARGET("avx2,fma,f16c")
inline void nibble_unit(const nibble_job& j, const std::byte* at, float* sum) {
  const nibble_format& f = *j.format;
  const std::size_t head = f.head_bytes(Panels);
  constexpr std::size_t one = 8 * (Half ? sizeof(float16) : sizeof(float));
  lanes total[Panels][2] = {}, acc[Panels][2] = {}, scale[Panels][2] = {}, zero[Panels][2] = {};
  for (std::size_t k = 0, group_end = 0, block_end = j.block_depth; k < f.in;) {
    if (k == group_end) {
      fetch_lines(at, head);
#pragma GCC unroll 8
      for (std::size_t p = 0; p < 2 * Panels; ++p) {
        lanes& z = zero[p / 2][p % 2];
        scale[p / 2][p % 2] = scales_at<Half>(at + p * one);
        if constexpr (Zeros) z = zeros_at(at + 2 * Panels * one + p * 8);
        if constexpr (Zeros && Half) z = -(scale[p / 2][p % 2] * z);
      }
      at += head;
      group_end += f.group_size;
    }
    const std::size_t end = smaller(f.in, smaller(group_end, block_end));
    for (; k + 8 <= end; k += 8, at += nibble_format::line * Panels) {
      fetch_lines(at, nibble_format::line * Panels);
#pragma GCC unroll 8
      for (std::size_t u = 0; u < 8; ++u) {
        add_nibbles<Half, Zeros>(at, u, j.x[k + u], scale, zero, acc);
        __asm__ volatile("" ::: "memory");  // load the words again: there are 16 registers
      }
    }
    for (std::size_t u = 0; k < end; ++k, ++u) {
      add_nibbles<Half, Zeros>(at, u, j.x[k], scale, zero, acc);
    }
    if (k != block_end) continue;
    block_end += j.block_depth;
#pragma GCC unroll 8
    for (std::size_t p = 0; p < 2 * Panels; ++p) {
      total[p / 2][p % 2] += acc[p / 2][p % 2];
      acc[p / 2][p % 2] = lanes{};
    }
  }
#pragma GCC unroll 8
  for (std::size_t p = 0; p < 2 * Panels; ++p) {
    reinterpret_cast<lanes*>(sum)[p] = total[p / 2][p % 2] + acc[p / 2][p % 2];
  }
}
template <bool Half, bool Zeros>
inline void nibble_units(const nibble_job& j) {
  over_units<&nibble_unit<Half, Zeros, 4>, &nibble_unit<Half, Zeros, 1>>(j);
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

/// Scales of a group and what to take from its even and odd codes, or where scales are float16 to
/// add to their products.
template <bool Half, bool Zeros, std::size_t Panels>
ZP_TARGET("avx512f")
ZP_ALWAYS_INLINE void load_group(const std::byte* head, lanes (&scale)[Panels],
                                 lanes (&even)[Panels], lanes (&odd)[Panels]) {
  constexpr std::size_t one = width * (Half ? sizeof(float16) : sizeof(float));
#pragma GCC unroll 4
  for (std::size_t p = 0; p < Panels; ++p) {
    scale[p] = scales_at<Half>(head + p * one);
    even[p] = Zeros ? zeros_at(head + Panels * one + p * width) : lanes{};
    odd[p] = even[p] + odd_bias;
    if constexpr (!Half) continue;
    even[p] = -(scale[p] * even[p]);
    odd[p] = -(scale[p] * odd[p]);
  }
}
/// acc += x * weight.
template <bool Half, bool Offset>
ZP_TARGET("avx512f")
ZP_ALWAYS_INLINE void add_nibbles(lanes code, lanes scale, lanes offset, float x, lanes& acc) {
  lanes weight;
  if constexpr (Half && Offset) {
    weight = _mm512_fmadd_ps(code, scale, offset);
  } else {
    if constexpr (Offset) code -= offset;
    weight = scale * code;
  }
  lanes product = weight * x;
  ZP_ROUNDED(product);
  acc += product;
}

template <bool Half, bool Zeros, std::size_t Panels>
ZP_TARGET("avx512f")
inline void nibble_unit(const nibble_job& j, const std::byte* at, float* sum) {
  const nibble_format& f = *j.format;
  const std::size_t head = f.head_bytes(Panels);
  const lanes table = digits();
  lanes total[Panels] = {}, acc[Panels] = {}, scale[Panels] = {}, even[Panels] = {},
        odd[Panels] = {};
  for (std::size_t k = 0, group_end = 0, block_end = j.block_depth; k < f.in;) {
    if (k == group_end) {
      fetch_lines(at, head);
      load_group<Half, Zeros>(at, scale, even, odd);
      at += head;
      group_end += f.group_size;
    }
    const std::size_t end = smaller(f.in, smaller(group_end, block_end));
    while (k < end) {
      fetch_lines(at, sizeof(words) * Panels);
      words w[Panels];
#pragma GCC unroll 4
      for (std::size_t p = 0; p < Panels; ++p) w[p] = reinterpret_cast<const words*>(at)[p];
      at += sizeof(words) * Panels;
      const std::size_t stop = smaller(end, k + nibble_format::depth), pairs = stop - stop % 2;
      // Two inputs a turn: unrolled, GCC 12 begins all eight at once and spills their registers.
#pragma GCC unroll 1
      for (; k < pairs; k += 2) {
#pragma GCC unroll 4
        for (std::size_t p = 0; p < Panels; ++p) {
          add_nibbles<Half, Zeros>(even_codes(w[p], table), scale[p], even[p], j.x[k], acc[p]);
        }
#pragma GCC unroll 4
        for (std::size_t p = 0; p < Panels; ++p) {
          add_nibbles<Half, true>(odd_codes(w[p]), scale[p], odd[p], j.x[k + 1], acc[p]);
          w[p] >>= 4;
        }
      }
      if (k == stop) continue;
#pragma GCC unroll 4
      for (std::size_t p = 0; p < Panels; ++p) {  // the last of an odd number of inputs
        add_nibbles<Half, Zeros>(even_codes(w[p], table), scale[p], even[p], j.x[k], acc[p]);
      }
      ++k;
    }
    if (k != block_end) continue;
    block_end += j.block_depth;
#pragma GCC unroll 4
    for (std::size_t p = 0; p < Panels; ++p) {
      total[p] += acc[p];
      acc[p] = lanes{};
    }
  }
#pragma GCC unroll 4
  for (std::size_t p = 0; p < Panels; ++p) {
    reinterpret_cast<lanes*>(sum)[p] = total[p] + acc[p];
  }
}
template <bool Half, bool Zeros>
inline void nibble_units(const nibble_job& j) {
  over_units<&nibble_unit<Half, Zeros, 4>, &nibble_unit<Half, Zeros, 1>>(j);
}
inline void nibble_row(const nibble_job& j) {
  by_format<&nibble_units<false, false>, &nibble_units<false, true>, &nibble_units<true, false>,
            &nibble_units<true, true>>(j);
}
}  // namespace avx512
#endif

}  // namespace float_panel
}  // namespace zeropoint::inline ZP_BASELINE
