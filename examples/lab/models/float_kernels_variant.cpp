// The float kernels, compiled once per instruction set with ZP_LAB_VARIANT=baseline|avx2|avx512
// (see examples/CMakeLists.txt). Because the flags differ, nothing here may be shared with other
// object files: Eigen is renamed, everything else has internal linkage, and no other header with
// inline functions is included. -ffp-contract=off keeps the element-wise functions identical in all
// variants (Eigen's products ask for FMA explicitly).
#define ZP_LAB_JOIN_(a, b) a##b
#define ZP_LAB_JOIN(a, b) ZP_LAB_JOIN_(a, b)
#define Eigen ZP_LAB_JOIN(lab_eigen_, ZP_LAB_VARIANT)
#define EIGEN_DONT_PARALLELIZE
#define EIGEN_NO_DEBUG
#include <Eigen/Core>

#include "lab/models/float_kernels.hpp"

namespace {

using lab::row_numbers;

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
  return vec{} + x;
}
// The last n < width elements of a row, padded.
inline vec load_tail(const float* p, std::size_t n, float padding) {
  vec v = filled(padding);
  __builtin_memcpy(&v, p, n * sizeof(float));
  return v;
}
inline void store_tail(vec v, float* p, std::size_t n) {
  __builtin_memcpy(p, &v, n * sizeof(float));
}

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

inline float largest(std::size_t n, const float* x) {
  vec m[parts];
  for (vec& v : m) v = filled(x[0]);
  std::size_t j = 0;
  for (; j + lanes <= n; j += lanes) {
    for (std::size_t u = 0; u < parts; ++u) {
      const vec v = load(x + j + u * width);
      m[u] = v > m[u] ? v : m[u];
    }
  }
  float s[lanes], best = x[0];
  __builtin_memcpy(s, m, sizeof s);
  for (const float l : s) best = l > best ? l : best;
  for (; j < n; ++j) best = x[j] > best ? x[j] : best;
  return best;
}

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

using matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using strided = Eigen::OuterStride<>;
using input = Eigen::Map<const matrix, Eigen::Unaligned, strided>;
using output = Eigen::Map<matrix, Eigen::Unaligned, strided>;

inline Eigen::Index index(std::size_t i) {
  return static_cast<Eigen::Index>(i);
}

void multiply_nt(std::size_t m, std::size_t n, std::size_t k, const float* a, std::size_t lda,
                 const float* b, std::size_t ldb, const float* bias, float* c, std::size_t ldc) {
  const input am(a, index(m), index(k), strided(index(lda)));
  const input bm(b, index(n), index(k), strided(index(ldb)));
  output cm(c, index(m), index(n), strided(index(ldc)));
  cm.noalias() = am * bm.transpose();
  if (bias == nullptr) return;
  for (std::size_t i = 0; i < m; ++i) {
    float* row = c + i * ldc;
    for (std::size_t j = 0; j < n; ++j) row[j] += bias[j];
  }
}

void multiply_nn(std::size_t m, std::size_t n, std::size_t k, const float* a, std::size_t lda,
                 const float* b, std::size_t ldb, float* c, std::size_t ldc) {
  const input am(a, index(m), index(k), strided(index(lda)));
  const input bm(b, index(k), index(n), strided(index(ldb)));
  output cm(c, index(m), index(n), strided(index(ldc)));
  cm.noalias() = am * bm;
}

float sum(std::size_t n, const float* x) {
  return sum_of(
      n, [x](std::size_t j) { return load(x + j); },
      [x](std::size_t j, std::size_t k) { return load_tail(x + j, k, 0); });
}

float sum_of_squares(std::size_t n, const float* x) {
  return sum_of(
      n, [x](std::size_t j) { return load(x + j) * load(x + j); },
      [x](std::size_t j, std::size_t k) {
        const vec v = load_tail(x + j, k, 0);
        return v * v;
      });
}

void layer_norm(std::size_t rows, std::size_t cols, const float* x, std::size_t ldx,
                const float* gain, const float* bias, float epsilon, float* y, std::size_t ldy) {
  const float n = static_cast<float>(cols);
  for (std::size_t i = 0; i < rows; ++i) {
    const float* in = x + i * ldx;
    float* out = y + i * ldy;
    const float mean = sum(cols, in) / n;
    for (std::size_t j = 0; j < cols; ++j) out[j] = in[j] - mean;
    const float inverse = 1.0f / __builtin_sqrtf(sum_of_squares(cols, out) / n + epsilon);
    for (std::size_t j = 0; j < cols; ++j) out[j] *= inverse;
    if (gain != nullptr) {
      for (std::size_t j = 0; j < cols; ++j) out[j] *= gain[j];
    }
    if (bias != nullptr) {
      for (std::size_t j = 0; j < cols; ++j) out[j] += bias[j];
    }
  }
}

