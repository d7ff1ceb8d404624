// Vectors of the instruction set that the including file is compiled for, and the row loops over them.
// For float_kernels_variant.cpp alone: nothing here has a name outside of its object file.
#pragma once

#include <cstddef>

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

namespace {

// One register of the variant. Sums are always 16 partial sums wide, in as many registers as it takes.
#if defined(__AVX512F__)
#define ZP_LAB_REGISTER 64
#elif defined(__AVX__)
#define ZP_LAB_REGISTER 32
#else
#define ZP_LAB_REGISTER 16
#endif
using vec = float __attribute__((vector_size(ZP_LAB_REGISTER)));
using uvec = unsigned __attribute__((vector_size(ZP_LAB_REGISTER)));
constexpr std::size_t width = ZP_LAB_REGISTER / 4, lanes = 16, parts = lanes / width;

inline vec load(const float* p) {
  vec v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
inline void store(vec v, float* p) {
  __builtin_memcpy(p, &v, sizeof v);
}
inline vec filled(float x) {
  return x - vec{};  // unlike x + 0 this is x for -0 too, and compiles to a broadcast
}
// The last n < width elements of a row, padded. Every row of a causal softmax has such an end: a call of
// memcpy there takes as long as three vectors of exponentials.
#if defined(__AVX512F__)
inline vec load_tail(const float* p, std::size_t n, float padding) {
  return _mm512_mask_loadu_ps(filled(padding), static_cast<__mmask16>((1u << n) - 1), p);
}
inline void store_tail(vec v, float* p, std::size_t n) {
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1), v);
}
#else
inline vec load_tail(const float* p, std::size_t n, float padding) {
  vec v = filled(padding);
  __builtin_memcpy(&v, p, n * sizeof(float));
  return v;
}
inline void store_tail(vec v, float* p, std::size_t n) {
  __builtin_memcpy(p, &v, n * sizeof(float));
}
#endif

// f(vector) for the whole row, in place.
template <class F>
inline void transform(std::size_t n, float* x, F f) {
  std::size_t j = 0;
  for (; j + width <= n; j += width) store(f(load(x + j)), x + j);
  if (j < n) store_tail(f(load_tail(x + j, n - j, 0.0f)), x + j, n - j);
}

// 16 partial sums, and how they become one: halves are added until one is left.
struct sums {
  vec part[parts] = {};
  float fold() const {
    float s[lanes];
    __builtin_memcpy(s, part, sizeof s);
    for (std::size_t half = lanes / 2; half > 0; half /= 2) {
      for (std::size_t i = 0; i < half; ++i) s[i] += s[i + half];
    }
    return s[0];
  }
};

// Element j of the row goes to partial sum j mod 16; term(j) gives a vector of them, tail(j, n) the
// last n < width.
template <class Term, class Tail>
inline float sum_of(std::size_t n, Term term, Tail tail) {
  sums total;
  std::size_t j = 0;
  for (; j + lanes <= n; j += lanes) {
    for (std::size_t u = 0; u < parts; ++u) total.part[u] += term(j + u * width);
  }
  for (std::size_t u = 0; u < parts && j < n; ++u, j += width) {
    total.part[u] += j + width <= n ? term(j) : tail(j, n - j);
  }
  return total.fold();
}

inline vec larger(vec v, vec than) {
  return v > than ? v : than;
}
// Of n >= 1 elements; NaNs behind the first do not count. Four chains: a comparison and a choice take
// five cycles.
inline float largest(std::size_t n, const float* x) {
  vec m[4];
  for (vec& v : m) v = filled(x[0]);
  std::size_t j = 0;
  for (; j + 4 * width <= n; j += 4 * width) {
    for (std::size_t u = 0; u < 4; ++u) m[u] = larger(load(x + j + u * width), m[u]);
  }
  for (; j + width <= n; j += width) m[0] = larger(load(x + j), m[0]);
  if (j < n) m[1] = larger(load_tail(x + j, n - j, x[0]), m[1]);
  float s[width];
  store(larger(larger(m[0], m[1]), larger(m[2], m[3])), s);
  for (std::size_t half = width / 2; half > 0; half /= 2) {
    for (std::size_t i = 0; i < half; ++i) s[i] = s[i + half] > s[i] ? s[i + half] : s[i];
  }
  return s[0];
}

// The formula of zeropoint/kernels/activation.hpp, which cannot be included here (see
// float_kernels_variant.cpp).
// exp for x <= 88.3, relative error below 2e-7; below -87.3 it stays at 1.2e-38. NaN stays NaN.
// x = n log 2 + r, |r| <= 0.35; the polynomial is the Taylor series to r^7 (next term 5e-9).
inline vec exp_of(vec x) {
  constexpr float magic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  x = x < filled(-87.3f) ? filled(-87.3f) : x;
  x = x > filled(88.3f) ? filled(88.3f) : x;
  const vec t = x * 1.44269504088896341f + magic;
  const vec n = t - magic;
  const vec r = (x - n * 0.693359375f) + n * 2.12194440054690583e-4f;
  vec p = filled(1.0f / 5040.0f);
  p = p * r + 1.0f / 720.0f;
  p = p * r + 1.0f / 120.0f;
  p = p * r + 1.0f / 24.0f;
  p = p * r + 1.0f / 6.0f;
  p = p * r + 0.5f;
  p = p * (r * r) + r + 1.0f;
  uvec bits;
  __builtin_memcpy(&bits, &t, sizeof bits);
  bits = (bits - __builtin_bit_cast(unsigned, magic) + 127u) << 23;
  vec power;
  __builtin_memcpy(&power, &bits, sizeof power);
  return p * power;
}

}  // namespace
