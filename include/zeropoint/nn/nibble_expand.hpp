// Codes of up to 4 bits as floats, for products of more than one row: what is expanded stays in the
// first-level cache, w[k][j] = code - zero[j] (exact), and the scales with it.
#pragma once

#include <zeropoint/base/fused.hpp>
#include <zeropoint/nn/nibble_row.hpp>

#include <cstring>

namespace zeropoint::inline ZP_BASELINE {
namespace float_panel {

/// Where a segment of a panel lies. Null zeros are 0; words are `step` bytes apart, and with each the
/// `fetched` bytes further on are asked for.
struct nibble_segment {
  std::size_t depth = 0;  ///< inputs
  bool half_scales = false;
  const std::byte *scales = nullptr, *zeros = nullptr, *words = nullptr;
  std::size_t step = 0, fetched = 0;
};
/// Inputs first .. first + depth of a panel, all of one group; first is a multiple of 8. The first
/// panel of a unit fetches for all of them: memory sees one stream, as for a row.
[[nodiscard]] inline nibble_segment segment_at(const nibble_panel& panel, std::size_t first,
                                               std::size_t depth) noexcept {
  const nibble_format& f = *panel.format;
  const std::size_t group = first / f.group_size;
  return {depth,
          f.half_scales,
          panel.scales(group),
          f.has_zeros ? panel.zeros(group) : nullptr,
          panel.words(first),
          panel.step(),
          panel.index == 0 ? panel.step() : 0};
}

// Eight inputs of a word at a time with shifts that are known; what is left over, one by one.

namespace baseline {
/// 128-bit vectors, four columns.
inline void expand_nibbles(const nibble_segment& s, float* w, float* scale) {
  typedef float lanes __attribute__((vector_size(16), may_alias));
  typedef std::uint32_t words __attribute__((vector_size(16), may_alias));
  typedef std::int32_t codes __attribute__((vector_size(16)));
  for (std::size_t j = 0; j < width; ++j) {
    float16 h;
    if (s.half_scales) std::memcpy(&h, s.scales + j * sizeof h, sizeof h);
    if (s.half_scales) scale[j] = to_float(h);
  }
  if (!s.half_scales) std::memcpy(scale, s.scales, width * sizeof(float));
  for (std::size_t j = 0; j < width; j += 4) {
    lanes zero = {};
    for (std::size_t i = 0; i < 4 && s.zeros != nullptr; ++i) {
      zero[i] = static_cast<float>(static_cast<std::int8_t>(s.zeros[j + i]));
    }
    const auto store = [&](std::size_t k, words word, std::size_t u) {
      const auto code = reinterpret_cast<codes>(word << (28 - nibble_bit(u))) >> 28;
      *reinterpret_cast<lanes*>(w + k * width + j) = __builtin_convertvector(code, lanes) - zero;
    };
    const std::byte* from = s.words + j * sizeof(std::uint32_t);
    std::size_t k = 0;
    for (; k + 8 <= s.depth; k += 8, from += s.step) {
      if (j == 0) fetch_lines(from, s.fetched);
      const words word = *reinterpret_cast<const words*>(from);
#pragma GCC unroll 8
      for (std::size_t u = 0; u < 8; ++u) store(k + u, word, u);
    }
    for (std::size_t u = 0; k < s.depth; ++k, ++u) {
      store(k, *reinterpret_cast<const words*>(from), u);
    }
  }
}
}  // namespace baseline

#if ZP_X86
namespace avx2 {
ZP_TARGET("avx2,fma,f16c")
inline void expand_nibbles(const nibble_segment& s, float* w, float* scale) {
  const std::size_t one = 8 * (s.half_scales ? sizeof(float16) : sizeof(float));
#pragma GCC unroll 2
  for (std::size_t h = 0; h < 2; ++h) {
    reinterpret_cast<lanes*>(scale)[h] =
        s.half_scales ? scales_at<true>(s.scales + h * one) : scales_at<false>(s.scales + h * one);
    const lanes zero = s.zeros == nullptr ? lanes{} : zeros_at(s.zeros + h * 8);
    const std::byte* word = s.words + h * sizeof(words);
    std::size_t k = 0;
    for (; k + 8 <= s.depth; k += 8, word += s.step) {
      if (h == 0) fetch_lines(word, s.fetched);
#pragma GCC unroll 8
      for (std::size_t u = 0; u < 8; ++u) {
        reinterpret_cast<lanes*>(w + (k + u) * width)[h] = codes_at(word, nibble_bit(u)) - zero;
      }
    }
    for (std::size_t u = 0; k < s.depth; ++k, ++u) {
      reinterpret_cast<lanes*>(w + k * width)[h] = codes_at(word, nibble_bit(u)) - zero;
    }
  }
}
}  // namespace avx2

namespace avx512 {
ZP_TARGET("avx512f")
inline void expand_nibbles(const nibble_segment& s, float* w, float* scale) {
  *reinterpret_cast<lanes*>(scale) =
      s.half_scales ? scales_at<true>(s.scales) : scales_at<false>(s.scales);
  const lanes zero = s.zeros == nullptr ? lanes{} : zeros_at(s.zeros);
  const lanes table = digits();
  auto* to = reinterpret_cast<lanes*>(w);
  const std::byte* at = s.words;
  std::size_t k = 0;
  for (; k + 8 <= s.depth; k += 8, at += s.step) {
    fetch_lines(at, s.fetched);
    const words word = *reinterpret_cast<const words*>(at);
#pragma GCC unroll 8
    for (std::size_t u = 0; u < 8; ++u) {
      to[k + u] = even_codes(word >> nibble_bit(u), table) - zero;
    }
  }
  for (std::size_t u = 0; k < s.depth; ++k, ++u) {
    const words word = *reinterpret_cast<const words*>(at);
    to[k] = even_codes(word >> nibble_bit(u), table) - zero;
  }
}
}  // namespace avx512
#endif

}  // namespace float_panel
}  // namespace zeropoint::inline ZP_BASELINE
