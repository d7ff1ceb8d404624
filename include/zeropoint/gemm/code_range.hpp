// A promise about activations: all codes lie within low .. high. Packing may choose a faster kernel
// on the strength of it (overflow_certificate.hpp), so every multiplication checks it first, unless a
// layer made the codes itself.
#pragma once

#include <zeropoint/base/error.hpp>
#include <zeropoint/base/matrix_view.hpp>

#include <cstdint>
#include <limits>

namespace zeropoint::inline ZP_BASELINE {

/// Codes as the caller has them, int8 or uint8: 7-bit symmetric ones are {-63, 63}.
struct code_range {
  std::int32_t low = 0, high = 0;
  friend constexpr bool operator==(const code_range&, const code_range&) = default;
};

namespace detail {

/// Whether one of `count` bytes is more than `width` above `low`, modulo 256.
[[nodiscard]] inline bool any_beyond(const std::uint8_t* bytes, std::size_t count, std::uint8_t low,
                                     std::uint8_t width) noexcept {
  constexpr std::size_t block = 64;  // a constant count: compilers vectorize it at -O2
  std::uint8_t highest[block] = {};
  std::size_t k = 0;
  for (; k + block <= count; k += block) {
    for (std::size_t i = 0; i < block; ++i) {
      const auto above = static_cast<std::uint8_t>(bytes[k + i] - low);
      highest[i] = highest[i] < above ? above : highest[i];
    }
  }
  for (std::size_t i = 0; k < count; ++i, ++k) {
    const auto above = static_cast<std::uint8_t>(bytes[k] - low);
    highest[i] = highest[i] < above ? above : highest[i];
  }
  bool beyond = false;
  for (const std::uint8_t h : highest) beyond |= h > width;
  return beyond;
}

/// Throws when an element of `a`, int8 or uint8, lies outside `range`.
template <class A>
void require_within(matrix_view<const A> a, const code_range& range) {
  constexpr std::int32_t least = std::numeric_limits<A>::min(),
                         most = std::numeric_limits<A>::max();
  const std::int32_t low = range.low > least ? range.low : least;
  const std::int32_t high = range.high < most ? range.high : most;
  for (std::size_t i = 0; i < a.rows(); ++i) {
    const A* row = a.data() + i * a.stride();
    if (low <= high &&
        !any_beyond(reinterpret_cast<const std::uint8_t*>(row), a.cols(),
                    static_cast<std::uint8_t>(low), static_cast<std::uint8_t>(high - low))) {
      continue;
    }
    for (std::size_t k = 0; k < a.cols(); ++k) {
      ZP_REQUIRE(row[k] >= low && row[k] <= high, "gemm: a(", i, ", ", k,
                 ") = ", static_cast<std::int32_t>(row[k]), " is outside ", range.low, " .. ",
                 range.high, ", the codes that the weights or the layer allow");
    }
  }
}

}  // namespace detail
}  // namespace zeropoint::inline ZP_BASELINE
