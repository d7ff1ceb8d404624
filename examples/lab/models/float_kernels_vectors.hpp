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
// v > than ? v : than, and likewise v < than; `than` where one is NaN. Left to the compiler it is a
// comparison into a mask and a choice by it, which take three times as long.
#if defined(__AVX512F__)
inline vec larger(vec v, vec than) {
  return _mm512_maskz_max_ps(0xffff, v, than);
}
inline vec lesser(vec v, vec than) {
  return _mm512_maskz_min_ps(0xffff, v, than);
}
#else
inline vec larger(vec v, vec than) {
  return v > than ? v : than;
}
inline vec lesser(vec v, vec than) {
  return v < than ? v : than;
}
#endif
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

// The first n lanes of v; 0 in the others.
inline vec first_lanes(vec v, std::size_t n) {
  uvec lane;
  for (std::size_t i = 0; i < width; ++i) lane[i] = static_cast<unsigned>(i);
  return lane < static_cast<unsigned>(n) - uvec{} ? v : vec{};
}

// The first n <= width elements, 0 behind them.
inline vec load_first(const float* p, std::size_t n) {
  return n == width ? load(p) : load_tail(p, n, 0);
}
inline void store_first(vec v, float* p, std::size_t n) {
  n == width ? store(v, p) : store_tail(v, p, n);
}

// f(vectors) for the whole row, in place: f takes vec (&)[group] and vec (&)[1].
constexpr std::size_t group = 4;
template <class F>
inline void transform_groups(std::size_t n, float* x, F f) {
  std::size_t j = 0;
  for (; j + group * width <= n; j += group * width) {
    vec v[group];
    for (std::size_t u = 0; u < group; ++u) v[u] = load(x + j + u * width);
    f(v);
    for (std::size_t u = 0; u < group; ++u) store(v[u], x + j + u * width);
  }
  for (; j < n; j += width) {
    const std::size_t count = n - j < width ? n - j : width;
    vec v[] = {load_first(x + j, count)};
    f(v);
    store_first(v[0], x + j, count);
  }
}
// The same for an f of one vector.
template <class F>
inline void transform(std::size_t n, float* x, F f) {
  transform_groups(n, x, [f](auto& vectors) {
    for (vec& v : vectors) v = f(v);
  });
}

// How 16 partial sums become one: halves are added until one is left.
inline float folded(float (&s)[lanes]) {
  for (std::size_t half = lanes / 2; half > 0; half /= 2) {
    for (std::size_t i = 0; i < half; ++i) s[i] += s[i + half];
  }
  return s[0];
}
struct sums {
  vec part[parts] = {};
  void store_to(float (&s)[lanes]) const { __builtin_memcpy(s, part, sizeof s); }
  float fold() const {
    float s[lanes];
    store_to(s);
    return folded(s);
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

// The same of several rows at a time. term(row, j, n) gives the n <= width elements from j on, 0 behind.
template <std::size_t Rows, class Term>
inline void sums_of(std::size_t n, float (&out)[Rows], Term term) {
  sums total[Rows];
  std::size_t j = 0;
  for (; j + lanes <= n; j += lanes) {
    for (std::size_t u = 0; u < parts; ++u) {
      for (std::size_t i = 0; i < Rows; ++i) total[i].part[u] += term(i, j + u * width, width);
    }
  }
  for (std::size_t u = 0; u < parts && j < n; ++u, j += width) {
    const std::size_t count = n - j < width ? n - j : width;
    for (std::size_t i = 0; i < Rows; ++i) total[i].part[u] += term(i, j, count);
  }
  for (std::size_t i = 0; i < Rows; ++i) out[i] = total[i].fold();
}

// Of n >= 1 elements; NaNs behind the first do not count. In four chains, because each
// waits for the one before it.
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
// exp for x <= 88.3 (from there on exp_of() stays at 2e38), relative error below 2e-7; below -87.3 it
// stays at 1.2e-38. NaN stays NaN.
// x = n log 2 + r, |r| <= 0.35; the polynomial is the Taylor series to r^7 (next term 5e-9).
//
// Of N vectors, a step of all of them at a time: 24 steps that wait for each other are too many for a
// processor to overlap on its own. With four a vector takes 2.6 ns instead of 3.6 (AVX-512, Zen 5), AVX2
// and SSE2 gain as much.
template <std::size_t N>
inline void exp_of_small(vec (&x)[N]) {
  constexpr float magic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  vec t[N], r[N], p[N];
  const auto each = [](auto&& step) {
#pragma GCC unroll 4
    for (std::size_t i = 0; i < N; ++i) step(i);
  };
  each([&](std::size_t i) { x[i] = larger(filled(-87.3f), x[i]); });
  each([&](std::size_t i) { t[i] = x[i] * 1.44269504088896341f + magic; });
  each([&](std::size_t i) {
    const vec n = t[i] - magic;
    r[i] = (x[i] - n * 0.693359375f) + n * 2.12194440054690583e-4f;
    p[i] = filled(1.0f / 5040.0f);
  });
  each([&](std::size_t i) { p[i] = p[i] * r[i] + 1.0f / 720.0f; });
  each([&](std::size_t i) { p[i] = p[i] * r[i] + 1.0f / 120.0f; });
  each([&](std::size_t i) { p[i] = p[i] * r[i] + 1.0f / 24.0f; });
  each([&](std::size_t i) { p[i] = p[i] * r[i] + 1.0f / 6.0f; });
  each([&](std::size_t i) { p[i] = p[i] * r[i] + 0.5f; });
  each([&](std::size_t i) { p[i] = p[i] * (r[i] * r[i]) + r[i] + 1.0f; });
  each([&](std::size_t i) {
    uvec bits;
    __builtin_memcpy(&bits, &t[i], sizeof bits);
    bits = (bits - __builtin_bit_cast(unsigned, magic) + 127u) << 23;
    vec power;
    __builtin_memcpy(&power, &bits, sizeof power);
    x[i] = p[i] * power;
  });
}
template <std::size_t N>
inline void exp_of(vec (&x)[N]) {
  for (vec& v : x) v = lesser(filled(88.3f), v);
  exp_of_small(x);
}
inline vec exp_of(vec x) {
  vec v[] = {x};
  exp_of(v);
  return v[0];
}

// x[0] ... x[n - 1] become exp(x * scale - max), max the largest x * scale, and join the total, in which
// x[0] is the first of 16. With Padded a whole vector may be read and written where the last one ends.
template <bool Padded>
inline void exponentials(std::size_t n, float scale, float max, float* x, sums& total) {
  static_assert(group % parts == 0);
  std::size_t j = 0;
  for (; j + group * width <= n; j += group * width) {
    vec e[group];
    for (std::size_t u = 0; u < group; ++u) e[u] = load(x + j + u * width) * scale - max;
    exp_of_small(e);
    for (std::size_t u = 0; u < group; ++u) {
      store(e[u], x + j + u * width);
      total.part[u % parts] += e[u];
    }
  }
  for (std::size_t u = 0; j < n; ++u, j += width) {
    const std::size_t count = n - j < width ? n - j : width;
    vec e[] = {(Padded ? load(x + j) : load_first(x + j, count)) * scale - max};
    exp_of_small(e);
    e[0] = first_lanes(e[0], count);
    Padded ? store(e[0], x + j) : store_first(e[0], x + j, count);
    total.part[u % parts] += e[0];
  }
}

}  // namespace
