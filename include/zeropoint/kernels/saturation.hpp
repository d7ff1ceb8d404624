// What older AVX2 libraries compute. The fast byte product of AVX2, vpmaddubsw, multiplies unsigned
// by signed bytes and adds two neighbours in 16 bits, with saturation:
//
//   pair = clamp(a0 * b0 + a1 * b1, -32768, 32767)        255 * 127 + 255 * 127 = 64770 -> 32767
//   dot  = sum of pairs, 32 bits
//
// Portable C++ that reproduces such results and counts the events. No kernel of this library
// computes like this: they are exact, avx2_narrow because packing has proven that no pair saturates
// (gemm/overflow_certificate.hpp). For comparing results and finding out whose sums are wrong.
#pragma once

#include <zeropoint/base/error.hpp>

#include <cstdint>
#include <span>

namespace zeropoint::inline ZP_BASELINE {
namespace kernels::saturation {

/// A dot product and how many of its pairs did not fit 16 bits: 0 means that `sum` is exact, as far
/// as the 32 bits of `sum` reach (dot_by_sign has an error of its own besides).
struct result {
  std::int32_t sum = 0;
  std::uint64_t saturated = 0;
  friend constexpr bool operator==(const result&, const result&) = default;
};

/// One 16-bit lane of vpmaddubsw.
[[nodiscard]] constexpr result multiply_pair(std::uint8_t a0, std::int8_t b0, std::uint8_t a1,
                                             std::int8_t b1) noexcept {
  const std::int32_t exact = a0 * b0 + a1 * b1;
  if (exact > 32767) return {32767, 1};
  if (exact < -32768) return {-32768, 1};
  return {exact, 0};
}

namespace detail {
struct operands {
  std::uint8_t a;
  std::int8_t b;
};

/// Sums pairs (0, 1), (2, 3), ...; a last element without a neighbour meets zero. `at(k)` gives the
/// operands of element k.
template <class At>
[[nodiscard]] constexpr result sum_pairs(std::size_t n, At&& at) {
  std::uint32_t sum = 0;  // wraps, as vpaddd does
  std::uint64_t saturated = 0;
  for (std::size_t k = 0; k < n; k += 2) {
    const operands even = at(k), odd = k + 1 < n ? at(k + 1) : operands{0, 0};
    const result pair = multiply_pair(even.a, even.b, odd.a, odd.b);
    sum += static_cast<std::uint32_t>(pair.sum);
    saturated += pair.saturated;
  }
  return {static_cast<std::int32_t>(sum), saturated};
}

constexpr void require_lengths(std::size_t a, std::size_t b) {
  ZP_REQUIRE(a == b, "saturation: ", a, " activations times ", b, " weights");
}
}  // namespace detail

/// Unsigned activations times signed weights, as they are.
[[nodiscard]] constexpr result dot(std::span<const std::uint8_t> a,
                                   std::span<const std::int8_t> b) {
  detail::require_lengths(a.size(), b.size());
  return detail::sum_pairs(a.size(), [&](std::size_t k) { return detail::operands{a[k], b[k]}; });
}

/// Signed times signed by a shift, as oneDNN does without VNNI:  sum (a + 128) b - 128 sum b.
/// Saturates easily: a small activation is about 128 after the shift.
[[nodiscard]] constexpr result dot_shifted(std::span<const std::int8_t> a,
                                           std::span<const std::int8_t> b) {
  detail::require_lengths(a.size(), b.size());
  result r = detail::sum_pairs(a.size(), [&](std::size_t k) {
    return detail::operands{static_cast<std::uint8_t>(a[k] + 128), b[k]};
  });
  std::uint32_t column_sum = 0;
  for (const std::int8_t w : b) column_sum += static_cast<std::uint32_t>(w);
  r.sum = static_cast<std::int32_t>(static_cast<std::uint32_t>(r.sum) - 128u * column_sum);
  return r;
}

/// Signed times signed by magnitude and sign, as ggml does:  sum |a| (b sign(a)).  vpsignb leaves
/// -(-128) at -128, so a negative `a` against b = -128 has the wrong sign, which nothing counts;
/// everything else within -127 .. 127 is exact: 2 * 127 * 127 = 32258 fits.
[[nodiscard]] constexpr result dot_by_sign(std::span<const std::int8_t> a,
                                           std::span<const std::int8_t> b) {
  detail::require_lengths(a.size(), b.size());
  return detail::sum_pairs(a.size(), [&](std::size_t k) {
    const std::int32_t magnitude = a[k] < 0 ? -a[k] : a[k];
    const std::int32_t signed_b = a[k] < 0 ? -b[k] : a[k] == 0 ? 0 : b[k];
    return detail::operands{static_cast<std::uint8_t>(magnitude),
                            static_cast<std::int8_t>(signed_b)};
  });
}

/// How many pairs of these weights some unsigned activations can saturate; 0 proves that dot() and
/// dot_shifted() are exact for all activations. Weights within -64 .. 64 give 0.
[[nodiscard]] constexpr std::uint64_t pairs_at_risk(std::span<const std::int8_t> b) noexcept {
  std::uint64_t count = 0;
  for (std::size_t k = 0; k < b.size(); k += 2) {
    const std::int32_t b0 = b[k], b1 = k + 1 < b.size() ? b[k + 1] : 0;
    const std::int32_t highest = 255 * ((b0 > 0 ? b0 : 0) + (b1 > 0 ? b1 : 0));
    const std::int32_t lowest = 255 * ((b0 < 0 ? b0 : 0) + (b1 < 0 ? b1 : 0));
    count += highest > 32767 || lowest < -32768 ? 1u : 0u;
  }
  return count;
}

}  // namespace kernels::saturation
}  // namespace zeropoint::inline ZP_BASELINE
