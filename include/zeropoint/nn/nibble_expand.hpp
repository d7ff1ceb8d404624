// Codes of up to 4 bits as floats, for products of more than one row: what is expanded stays in the
// first-level cache, w[k][j] = scale[j] * (code - zero[j]) with one rounding.
#pragma once

#include <zeropoint/nn/nibble_row.hpp>

#include <cstring>

namespace zeropoint::inline ZP_BASELINE {
namespace float_panel {

/// Inputs of one group as floats [depth][width]: null zeros are 0, words are `step` bytes apart. With
/// each word `fetched` bytes are, further on.
using expand_group_fn = void (*)(std::size_t depth, const std::byte* scales, bool half,
                                 const std::byte* zeros, const std::byte* words, std::size_t step,
                                 std::size_t fetched, float* w);
/// Inputs first .. first + depth of a panel; first is a multiple of 8. The first panel of a unit
/// fetches for all of them: memory sees one stream, as for a row.
template <expand_group_fn Group>
inline void expand_nibbles(const nibble_panel& panel, std::size_t first, std::size_t depth,
                           float* w) {
  const nibble_format& f = *panel.format;
  while (depth != 0) {
    const std::size_t group = first / f.group_size;
    const std::size_t n = smaller(depth, (group + 1) * f.group_size - first);
    Group(n, panel.scales(group), f.half_scales, f.has_zeros ? panel.zeros(group) : nullptr,
          panel.words(first), panel.step(), panel.index == 0 ? panel.step() : 0, w);
    first += n;
    depth -= n;
    w += n * width;
  }
}

// Eight inputs of a word at a time with shifts that are known; what is left over, one by one.

namespace baseline {
/// 128-bit vectors, four columns.
inline void expand_group(std::size_t depth, const std::byte* scales, bool half,
                         const std::byte* zeros, const std::byte* at, std::size_t step,
                         std::size_t fetched, float* w) {
  typedef float lanes __attribute__((vector_size(16), may_alias));
  typedef std::uint32_t words __attribute__((vector_size(16), may_alias));
  typedef std::int32_t codes __attribute__((vector_size(16)));
  for (std::size_t j = 0; j < width; j += 4) {
    lanes scale = {}, zero = {};
    for (std::size_t i = 0; i < 4; ++i) {
      float16 h;
      std::memcpy(&h, scales + (j + i) * sizeof h, sizeof h);
      if (half) scale[i] = to_float(h);
      if (zeros != nullptr) zero[i] = static_cast<float>(static_cast<std::int8_t>(zeros[j + i]));
    }
    if (!half) std::memcpy(&scale, scales + j * sizeof(float), sizeof scale);
    const auto store = [&](std::size_t k, words word, std::size_t u) {
      const auto code = reinterpret_cast<codes>(word << (28 - nibble_bit(u))) >> 28;
      *reinterpret_cast<lanes*>(w + k * width + j) =
          scale * (__builtin_convertvector(code, lanes) - zero);
    };
    const std::byte* from = at + j * sizeof(std::uint32_t);
    std::size_t k = 0;
    for (; k + 8 <= depth; k += 8, from += step) {
      if (j == 0) fetch_lines(from, fetched);
      const words word = *reinterpret_cast<const words*>(from);
#pragma GCC unroll 8
      for (std::size_t u = 0; u < 8; ++u) store(k + u, word, u);
    }
    for (std::size_t u = 0; k < depth; ++k, ++u) {
      store(k, *reinterpret_cast<const words*>(from), u);
    }
  }
}
}  // namespace baseline

#if ZP_X86
namespace avx2 {
ZP_TARGET("avx2,fma,f16c")
inline void expand_group(std::size_t depth, const std::byte* scales, bool half,
                         const std::byte* zeros, const std::byte* at, std::size_t step,
                         std::size_t fetched, float* w) {
  const std::size_t one = 8 * (half ? sizeof(float16) : sizeof(float));
#pragma GCC unroll 2
  for (std::size_t h = 0; h < 2; ++h) {
    const lanes scale =
        half ? scales_at<true>(scales + h * one) : scales_at<false>(scales + h * one);
    const lanes zero = zeros == nullptr ? lanes{} : zeros_at(zeros + h * 8);
    const std::byte* word = at + h * sizeof(words);
    std::size_t k = 0;
    for (; k + 8 <= depth; k += 8, word += step) {
      if (h == 0) fetch_lines(word, fetched);
#pragma GCC unroll 8
      for (std::size_t u = 0; u < 8; ++u) {
        reinterpret_cast<lanes*>(w + (k + u) * width)[h] =
            scale * (codes_at(word, nibble_bit(u)) - zero);
      }
    }
    for (std::size_t u = 0; k < depth; ++k, ++u) {
      reinterpret_cast<lanes*>(w + k * width)[h] = scale * (codes_at(word, nibble_bit(u)) - zero);
    }
  }
}
}  // namespace avx2

namespace avx512 {
ZP_TARGET("avx512f")
inline void expand_group(std::size_t depth, const std::byte* scales, bool half,
                         const std::byte* zeros, const std::byte* at, std::size_t step,
                         std::size_t fetched, float* w) {
  const lanes scale = half ? scales_at<true>(scales) : scales_at<false>(scales);
  const lanes zero = zeros == nullptr ? lanes{} : zeros_at(zeros);
  const lanes table = digits();
  auto* to = reinterpret_cast<lanes*>(w);
  std::size_t k = 0;
  for (; k + 8 <= depth; k += 8, at += step) {
    fetch_lines(at, fetched);
    const words word = *reinterpret_cast<const words*>(at);
#pragma GCC unroll 8
    for (std::size_t u = 0; u < 8; ++u) {
      to[k + u] = scale * (even_codes(word >> nibble_bit(u), table) - zero);
    }
  }
  for (std::size_t u = 0; k < depth; ++k, ++u) {
    const words word = *reinterpret_cast<const words*>(at);
    to[k] = scale * (even_codes(word >> nibble_bit(u), table) - zero);
  }
}
}  // namespace avx512
#endif

}  // namespace float_panel
}  // namespace zeropoint::inline ZP_BASELINE
