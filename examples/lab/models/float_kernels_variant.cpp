// The float kernels, compiled once per instruction set with ZP_LAB_VARIANT=baseline|avx2|avx512
// (see examples/CMakeLists.txt). Because the flags differ, nothing here may be shared with other
// object files: everything has internal linkage, and no other header with inline functions is
// included but the compiler's own intrinsics. -ffp-contract=off keeps the element-wise functions
// identical in all variants; the products ask for FMA explicitly.
#define ZP_LAB_JOIN_(a, b) a##b
#define ZP_LAB_JOIN(a, b) ZP_LAB_JOIN_(a, b)

#include "lab/models/float_attention_vectors.hpp"
#include "lab/models/float_kernels.hpp"
#include "lab/models/float_kernels_vectors.hpp"

namespace {

using lab::row_numbers;

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

// Of Rows rows at a time: a row's sums are chains, which wait for every addition; those of others do not.
template <std::size_t Rows>
inline void layer_norm_rows(std::size_t cols, const float* x, std::size_t ldx, const float* gain,
                            const float* bias, float epsilon, float* y, std::size_t ldy) {
  const float n = static_cast<float>(cols);
  float mean[Rows], inverse[Rows];
  sums_of<Rows>(cols, mean, [=](std::size_t i, std::size_t j, std::size_t count) {
    return load_first(x + i * ldx + j, count);
  });
  for (float& m : mean) m /= n;
  sums_of<Rows>(cols, inverse, [&](std::size_t i, std::size_t j, std::size_t count) {
    const vec v = load_first(x + i * ldx + j, count) - mean[i];
    store_first(v, y + i * ldy + j, count);
    return first_lanes(v * v, count);
  });
  for (float& v : inverse) v = 1.0f / __builtin_sqrtf(v / n + epsilon);
  for (std::size_t j = 0; j < cols; j += width) {
    const std::size_t count = smaller(width, cols - j);
    const vec g = gain == nullptr ? filled(1) : load_first(gain + j, count);
    for (std::size_t i = 0; i < Rows; ++i) {
      float* const out = y + i * ldy + j;
      vec v = load_first(out, count) * inverse[i] * g;
      if (bias != nullptr) v += load_first(bias + j, count);
      store_first(v, out, count);
    }
  }
}

void layer_norm(std::size_t rows, std::size_t cols, const float* x, std::size_t ldx,
                const float* gain, const float* bias, float epsilon, float* y, std::size_t ldy) {
  std::size_t i = 0;
  for (; i + 4 <= rows; i += 4) {
    layer_norm_rows<4>(cols, x + i * ldx, ldx, gain, bias, epsilon, y + i * ldy, ldy);
  }
  for (; i < rows; ++i) {
    layer_norm_rows<1>(cols, x + i * ldx, ldx, gain, bias, epsilon, y + i * ldy, ldy);
  }
}

void rms_norm(std::size_t rows, std::size_t cols, const float* x, std::size_t ldx,
              const float* gain, float epsilon, float* y, std::size_t ldy) {
  for (std::size_t i = 0; i < rows; ++i) {
    const float* in = x + i * ldx;
    float* out = y + i * ldy;
    const float square = sum_of_squares(cols, in) / static_cast<float>(cols);
    const float inverse = 1.0f / __builtin_sqrtf(square + epsilon);
    for (std::size_t j = 0; j < cols; ++j) out[j] = in[j] * inverse * gain[j];
  }
}

void causal_softmax(std::size_t rows, std::size_t cols, std::size_t first, float scale, float* s,
                    std::size_t lds) {
  for (std::size_t i = 0; i < rows; ++i) {
    float* row = s + i * lds;
    const std::size_t n = first + i + 1 < cols ? first + i + 1 : cols;
    const float max = largest(n, row) * scale;  // the largest product: rounding keeps the order
    sums total;
    exponentials<false>(n, scale, max, row, total);
    const float inverse = 1.0f / total.fold();
    transform(n, row, [inverse](vec v) { return v * inverse; });
    for (std::size_t j = n; j < cols; ++j) row[j] = 0;
  }
}

void gelu_tanh(std::size_t size, float* x) {
  transform_groups(size, x, []<std::size_t N>(vec(&v)[N]) {
    vec e[N];
    for (std::size_t i = 0; i < N; ++i) {
      e[i] = -2.0f * (0.7978845608028654f * (v[i] + 0.044715f * (v[i] * v[i] * v[i])));
    }
    exp_of(e);
    for (std::size_t i = 0; i < N; ++i) v[i] = v[i] / (1.0f + e[i]);
  });
}

void relu(std::size_t size, float* x) {
  transform(size, x, [](vec v) { return v < vec{} ? vec{} : v; });
}

void silu(std::size_t size, float* x) {
  transform_groups(size, x, []<std::size_t N>(vec(&v)[N]) {
    vec e[N];
    for (std::size_t i = 0; i < N; ++i) e[i] = -v[i];
    exp_of(e);
    for (std::size_t i = 0; i < N;
         ++i) {  // exp_of ends at 2e38; what is left below -88 is under 1e-36
      v[i] = v[i] < filled(-88.0f) ? vec{} : v[i] / (1.0f + e[i]);
    }
  });
}

void add(std::size_t size, const float* y, float* x) {
  for (std::size_t i = 0; i < size; ++i) x[i] += y[i];
}

void scale_by(std::size_t size, const float* y, float* x) {
  for (std::size_t i = 0; i < size; ++i) x[i] *= y[i];
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
                                    &packed_size,
                                    &pack_all_nt,
                                    &pack_all_nn,
                                    &causal_attention,
                                    &attention_scratch,
                                    &layer_norm,
                                    &rms_norm,
                                    &causal_softmax,
                                    &gelu_tanh,
                                    &relu,
                                    &silu,
                                    &add,
                                    &scale_by,
                                    &reference_row,
                                    &compared_row};

}  // namespace lab
