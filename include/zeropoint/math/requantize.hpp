// From an int32 accumulator to an int8 code: multiply by M = scale_in * scale_w / scale_out, round,
// add the zero point, clamp. Two ways are in use, and they differ, always by one, about once
// in 20,000 accumulators:
//
//   float        round_to_even(float(acc) * M)                         ONNX, oneDNN, XNNPACK, PyTorch
//   fixed point  divide(high(acc * mantissa), 2^shift), two roundings  gemmlowp
//
// TFLite has had three more (math/presets.hpp). W8A8 layers that return floats need none.
#pragma once

#include <zeropoint/math/rounding.hpp>

#include <cmath>
#include <span>
#include <utility>

namespace zeropoint::inline ZP_BASELINE {

/// clamp(round_to_even(float(acc) * multiplier) + zero_point, qmin, qmax); out.scale is not used.
/// float(acc) is exact up to 2^24. The clamp between product and rounding keeps compilers from
/// fusing the two. `multiplier` is finite and not negative.
[[nodiscard]] constexpr std::int32_t requantize(std::int32_t acc, float multiplier,
                                                const params& out) noexcept {
  const auto low = static_cast<float>(out.qmin - out.zero_point);
  const auto high = static_cast<float>(out.qmax - out.zero_point);
  float t = static_cast<float>(acc) * multiplier;
  t = t < low ? low : t;
  t = t > high ? high : t;
  return static_cast<std::int32_t>(ties_to_even::nearest(t)) + out.zero_point;
}

/// A positive real as mantissa * 2^(shift - 31), the mantissa in [2^30, 2^31), or 0.
struct fixed_point {
  std::int32_t mantissa = 0;
  int shift = 0;
  friend constexpr bool operator==(const fixed_point&, const fixed_point&) = default;
};

/// The fixed_point nearest to a multiplier, ties away. Below 2^-32 it is 0. Throws `error` unless
/// 0 <= multiplier < 2^30.
[[nodiscard]] inline fixed_point to_fixed_point(double multiplier) {
  ZP_REQUIRE(multiplier >= 0 && multiplier < 0x1p30, "to_fixed_point: multiplier ", multiplier,
             ", expected 0 to 2^30");
  int shift = 0;
  std::int64_t mantissa = std::llround(std::frexp(multiplier, &shift) * 0x1p31);
  if (mantissa == std::int64_t{1} << 31) {  // 0.99999999999 rounds up to 1.0
    mantissa /= 2;
    ++shift;
  }
  if (mantissa == 0 || shift < -31) return {};
  return {static_cast<std::int32_t>(mantissa), shift};
}

/// floor(a * b / 2^31 + 1/2), saturated (only -2^31 * -2^31 needs it): ARM's SQRDMULH.
[[nodiscard]] constexpr std::int32_t doubling_high_product(std::int32_t a,
                                                           std::int32_t b) noexcept {
  const std::int64_t product = static_cast<std::int64_t>(a) * b;
  return saturate<std::int32_t>((product + (std::int64_t{1} << 30)) >> 31);
}

/// x / 2^exponent to the nearest integer, ties away from zero. 0 <= exponent <= 31.
[[nodiscard]] constexpr std::int32_t rounding_right_shift(std::int32_t x, int exponent) noexcept {
  if (exponent == 0) return x;
  const std::int64_t half = std::int64_t{1} << (exponent - 1), wide = x;
  const std::int64_t magnitude = ((wide < 0 ? -wide : wide) + half) >> exponent;
  return static_cast<std::int32_t>(wide < 0 ? -magnitude : magnitude);
}

/// The same step as gemmlowp does it, bit for bit: acc * m with two roundings, then the zero point
/// and the clamp. A multiplier of 1 and more shifts acc left first, saturating.
[[nodiscard]] constexpr std::int32_t requantize(std::int32_t acc, fixed_point m,
                                                const params& out) noexcept {
  const int left = m.shift > 0 ? m.shift : 0, right = m.shift > 0 ? 0 : -m.shift;
  const auto shifted =
      saturate<std::int32_t>(static_cast<std::int64_t>(acc) * (std::int64_t{1} << left));
  const std::int64_t code =
      std::int64_t{rounding_right_shift(doubling_high_product(shifted, m.mantissa), right)} +
      out.zero_point;
  return static_cast<std::int32_t>(code < out.qmin ? out.qmin : code > out.qmax ? out.qmax : code);
}

/// codes[i] = requantize(acc[i], multiplier, out) in either arithmetic (float or fixed_point).
/// Throws `error` when the lengths differ or T cannot hold the codes.
template <class T, class Multiplier>
void requantize_row(std::span<const std::int32_t> acc, Multiplier multiplier, const params& out,
                    std::span<T> codes) {
  ZP_REQUIRE(acc.size() == codes.size(), "requantize_row: ", acc.size(), " accumulators into ",
             codes.size(), " codes");
  ZP_REQUIRE(std::in_range<T>(out.qmin) && std::in_range<T>(out.qmax), "requantize_row: codes ",
             out.qmin, " .. ", out.qmax, " do not fit the storage type");
  for (std::size_t i = 0; i < acc.size(); ++i) {
    codes[i] = static_cast<T>(requantize(acc[i], multiplier, out));
  }
}

}  // namespace zeropoint::inline ZP_BASELINE
