// What a quantization is: the affine map
//
//   real = scale * (q - zero_point),  q an integer in [qmin, qmax]
//
//   scheme       which integers there are and where zero sits: symmetric, symmetric_full, affine
//   params       one scale and one zero point
//   fit          from the range of the values and a scheme to params
//   granularity  how many params a matrix has: per_tensor, per_row, per_column,
//                per_output_channel, per_group
//
// docs/quantization.md derives all of it. Read quantize.hpp next.
#pragma once

#include <zeropoint/base/error.hpp>
#include <zeropoint/base/matrix_view.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

namespace zeropoint::inline ZP_BASELINE {

/// Where the grid may sit. `narrow` drops the lowest code so that the grid is its own mirror image.
enum class symmetry : std::uint8_t { narrow, full, affine };

/// Which integers a quantization may use: 2 to 8 bits, signed or unsigned storage.
///
///   8 bits           signed: qmin  qmax  zero point     unsigned: qmin  qmax  zero point
///   symmetric                -127   127           0                  1   255         128
///   symmetric_full           -128   127           0                  0   255         128
///   affine                   -128   127   -128..127                  0   255      0..255
struct scheme {
  symmetry kind = symmetry::narrow;
  int bits = 8;
  bool is_signed = true;

  [[nodiscard]] constexpr scheme with_bits(int b) const {
    ZP_REQUIRE(b >= 2 && b <= 8, "scheme: ", b, " bits, expected 2 to 8");
    return {kind, b, is_signed};
  }
  [[nodiscard]] constexpr scheme as_unsigned() const noexcept { return {kind, bits, false}; }

  /// The code of real zero in a symmetric scheme: 0 signed, 2^(bits-1) unsigned.
  [[nodiscard]] constexpr std::int32_t middle() const noexcept {
    return is_signed ? 0 : 1 << (bits - 1);
  }
  [[nodiscard]] constexpr std::int32_t qmin() const noexcept {
    return middle() - (1 << (bits - 1)) + (kind == symmetry::narrow ? 1 : 0);
  }
  [[nodiscard]] constexpr std::int32_t qmax() const noexcept {
    return middle() + (1 << (bits - 1)) - 1;
  }
  [[nodiscard]] constexpr bool is_symmetric() const noexcept { return kind != symmetry::affine; }
  friend constexpr bool operator==(const scheme&, const scheme&) = default;
};

/// -127..127, nothing clips: the default.
inline constexpr scheme symmetric{symmetry::narrow, 8, true};
/// -128..127.
inline constexpr scheme symmetric_full{symmetry::full, 8, true};
/// -128..127 with a zero point.
inline constexpr scheme affine{symmetry::affine, 8, true};

/// The real values a quantization has to cover. Both ends finite, min <= max.
struct value_range {
  float min = 0, max = 0;
  friend constexpr bool operator==(const value_range&, const value_range&) = default;
};

/// One affine map: real = scale * (q - zero_point), q clamped to [qmin, qmax]. scale is finite and
/// at least the smallest normal float, so that 1/scale is finite too; qmin <= zero_point <= qmax.
struct params {
  float scale = 1;
  std::int32_t zero_point = 0;
  std::int32_t qmin = -127, qmax = 127;

