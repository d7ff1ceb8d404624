// Codes of up to 4 bits as floats, for products of more than one row: what is expanded stays in the
// first-level cache, w[k][j] = scale[j] * (code - zero[j]) with one rounding.
#pragma once

#include <zeropoint/nn/nibble_row.hpp>

#include <cstring>

namespace zeropoint::inline ZP_BASELINE {
namespace float_panel {

/// Inputs of one group as floats [depth][width]: null zeros are 0, words are `step` bytes apart.
using expand_group_fn = void (*)(std::size_t depth, const std::byte* scales, bool half,
                                 const std::byte* zeros, const std::byte* words, std::size_t step,
                                 float* w);
/// Inputs first .. first + depth of a panel; first is a multiple of 8.
template <expand_group_fn Group>
inline void expand_nibbles(const nibble_panel& panel, std::size_t first, std::size_t depth,
                           float* w) {
  const nibble_format& f = *panel.format;
  while (depth != 0) {
    const std::size_t group = first / f.group_size;
    const std::size_t n = smaller(depth, (group + 1) * f.group_size - first);
    Group(n, panel.scales(group), f.half_scales, f.has_zeros ? panel.zeros(group) : nullptr,
          panel.words(first), panel.step(), w);
    first += n;
    depth -= n;
    w += n * width;
  }
}

namespace baseline {
inline void expand_group(std::size_t depth, const std::byte* scales, bool half,
                         const std::byte* zeros, const std::byte* words, std::size_t step,
                         float* __restrict w) {
  float scale[width], zero[width] = {};
  std::uint32_t word[width];
  for (std::size_t j = 0; j < width; ++j) {
    float16 h;
    if (half) std::memcpy(&h, scales + j * sizeof h, sizeof h);
    if (half) scale[j] = to_float(h);
    if (!half) std::memcpy(scale + j, scales + j * sizeof(float), sizeof(float));
    if (zeros != nullptr) zero[j] = static_cast<float>(static_cast<std::int8_t>(zeros[j]));
  }
  for (std::size_t k = 0; k < depth; ++k) {
    if (k % nibble_format::depth == 0) {
      std::memcpy(word, words + k / nibble_format::depth * step, sizeof word);
    }
    const std::uint32_t bit = nibble_bit(k % nibble_format::depth);
    for (std::size_t j = 0; j < width; ++j) {
      const auto code = static_cast<std::int32_t>((word[j] >> bit & 15u) ^ 8u) - 8;
      w[k * width + j] = scale[j] * (static_cast<float>(code) - zero[j]);
    }
  }
}
}  // namespace baseline

#if ZP_X86
namespace avx2 {
ZP_TARGET("avx2,fma,f16c")
inline void expand_group(std::size_t depth, const std::byte* scales, bool half,
                         const std::byte* zeros, const std::byte* at, std::size_t step, float* w) {
  const std::size_t one = 8 * (half ? sizeof(float16) : sizeof(float));
#pragma GCC unroll 2
  for (std::size_t h = 0; h < 2; ++h) {
    const lanes scale =
        half ? scales_at<true>(scales + h * one) : scales_at<false>(scales + h * one);
    const lanes zero = zeros == nullptr ? lanes{} : zeros_at(zeros + h * 8);
    const std::byte* word = at + h * sizeof(words);
    for (std::size_t k = 0; k < depth; k += 8, word += step) {
      for (std::size_t u = 0; u < smaller(8, depth - k); ++u) {
        reinterpret_cast<lanes*>(w + (k + u) * width)[h] =
            scale * (codes_at(word, nibble_bit(u)) - zero);
      }
    }
  }
}
}  // namespace avx2

namespace avx512 {
ZP_TARGET("avx512f")
inline void expand_group(std::size_t depth, const std::byte* scales, bool half,
                         const std::byte* zeros, const std::byte* at, std::size_t step, float* w) {
  const lanes scale = half ? scales_at<true>(scales) : scales_at<false>(scales);
  const lanes zero = zeros == nullptr ? lanes{} : zeros_at(zeros);
  for (std::size_t k = 0; k < depth; k += 8, at += step) {
    const words word = *reinterpret_cast<const words*>(at);
    for (std::size_t u = 0; u < smaller(8, depth - k); ++u) {
      reinterpret_cast<lanes*>(w)[k + u] =
          scale * (even_codes(word >> nibble_bit(u), digits()) - zero);
    }
  }
}
}  // namespace avx512
#endif

}  // namespace float_panel
}  // namespace zeropoint::inline ZP_BASELINE
