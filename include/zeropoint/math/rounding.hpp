// From a real to an integer: how x / scale is formed, how ties are broken, and where NaN and the
// infinities go.
//
//   steps(x) = clamp(round(x / scale), qmin - zero_point, qmax - zero_point),  code = steps + zp
//
// The clamp comes before the rounding (both limits are integers, so the result is the same): no
// float ever reaches an integer conversion that it does not fit. NaN becomes real zero, +-inf the
// ends of the grid. The default floating-point environment is assumed: round to nearest, no flush
// to zero; a program that changes MXCSR or FPCR must restore it before it calls the library.
#pragma once

#include <zeropoint/math/params.hpp>

#include <bit>
#include <concepts>
#include <limits>

namespace zeropoint::inline ZP_BASELINE {

/// The one saturating cast: the nearest value that T holds.
template <std::integral T>
[[nodiscard]] constexpr T saturate(std::int64_t value) noexcept {
  constexpr std::int64_t low = std::numeric_limits<T>::min(), high = std::numeric_limits<T>::max();
  static_assert(sizeof(T) < sizeof(std::int64_t));
  return static_cast<T>(value < low ? low : value > high ? high : value);
}

/// 0.5 -> 0, 1.5 -> 2, 2.5 -> 2: IEEE, ONNX, PyTorch, oneDNN. Exact for |t| < 2^22: adding
/// 1.5 * 2^23 leaves no bits for the fraction, so the addition itself rounds.
struct ties_to_even {
  template <class Float>
  [[nodiscard]] static constexpr Float nearest(Float t) noexcept {
    return (t + Float(0x1.8p23f)) - Float(0x1.8p23f);
  }
  /// Whether limit + 0.5 (limit >= 0) rounds to a number above the limit: 127.5 does, 126.5 not.
  [[nodiscard]] static constexpr bool tie_leaves(std::int32_t limit) noexcept {
    return limit % 2 != 0;
  }
};

/// 0.5 -> 1, -2.5 -> -3: C's round(), TFLite, gemmlowp. Adding the float below one half instead of
/// one half keeps 0.49999997 at 0; what follows is truncation. Exact for |t| < 2^22.
struct ties_away {
  static constexpr float half = 0x1.fffffep-2f;
  template <class Float>
  [[nodiscard]] static constexpr Float nearest(Float t) noexcept {
    if constexpr (std::same_as<Float, float>) {
      return static_cast<float>(static_cast<std::int32_t>(t + (t < 0.0f ? -half : half)));
    } else {
      return to_float(to_int(t + copysign(Float(half), t)));
    }
  }
  [[nodiscard]] static constexpr bool tie_leaves(std::int32_t) noexcept { return true; }
};

/// x / scale, correctly rounded: ONNX, compressed-tensors, SmoothQuant.
struct divide {
  [[nodiscard]] static constexpr float factor(float scale) noexcept { return scale; }
  template <class Float>
  [[nodiscard]] static constexpr Float scaled(Float x, Float factor) noexcept {
    if constexpr (std::same_as<Float, float>) {
      return x / factor;
    } else {  // not xsimd's operator/: on NEON it multiplies by an estimate of 1 / factor
      return Float(x.data / factor.data);
    }
  }
};

/// x * (1 / scale): PyTorch, FBGEMM, oneDNN. Differs from division about once in a million values:
/// scale 0.00214854861, x 0.273939937 divides to 127.499992 -> 127 but multiplies to 127.5 -> 128.
struct reciprocal {
  [[nodiscard]] static constexpr float factor(float scale) noexcept { return 1.0f / scale; }
  template <class Float>
  [[nodiscard]] static constexpr Float scaled(Float x, Float factor) noexcept {
    return x * factor;
  }
};

/// The arithmetic of a quantization as a type. The default is bit for bit ONNX's QuantizeLinear;
/// rounding<ties_to_even, reciprocal> is PyTorch's where the zero point is 0 (math/presets.hpp).
template <class Ties = ties_to_even, class Scaling = divide>
struct rounding {
  using ties = Ties;
  using scaling = Scaling;
};

/// A params prepared for a loop: factor, limits and the edges beyond which a value is clipped.
template <class Rounding = rounding<>>
class quantizer {
  using ties = typename Rounding::ties;
  using scaling = typename Rounding::scaling;

 public:
  /// Throws `error` unless the scale is a normal positive float and qmin <= zero_point <= qmax with
  /// at most 256 codes.
  constexpr explicit quantizer(const params& p) : params_{p.scale, p.zero_point, p.qmin, p.qmax} {
    ZP_REQUIRE(p.scale >= std::numeric_limits<float>::min() &&
                   p.scale <= std::numeric_limits<float>::max(),
               "quantize: scale ", p.scale, ", expected a finite normal positive number");
    ZP_REQUIRE(p.qmin >= -255 && p.qmax <= 255 && p.qmin <= p.zero_point &&
                   p.zero_point <= p.qmax && p.qmax - p.qmin <= 255,
               "quantize: zero point ", p.zero_point, " and codes ", p.qmin, " .. ", p.qmax,
               ", expected at most 256 codes that include the zero point");
    factor_ = scaling::factor(p.scale);
    low_ = static_cast<float>(p.qmin - p.zero_point);
    high_ = static_cast<float>(p.qmax - p.zero_point);
    low_edge_ = -edge(p.zero_point - p.qmin);
    high_edge_ = edge(p.qmax - p.zero_point);
  }

  [[nodiscard]] constexpr const params& parameters() const noexcept { return params_; }
  [[nodiscard]] constexpr float factor() const noexcept { return factor_; }
  [[nodiscard]] constexpr float low() const noexcept { return low_; }    ///< qmin - zero_point
  [[nodiscard]] constexpr float high() const noexcept { return high_; }  ///< qmax - zero_point
  /// A finite x is clipped when scaled(x) < low_edge() or > high_edge(): exactly when its rounded
  /// value lies outside the grid. Both are the last floats that still round to an end of it.
  [[nodiscard]] constexpr float low_edge() const noexcept { return low_edge_; }
  [[nodiscard]] constexpr float high_edge() const noexcept { return high_edge_; }

  [[nodiscard]] constexpr float scaled(float x) const noexcept {
    return scaling::scaled(x, factor_);
  }
  /// The integer number of steps from real zero, as a float; NaN gives 0.
  [[nodiscard]] constexpr float steps(float x) const noexcept {
    float t = scaled(x);
    t = t == t ? t : 0.0f;
    t = t < low_ ? low_ : t;
    t = t > high_ ? high_ : t;
    return ties::nearest(t);
  }
  /// The code, in [qmin, qmax].
  [[nodiscard]] constexpr std::int32_t operator()(float x) const noexcept {
    return static_cast<std::int32_t>(steps(x)) + params_.zero_point;
  }

 private:
  /// The largest float that rounds to `limit` or less.
  [[nodiscard]] static constexpr float edge(std::int32_t limit) noexcept {
    const float tie = static_cast<float>(limit) + 0.5f;
    if (!ties::tie_leaves(limit)) return tie;
    return std::bit_cast<float>(std::bit_cast<std::uint32_t>(tie) - 1);
  }

  params params_;
  float factor_ = 1, low_ = 0, high_ = 0, low_edge_ = 0, high_edge_ = 0;
};

}  // namespace zeropoint::inline ZP_BASELINE
