// The two 16-bit float formats as storage: exact to float, round to nearest even from float.
//
//   float16   s eeeee mmmmmmmmmm   bias 15, largest 65504, smallest 2^-24   (IEEE binary16)
//   bfloat16  s eeeeeeee mmmmmmm   the upper half of a float
//
// Subnormals are kept, what is too large becomes infinity, NaN keeps its sign and upper payload
// bits and is made quiet. The default floating-point environment is assumed (round to nearest).
#pragma once

#include <zeropoint/base/error.hpp>

#include <span>

namespace zeropoint::inline ZP_BASELINE {

struct float16 {
  std::uint16_t bits = 0;
  friend constexpr bool operator==(float16, float16) = default;  ///< of the bits, not the numbers
};
struct bfloat16 {
  std::uint16_t bits = 0;
  friend constexpr bool operator==(bfloat16, bfloat16) = default;  ///< of the bits
};

[[nodiscard]] constexpr float to_float(float16 h) noexcept {
  const std::uint32_t sign = static_cast<std::uint32_t>(h.bits & 0x8000u) << 16;
  const std::uint32_t magnitude = h.bits & 0x7fffu;
  // Normal: the fields move by 13 bits and the bias from 15 to 127. Infinity and NaN: by 112 more.
  const std::uint32_t normal = (magnitude << 13) + (112u << 23);
  const std::uint32_t special =
      (magnitude << 13) | 0x7f800000u | (magnitude > 0x7c00u ? 1u << 22 : 0u);
  // Subnormal m * 2^-24: behind the leading one of 2^-14 the unit is 2^-37 * 2^13 = 2^-24.
  const float subnormal = std::bit_cast<float>(0x38800000u + (magnitude << 13)) - 0x1p-14f;
  const std::uint32_t bits = magnitude >= 0x7c00u  ? special
                             : magnitude < 0x0400u ? std::bit_cast<std::uint32_t>(subnormal)
                                                   : normal;
  return std::bit_cast<float>(bits | sign);
}

[[nodiscard]] constexpr float16 to_float16(float x) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
  // Half of the dropped unit less one, plus the last kept bit: ties go to even. A carry out of the
  // mantissa raises the exponent, up to infinity, as it should.
  const std::uint32_t normal = (magnitude - (112u << 23) + 0xfffu + (magnitude >> 13 & 1u)) >> 13;
  // Below 2^-14 the unit is 2^-24, which is that of a float in [0.5, 1): the addition rounds.
  const float small = magnitude < 0x38800000u ? std::bit_cast<float>(magnitude) : 0.0f;
  const std::uint32_t subnormal =
      std::bit_cast<std::uint32_t>(small + 0.5f) - std::bit_cast<std::uint32_t>(0.5f);
  const std::uint32_t nan = 0x7e00u | (magnitude >> 13 & 0x3ffu);
  const std::uint32_t result = magnitude > 0x7f800000u    ? nan
                               : magnitude >= 0x47800000u ? 0x7c00u  // 65536 and more
                               : magnitude < 0x38800000u  ? subnormal
                                                          : normal;
  return {static_cast<std::uint16_t>(result | sign)};
}

[[nodiscard]] constexpr float to_float(bfloat16 b) noexcept {
  const auto bits = static_cast<std::uint32_t>(b.bits) << 16;
  return std::bit_cast<float>(bits | ((bits & 0x7fffffffu) > 0x7f800000u ? 1u << 22 : 0u));
}

[[nodiscard]] constexpr bfloat16 to_bfloat16(float x) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
  const bool nan = (bits & 0x7fffffffu) > 0x7f800000u;
  return {static_cast<std::uint16_t>(nan ? bits >> 16 | 0x40u : rounded)};
}

namespace detail {
template <class From, class To, class F>
void convert_row(std::span<const From> from, std::span<To> to, F f) {
  ZP_REQUIRE(from.size() == to.size(), "float16: ", from.size(), " values into ", to.size());
  for (std::size_t i = 0; i < from.size(); ++i) to[i] = f(from[i]);
}
}  // namespace detail

// Rows: to[i] = conversion of from[i]. Throw `error` when the lengths differ.
inline void to_float(std::span<const float16> from, std::span<float> to) {
  detail::convert_row(from, to, [](float16 h) { return to_float(h); });
}
inline void to_float(std::span<const bfloat16> from, std::span<float> to) {
  detail::convert_row(from, to, [](bfloat16 b) { return to_float(b); });
}
inline void to_float16(std::span<const float> from, std::span<float16> to) {
  detail::convert_row(from, to, [](float x) { return to_float16(x); });
}
inline void to_bfloat16(std::span<const float> from, std::span<bfloat16> to) {
  detail::convert_row(from, to, [](float x) { return to_bfloat16(x); });
}

}  // namespace zeropoint::inline ZP_BASELINE