  /// The reals at the two ends of the grid; what lies outside is clipped (beyond half a step).
  [[nodiscard]] constexpr value_range representable() const noexcept {
    return {scale * static_cast<float>(qmin - zero_point),
            scale * static_cast<float>(qmax - zero_point)};
  }
  friend constexpr bool operator==(const params&, const params&) = default;
};

/// The params of a scheme that cover a range, which is first widened to contain zero (padding, ReLU
/// and missing values are zeros, and they must cost nothing). For 8 bits, other widths likewise:
///
///   symmetric       scale = absmax / 127: the extreme maps to exactly +-127, nothing clips
///   symmetric_full  scale = max(min / -128, max / 127): nothing clips, one more code
///   affine          scale = (max - min) / 255, zero_point = round_to_even(qmin - min / scale)
///
/// Affine arithmetic is in double. Because the zero point is rounded, an end of an affine range may
/// lie up to half a step outside the grid; when that is an exact tie it counts as clipped, and its
/// error is still half a step. A range of only zero gives scale 1. A scale below the smallest
/// normal float is raised to it; one that would make an end of the grid infinite is lowered. Throws
/// `error` for a range that is not finite or has min > max.
[[nodiscard]] inline params fit(value_range range, scheme s) {
  ZP_REQUIRE(s.bits >= 2 && s.bits <= 8, "fit: ", s.bits, " bits, expected 2 to 8");
  ZP_REQUIRE(std::isfinite(range.min) && std::isfinite(range.max) && range.min <= range.max,
             "fit: range ", range.min, " .. ", range.max, ", expected finite values, min <= max");
  // Not std::fmin and fmax: a call each, in every row that is quantized dynamically.
  const float low = range.min < 0 ? range.min : 0.0f, high = range.max > 0 ? range.max : 0.0f;
  params p{1.0f, s.middle(), s.qmin(), s.qmax()};
  if (low == 0.0f && high == 0.0f) {
    if (!s.is_symmetric()) p.zero_point = s.is_signed ? 0 : s.qmin();
    return p;
  }
  // Only within half a step of the largest float: -3.4e38 .. 3.4e38 would put -128 at -infinity.
  const auto finite_ends = [](params q) {
    const auto steps = static_cast<float>(std::max(q.zero_point - q.qmin, q.qmax - q.zero_point));
    while (!std::isfinite(q.scale * steps)) {
      q.scale = std::nextafter(std::min(q.scale, std::numeric_limits<float>::max() / steps), 0.0f);
    }
    return q;
  };
  const auto raised = [](float scale) {
    return std::max(scale, std::numeric_limits<float>::min());
  };
  const auto below = static_cast<float>(s.middle() - s.qmin()),
             above = static_cast<float>(s.qmax() - s.middle());
  if (s.is_symmetric()) {
    p.scale = raised(std::max(-low / below, high / above));
    return finite_ends(p);
  }
  const double steps = s.qmax() - s.qmin();
  p.scale = raised(static_cast<float>((static_cast<double>(high) - low) / steps));
  const double zero = std::nearbyint(s.qmin() - static_cast<double>(low) / p.scale);
  p.zero_point = static_cast<std::int32_t>(std::fmin(std::fmax(zero, s.qmin()), s.qmax()));
  return finite_ends(p);
}

// --- granularity: which elements share one params -----------------------------------------------

/// The axis of a matrix along which params change.
enum class axis : std::uint8_t { rows, columns };

struct per_tensor_t {};
template <axis Axis>
struct per_channel_t {};
struct per_output_channel_t {};
/// Blocks of `size` consecutive elements along K, the summed dimension of a weight; the last group
/// may be shorter.
struct per_group {
  std::size_t size = 128;
};

inline constexpr per_tensor_t per_tensor;                  ///< one params for all elements
inline constexpr per_channel_t<axis::rows> per_row;        ///< one per row
inline constexpr per_channel_t<axis::rows> per_token;      ///< the same, said of [tokens, channels]
inline constexpr per_channel_t<axis::columns> per_column;  ///< one per column
/// One per output channel of a *weight*: rows of a linear_weight, columns of a conv1d_weight. A
/// bare matrix is refused at compile time: nothing says which of its axes is the output.
inline constexpr per_output_channel_t per_output_channel;

/// A weight stored [out, in], as torch.nn.Linear, OPT and Llama do: y = x * W^T.
struct linear_weight {
  static constexpr axis output = axis::rows;
  matrix_view<const float> values;
  [[nodiscard]] constexpr std::size_t out() const noexcept { return values.rows(); }
  [[nodiscard]] constexpr std::size_t in() const noexcept { return values.cols(); }
};

/// A weight stored [in, out], as GPT-2's Conv1D does: y = x * W. Groups run along the rows.
struct conv1d_weight {
  static constexpr axis output = axis::columns;
  matrix_view<const float> values;
  [[nodiscard]] constexpr std::size_t out() const noexcept { return values.cols(); }
  [[nodiscard]] constexpr std::size_t in() const noexcept { return values.rows(); }
};

}  // namespace zeropoint::inline ZP_BASELINE
