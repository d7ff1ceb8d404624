// The functions that may follow a product before its result is stored, one definition down to the
// bit. Single precision, every product and sum rounded by itself (no fma):
//
//   relu(x)        x < 0 ? 0 : x
//   gelu_tanh(x)   x / (1 + exp(-2 u)), u = sqrt(2 / pi) (x + 0.044715 x^3); 0 below -20
//                  (the tanh form of Hendrycks and Gimpel, arXiv 1606.08415)
//   silu(x)        x / (1 + exp(-x)); 0 below -88
//
//   exp(x)         x = n log 2 + r, |r| <= 0.35, Taylor series to r^7, times 2^n; relative error
//                  below 2e-7 from -87.3 to 88.3, where it stays
//
// NaN stays NaN. The loop is written once, in the compiler's vectors, and defined for an instruction
// set by ZP_ACTIVATION_LOOP.
#pragma once

#include <zeropoint/base/platform.hpp>

#include <cstring>

namespace zeropoint::inline ZP_BASELINE {

/// What follows the product of a layer.
enum class activation_function : std::uint8_t { none, relu, gelu_tanh, silu };

namespace kernels {

/// y(i, j) = f(y(i, j)), i < rows, j < cols; rows are `stride` elements apart.
struct activation_job {
  activation_function f = activation_function::none;
  std::size_t rows = 0, cols = 0, stride = 0;
  float* y = nullptr;
};

// Defines `void activate(const activation_job&)` with vectors of `bytes` bytes in functions of target
// `isa`. A macro, because a template cannot carry a target that depends on its argument.
#define ZP_ACTIVATION_LOOP(isa, bytes)                                                            \
  namespace activation_loop {                                                                     \
  using lanes = float __attribute__((vector_size(bytes)));                                        \
  using words = std::uint32_t __attribute__((vector_size(bytes)));                                \
  isa ZP_ALWAYS_INLINE lanes product(lanes a, lanes b) {                                          \
    lanes p = a * b;                                                                              \
    ZP_ROUNDED(p);                                                                                \
    return p;                                                                                     \
  }                                                                                               \
  isa ZP_ALWAYS_INLINE lanes all(float x) {                                                       \
    return lanes{} + x;                                                                           \
  }                                                                                               \
  isa ZP_ALWAYS_INLINE lanes exp(lanes x) {                                                       \
    constexpr float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer */         \
    x = x < all(-87.3f) ? all(-87.3f) : x;                                                        \
    x = x > all(88.3f) ? all(88.3f) : x;                                                          \
    const lanes t = product(x, all(1.44269504088896341f)) + magic;                                \
    const lanes n = t - magic;                                                                    \
    const lanes r =                                                                               \
        (x - product(n, all(0.693359375f))) + product(n, all(2.12194440054690583e-4f));           \
    lanes p = product(all(1.0f / 5040), r) + 1.0f / 720;                                          \
    p = product(p, r) + 1.0f / 120;                                                               \
    p = product(p, r) + 1.0f / 24;                                                                \
    p = product(p, r) + 1.0f / 6;                                                                 \
    p = product(p, r) + 0.5f;                                                                     \
    p = product(p, product(r, r)) + r + 1.0f;                                                     \
    const words power = (reinterpret_cast<words>(t) - std::bit_cast<std::uint32_t>(magic) + 127u) \
                        << 23;                                                                    \
    return p * reinterpret_cast<lanes>(power);                                                    \
  }                                                                                               \
  isa ZP_ALWAYS_INLINE lanes value(activation_function f, lanes x) {                              \
    if (f == activation_function::relu) return x < lanes{} ? lanes{} : x;                         \
    if (f == activation_function::silu) {                                                         \
      return x < all(-88.0f) ? lanes{} : x / (1.0f + exp(-x));                                    \
    }                                                                                             \
    const lanes cube = product(product(x, x), x);                                                 \
    const lanes u = product(all(0.7978845608028654f), x + product(all(0.044715f), cube));         \
    return x < all(-20.0f) ? lanes{} : x / (1.0f + exp(-2.0f * u));                               \
  }                                                                                               \
  isa inline void row(activation_function f, float* y, std::size_t n) {                           \
    constexpr std::size_t width = (bytes) / sizeof(float);                                        \
    for (std::size_t j = 0; j < n; j += width) {                                                  \
      const std::size_t live = (n - j < width ? n - j : width) * sizeof(float);                   \
      lanes x = {};                                                                               \
      std::memcpy(&x, y + j, live == (bytes) ? (bytes) : live);                                   \
      x = value(f, x);                                                                            \
      std::memcpy(y + j, &x, live == (bytes) ? (bytes) : live);                                   \
    }                                                                                             \
  }                                                                                               \
  }                                                                                               \
  inline void activate(const activation_job& j) {                                                 \
    if (j.f == activation_function::none) return;                                                 \
    for (std::size_t i = 0; i < j.rows; ++i)                                                      \
      activation_loop::row(j.f, j.y + i * j.stride, j.cols);                                      \
  }

namespace rows_baseline {
ZP_ACTIVATION_LOOP(, 16)
}

}  // namespace kernels
}  // namespace zeropoint::inline ZP_BASELINE