void causal_softmax(std::size_t rows, std::size_t cols, std::size_t first, float scale, float* s,
                    std::size_t lds) {
  for (std::size_t i = 0; i < rows; ++i) {
    float* row = s + i * lds;
    const std::size_t n = first + i + 1 < cols ? first + i + 1 : cols;
    transform(n, row, [scale](vec v) { return v * scale; });
    const float max = largest(n, row);
    transform(n, row, [max](vec v) { return exp_of(v - max); });
    const float inverse = 1.0f / sum(n, row);
    transform(n, row, [inverse](vec v) { return v * inverse; });
    for (std::size_t j = n; j < cols; ++j) row[j] = 0;
  }
}

void gelu_tanh(std::size_t size, float* x) {
  transform(size, x, [](vec v) {
    const vec u = 0.7978845608028654f * (v + 0.044715f * (v * v * v));
    return v / (1.0f + exp_of(-2.0f * u));
  });
}

void relu(std::size_t size, float* x) {
  transform(size, x, [](vec v) { return v < vec{} ? vec{} : v; });
}

void add(std::size_t size, const float* y, float* x) {
  for (std::size_t i = 0; i < size; ++i) x[i] += y[i];
}

std::size_t first_equal(std::size_t v, const float* x, float value) {
  for (std::size_t begin = 0; begin < v; begin += lanes) {
    const std::size_t end = begin + lanes < v ? begin + lanes : v;
    bool any = false;
    for (std::size_t j = begin; j < end; ++j) any |= x[j] == value;
    for (std::size_t j = begin; any && j < end; ++j) {
      if (x[j] == value) return j;
    }
  }
  return v;  // only when the row starts with a NaN
}

// Partial sums are emptied into a double every 1024 elements, so that a vocabulary of 50,000 costs
// no precision.
constexpr std::size_t chunk = 1024;

row_numbers reference_row(std::size_t v, const float* logits, float* p) {
  row_numbers r;
  r.max = largest(v, logits);
  r.best = first_equal(v, logits, r.max);
  const float max = r.max;
  for (std::size_t j = 0; j < v; ++j) p[j] = logits[j];
  transform(v, p, [max](vec x) { return exp_of(x - max); });
  for (std::size_t begin = 0; begin < v; begin += chunk) {
    r.sum += static_cast<double>(sum(begin + chunk < v ? chunk : v - begin, p + begin));
  }
  const float inverse = static_cast<float>(1.0 / r.sum);
  transform(v, p, [inverse](vec x) { return x * inverse; });
  return r;
}

row_numbers compared_row(std::size_t v, const float* reference, const float* p,
                         const float* logits) {
  row_numbers r;
  r.max = largest(v, logits);
  r.best = first_equal(v, logits, r.max);
  const float max = r.max;
  for (std::size_t begin = 0; begin < v; begin += chunk) {
    const std::size_t n = begin + chunk < v ? chunk : v - begin;
    const float *l = logits + begin, *q = p + begin, *ref = reference + begin;
    // A padding of -inf would add exp(-87.3) = 1.2e-38: nothing beside the 1 of the largest logit.
    r.sum += static_cast<double>(sum_of(
        n, [=](std::size_t j) { return exp_of(load(l + j) - max); },
        [=](std::size_t j, std::size_t k) {
          return exp_of(load_tail(l + j, k, -__builtin_inff()) - max);
        }));
    r.shift += static_cast<double>(sum_of(
        n, [=](std::size_t j) { return load(q + j) * (load(ref + j) - load(l + j)); },
        [=](std::size_t j, std::size_t k) {
          return load_tail(q + j, k, 0) * (load_tail(ref + j, k, 0) - load_tail(l + j, k, 0));
        }));
  }
  return r;
}

}  // namespace

namespace lab {

#define ZP_LAB_TABLE ZP_LAB_JOIN(float_kernels_, ZP_LAB_VARIANT)
extern const float_kernels ZP_LAB_TABLE;
#define ZP_LAB_TEXT_(x) #x
#define ZP_LAB_TEXT(x) ZP_LAB_TEXT_(x)
const float_kernels ZP_LAB_TABLE = {ZP_LAB_TEXT(ZP_LAB_VARIANT),
                                    &multiply_nt,
                                    &multiply_nn,
                                    &layer_norm,
                                    &causal_softmax,
                                    &gelu_tanh,
                                    &relu,
                                    &add,
                                    &reference_row,
                                    &compared_row};

}  // namespace lab
