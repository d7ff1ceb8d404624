// What other frameworks compute, code for code: how each chooses scale and zero point from a range,
// and how it rounds one value.
//
//   framework           int8 weights     activations      x / scale     ties   zero point added
//   torch               absmax / 127.5   0..255           x * (1 / s)   even   before, fused
//   onnx (runtime)      absmax / 127     0..255, s8       x / s         even   after
//   tflite              absmax / 127     -128..127        x / s         away   after
//   ggml                absmax / 127     the same         x * (1 / s)   away   none, s in fp16
//   compressed_tensors  absmax / 127.5   -128..127        x / s         even   before
//   zeropoint           absmax / 127     any scheme       x / s         even   after
//
// Every rule is checked against the package itself (tests/math/data/presets.py): torch 2.13.0,
// onnxruntime 1.31.1, ai-edge-litert 2.3.0, gguf 0.19.0, compressed-tensors 0.20.0. NaN is what no
// framework defines: here it becomes real zero. docs/frameworks.md compares them on a model.
#pragma once

#include <zeropoint/base/float16.hpp>
#include <zeropoint/math/quantize.hpp>
#include <zeropoint/math/requantize.hpp>

namespace zeropoint::inline ZP_BASELINE {

namespace detail {

/// The range with zero in it. Throws `error` unless it is finite and min <= max.
[[nodiscard]] inline value_range with_zero(value_range r) {
  ZP_REQUIRE(std::isfinite(r.min) && std::isfinite(r.max) && r.min <= r.max, "presets: range ",
             r.min, " .. ", r.max, ", expected finite values, min <= max");
  return {std::fmin(r.min, 0.0f), std::fmax(r.max, 0.0f)};
}
[[nodiscard]] inline float absmax(value_range r) noexcept {
  return std::fmax(-r.min, r.max);
}
[[nodiscard]] inline float clamp(float t, float low, float high) noexcept {
  return t < low ? low : t > high ? high : t;
}
/// A code as a real number, the zero point already in it, to the code: ties to even. NaN to real 0.
[[nodiscard]] inline std::int32_t nearest_code(float t, const params& p) noexcept {
  if (t != t) return p.zero_point;
  const float limited = clamp(t, static_cast<float>(p.qmin), static_cast<float>(p.qmax));
  return static_cast<std::int32_t>(ties_to_even::nearest(limited));
}
/// t + zero_point, rounded to a float once more. The clamp, far outside every grid, keeps compilers
/// from fusing the sum with the product that t may be.
[[nodiscard]] inline float plus_zero_point(float t, const params& p) noexcept {
  return clamp(t, -0x1p20f, 0x1p20f) + static_cast<float>(p.zero_point);
}
inline void require_positive_scale(const params& p) {
  ZP_REQUIRE(p.scale > 0, "presets: scale ", p.scale, ", expected a positive number");
}

}  // namespace detail

namespace presets {

// --- torch 2.13 ---------------------------------------------------------------------------------

namespace torch {

/// The least scale of an observer, and of its variant for weights of -127 .. 127.
inline constexpr float eps = 0x1p-23f, eps_127 = 0x1p-12f;

/// torch.ao.quantization.MinMaxObserver.calculate_qparams; PerChannelMinMaxObserver per channel.
///   symmetric_full                    default_weight_observer: absmax / 127.5, -128 .. 127
///   symmetric, eps_127                weight_observer_range_neg_127_to_127: absmax / 127
///   affine.as_unsigned()              MinMaxObserver(): quint8, activations
///   affine.as_unsigned().with_bits(7) the same with reduce_range
/// An affine range wider than the largest float gives an infinite scale, as there.
[[nodiscard]] inline params observed(value_range range, scheme s, float least_scale = eps) {
  const value_range r = detail::with_zero(range);
  params p{1.0f, s.middle(), s.qmin(), s.qmax()};
  const auto steps = static_cast<float>(s.qmax() - s.qmin());
  if (s.is_symmetric()) {
    p.scale = std::fmax(detail::absmax(r) / (steps / 2), least_scale);
  } else {
    p.scale = std::fmax((r.max - r.min) / steps, least_scale);
    const auto below = static_cast<std::int32_t>(ties_to_even::nearest(r.min / p.scale));
    p.zero_point = std::clamp(s.qmin() - below, s.qmin(), s.qmax());
  }
  return p;
}

/// torch.quantize_per_tensor on x86 (FBGEMM, AVX2 and FMA): round(fma(x, 1 / scale, zero_point)).
[[nodiscard]] inline std::int32_t quantize(float x, const params& p) {
  detail::require_positive_scale(p);
  return detail::nearest_code(std::fma(x, 1.0f / p.scale, static_cast<float>(p.zero_point)), p);
}
/// torch.quantize_per_channel: the same, but product and sum are rounded each.
[[nodiscard]] inline std::int32_t quantize_per_channel(float x, const params& p) {
  detail::require_positive_scale(p);
  return detail::nearest_code(detail::plus_zero_point(x * (1.0f / p.scale), p), p);
}

}  // namespace torch

// --- ONNX, onnxruntime 1.31 ---------------------------------------------------------------------

namespace onnx {

/// QuantizeLinear: round(x / scale) + zero_point, saturated. What quantize() does by default.
using rounding = zeropoint::rounding<ties_to_even, divide>;

/// onnxruntime.quantization.quant_utils.compute_scale_zp: quantize_static, and the weights of
/// quantize_dynamic. In double, and the zero point is of the scale before that is rounded to float.
///   symmetric                         QInt8 weights: absmax / 127
///   affine, affine.as_unsigned()      QInt8 and QUInt8 activations
///   symmetric_full.as_unsigned()      QUInt8, symmetric
/// A scale below the smallest normal float becomes 1, and its zero point 0.
[[nodiscard]] inline params calibrated(value_range range, scheme s) {
  value_range r = detail::with_zero(range);
  if (s.is_symmetric()) r = {-detail::absmax(r), detail::absmax(r)};
  const double scale = (static_cast<double>(r.max) - r.min) / (s.qmax() - s.qmin());
  params p{1.0f, std::max(0, s.qmin()), s.qmin(), s.qmax()};
  if (scale < std::numeric_limits<float>::min()) return p;
  p.scale = static_cast<float>(scale);
  p.zero_point = s.is_symmetric()
                     ? s.middle()
                     : static_cast<std::int32_t>(std::nearbyint(s.qmin() - r.min / scale));
  return p;
}

/// DynamicQuantizeLinear: uint8, in float; a range of only zero gives scale 1. quantize() refuses
/// the scales below the smallest normal float and the infinite one that this can give.
[[nodiscard]] inline params dynamic(value_range range) {
  const value_range r = detail::with_zero(range);
  if (r.min == r.max) return {1.0f, 0, 0, 255};
  params p{(r.max - r.min) / 255.0f, 255, 0, 255};
  p.zero_point = detail::nearest_code(-r.min / p.scale, p);  // 0 / 0 leaves it 255, as there
  return p;
}

}  // namespace onnx

// --- TFLite, ai-edge-litert 2.3 -----------------------------------------------------------------

namespace tflite {

/// QUANTIZE of the reference kernels.
using rounding = zeropoint::rounding<ties_away, divide>;
/// QUANTIZE of the optimized kernels, which run unless one asks for the others.
using optimized_rounding = zeropoint::rounding<ties_to_even, reciprocal>;
/// Weights in the converter: value * (1 / scale).
using weight_rounding = zeropoint::rounding<ties_away, reciprocal>;

/// The converter after calibration, int8 (GetAsymmetricQuantizationParams): the zero point nudged
/// to an integer, in float, ties away. The largest value starts at the smallest normal float, not
/// at 0. A scale below that, which no kernel of ours takes, is raised to it.
[[nodiscard]] inline params activation(value_range range) {
  constexpr float smallest = std::numeric_limits<float>::min();
  value_range r = detail::with_zero(range);
  r.max = std::fmax(r.max, smallest);
  const float scale = (r.max - r.min) / 255.0f;
  const float zero = detail::clamp(-128.0f - r.min / scale, -128.0f, 127.0f);
  return {std::fmax(scale, smallest), static_cast<std::int32_t>(std::round(zero)), -128, 127};
}
/// optimize::utils::SymmetricPerChannelQuantization, one channel or a tensor: absmax / 127, narrow.
[[nodiscard]] inline params weight(value_range range) {
  return fit(range, symmetric);
}
/// QuantizeMultiplier of a layer with int8 output. Its accumulators are then scaled in one of three
/// ways by the same package, and in a fourth by gemmlowp:
///   reference kernels   requantize_once        one rounding, ties away
///   optimized kernels   requantize_twice_up    two roundings, ties up (ruy)
///   default (XNNPACK)   zeropoint::requantize(acc, float, out), ties to even
///   gemmlowp            zeropoint::requantize(acc, fixed_point, out): two, ties up and away
[[nodiscard]] inline fixed_point multiplier(float input_scale, float weight_scale,
                                            float output_scale) {
  return to_fixed_point(static_cast<double>(input_scale) * static_cast<double>(weight_scale) /
                        static_cast<double>(output_scale));
}
[[nodiscard]] constexpr std::int32_t requantize_once(std::int32_t acc, fixed_point m,
                                                     const params& out) noexcept {
  const std::int64_t product = static_cast<std::int64_t>(acc) * m.mantissa;
  const std::int64_t half = std::int64_t{1} << (30 - m.shift);
  const std::int64_t magnitude = ((product < 0 ? -product : product) + half) >> (31 - m.shift);
  const std::int64_t code = (product < 0 ? -magnitude : magnitude) + out.zero_point;
  return static_cast<std::int32_t>(std::clamp<std::int64_t>(code, out.qmin, out.qmax));
}
[[nodiscard]] constexpr std::int32_t requantize_twice_up(std::int32_t acc, fixed_point m,
                                                         const params& out) noexcept {
  const int left = std::max(m.shift, 0), right = std::max(-m.shift, 0);
  const auto shifted =
      saturate<std::int32_t>(static_cast<std::int64_t>(acc) * (std::int64_t{1} << left));
  const std::int64_t high = doubling_high_product(shifted, m.mantissa);
  const std::int64_t code = ((high + ((std::int64_t{1} << right) >> 1)) >> right) + out.zero_point;
  return static_cast<std::int32_t>(std::clamp<std::int64_t>(code, out.qmin, out.qmax));
}

}  // namespace tflite

// --- ggml, gguf 0.19 ----------------------------------------------------------------------------

namespace ggml {

/// Values of a block. A weight row is cut into such runs.
inline constexpr std::size_t block = 32;
using values = std::span<const float, block>;

namespace detail {

[[nodiscard]] inline value_range range_of(values x) {
  value_range r{x[0], x[0]};
  for (const float v : x) {
    ZP_REQUIRE(std::isfinite(v), "presets: ggml: value ", v, ", expected finite values");
    r = {std::fmin(r.min, v), std::fmax(r.max, v)};
  }
  return r;
}
/// 1 / d; 0 where that is no float: d is then 0 as fp16 too, and the block all zeros.
[[nodiscard]] inline float inverse(float d) noexcept {
  return std::fabs(d) < std::numeric_limits<float>::min() ? 0.0f : 1.0f / d;
}
/// trunc(t + half) for t in [0, 15] or a little outside.
[[nodiscard]] inline std::uint8_t truncated(float t, float low, float half) noexcept {
  const float sum = zeropoint::detail::clamp(t, low, low + 16.0f) + half;
  return static_cast<std::uint8_t>(std::fmin(sum, 15.0f));
}

}  // namespace detail

/// quantize_row_q8_0_ref: d = absmax / 127, codes round(x * (1 / d)), ties away, real = d * code.
/// Codes come from d in float, but d is stored as fp16, here the result. Throws `error` for a value
/// that is not finite, as the two below.
[[nodiscard]] inline float16 quantize_q8_0(values x, std::span<std::int8_t, block> codes) {
  const value_range r = detail::range_of(x);
  const params p = fit(r, symmetric);
  quantize_row(x, p, std::span<std::int8_t>(codes), zeropoint::rounding<ties_away, reciprocal>{});
  return to_float16(r.min == 0 && r.max == 0 ? 0.0f : p.scale);
}

/// quantize_row_q4_0_ref: d = (the first value of largest magnitude) / -8, so that it gets code 0;
/// d may be negative. Codes 0 .. 15, trunc(x * (1 / d) + 8.5), real = d * (code - 8).
[[nodiscard]] inline float16 quantize_q4_0(values x, std::span<std::uint8_t, block> codes) {
  (void)detail::range_of(x);
  const float extreme = *std::max_element(
      x.begin(), x.end(), [](float a, float b) { return std::fabs(a) < std::fabs(b); });
  const float d = extreme / -8.0f, inverse = detail::inverse(d);
  for (std::size_t i = 0; i < block; ++i) {
    codes[i] = detail::truncated(x[i] * inverse, -8.0f, 8.5f);
  }
  return to_float16(d);
}

struct scale_and_minimum {
  float16 d, m;
};
/// quantize_row_q4_1_ref: d = (max - min) / 15, m = min. Codes 0 .. 15,
/// trunc((x - m) * (1 / d) + 0.5), real = d * code + m. Zero need not be among them.
[[nodiscard]] inline scale_and_minimum quantize_q4_1(values x,
                                                     std::span<std::uint8_t, block> codes) {
  const value_range r = detail::range_of(x);
  const float d = (r.max - r.min) / 15.0f, inverse = detail::inverse(d);
  for (std::size_t i = 0; i < block; ++i) {
    codes[i] = detail::truncated((x[i] - r.min) * inverse, 0.0f, 0.5f);
  }
  return {to_float16(d), to_float16(r.min)};
}

}  // namespace ggml

// --- compressed-tensors 0.20 (llm-compressor, vLLM) ---------------------------------------------

namespace compressed_tensors {

/// quantization.utils.calculate_qparams for integers, in float.
///   symmetric_full                    int8: absmax / 127.5, -128 .. 127
///   affine                            int8, symmetric = False
///   symmetric_full.with_bits(4)       int4 groups: absmax / 7.5, -8 .. 7
/// A scale of 0 becomes 2^-23; one below the smallest normal float or infinite stays.
[[nodiscard]] inline params calculate_qparams(value_range range, scheme s) {
  const value_range r = detail::with_zero(range);
  params p{1.0f, s.middle(), s.qmin(), s.qmax()};
  const auto low = static_cast<float>(s.qmin()), high = static_cast<float>(s.qmax());
  if (s.is_symmetric()) {
    p.scale = detail::absmax(r) / ((high - low) / 2);
  } else {
    p.scale = (r.max - r.min) / (high - low);
    p.zero_point = detail::nearest_code(low - r.min / p.scale, p);  // 0 / 0 leaves it 0, as there
  }
  if (p.scale == 0) p.scale = 0x1p-23f;
  return p;
}

/// quantization.lifecycle.forward.quantize: round(x / scale + zero_point).
[[nodiscard]] inline std::int32_t quantize(float x, const params& p) {
  detail::require_positive_scale(p);
  return detail::nearest_code(detail::plus_zero_point(x / p.scale, p), p);
}

}  // namespace compressed_tensors
}  // namespace presets

}  // namespace zeropoint::inline ZP_BASELINE
