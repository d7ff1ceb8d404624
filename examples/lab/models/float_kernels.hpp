// The float side of a transformer as a table of functions: matrix products, norm, softmax, GELU,
// and the per-row numbers behind loss and KL. The same source (float_kernels_variant.cpp) is
// compiled once per instruction set; the table is chosen at run time, like the integer kernels.
//
// Every reduction has a fixed order. An element of a product is a chain of sums over blocks of 256 k
// (float_products_vectors.hpp), whatever the size of the product, the strides, and the other rows and
// columns: a product may be cut into blocks of rows and columns as one likes. All other sums are 16
// partial sums, folded as a tree. All functions give the same bits in every variant; the
// products of one without fused multiply-add (baseline on x86) compute it in double, which is slow.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace lab {

/// Terms of a sum of products before it joins the others.
inline constexpr std::size_t float_sum_depth = 256;

/// What a row of logits contributes to loss and KL; log-sum-exp = max + log(sum).
struct row_numbers {
  float max = 0;
  double sum = 0;        ///< sum of exp(logit - max)
  double shift = 0;      ///< sum of p * (reference logit - logit); 0 for the reference itself
  std::size_t best = 0;  ///< index of the first largest logit
};

/// All matrices are row-major with a stride ("ld") in elements.
struct float_kernels {
  const char* name;
  /// c[m,n] = a[m,k] * b[n,k]^T + bias[n]; bias may be null.
  void (*multiply_nt)(std::size_t m, std::size_t n, std::size_t k, const float* a, std::size_t lda,
                      const float* b, std::size_t ldb, const float* bias, float* c,
                      std::size_t ldc);
  /// c[m,n] = a[m,k] * b[k,n]
  void (*multiply_nn)(std::size_t m, std::size_t n, std::size_t k, const float* a, std::size_t lda,
                      const float* b, std::size_t ldb, float* c, std::size_t ldc);
  /// What one b for many a is packed into: panels of packed_size(n, k) floats, from b[n,k]^T or
  /// b[k,n].
  std::size_t (*packed_size)(std::size_t n, std::size_t k);
  void (*pack_nt)(std::size_t n, std::size_t k, const float* b, std::size_t ldb, float* panels);
  void (*pack_nn)(std::size_t n, std::size_t k, const float* b, std::size_t ldb, float* panels);
  /// Row i of mixed [rows, d] = softmax(q k^T * scale) v over the first tokens - rows + i + 1 keys and
  /// values, with the bits of the products above and causal_softmax() for this row alone as long as
  /// values are finite (rows go by tiles: 0 times a later value joins a sum, and may turn -0 to 0).
  /// Keys are pack_nt(tokens, d, ...), values pack_nn(d, tokens, ...); scratch has
  /// attention_scratch(tokens) floats and starts with a cache line.
  void (*causal_attention)(std::size_t rows, std::size_t d, std::size_t tokens, float scale,
                           const float* q, std::size_t ldq, const float* keys, const float* values,
                           float* scratch, float* mixed, std::size_t ldm);
  std::size_t (*attention_scratch)(std::size_t tokens);
  /// y = (x - mean) / sqrt(variance + epsilon) * gain + bias, per row of [rows, cols]; gain and
  /// bias may be null. x may be y.
  void (*layer_norm)(std::size_t rows, std::size_t cols, const float* x, std::size_t ldx,
                     const float* gain, const float* bias, float epsilon, float* y,
                     std::size_t ldy);
  /// y = x / sqrt(mean(x^2) + epsilon) * gain, per row of [rows, cols]. x may be y.
  void (*rms_norm)(std::size_t rows, std::size_t cols, const float* x, std::size_t ldx,
                   const float* gain, float epsilon, float* y, std::size_t ldy);
  /// Row i of s [rows, cols] becomes the softmax of its first min(first + i + 1, cols) elements
  /// times `scale` > 0; the others become 0.
  void (*causal_softmax)(std::size_t rows, std::size_t cols, std::size_t first, float scale,
                         float* s, std::size_t lds);
  /// x * sigmoid(2 u), u = sqrt(2 / pi) * (x + 0.044715 x^3): the tanh form of GELU, in place.
  void (*gelu_tanh)(std::size_t size, float* x);
  /// x = max(x, 0), NaN stays NaN.
  void (*relu)(std::size_t size, float* x);
  /// x / (1 + exp(-x)), in place; 0 below -88, NaN stays NaN.
  void (*silu)(std::size_t size, float* x);
  /// x += y
  void (*add)(std::size_t size, const float* y, float* x);
  /// x *= y
  void (*scale_by)(std::size_t size, const float* y, float* x);
  /// Softmax p[v] of a row of logits, and its numbers.
  row_numbers (*reference_row)(std::size_t v, const float* logits, float* p);
  /// The numbers of another row against the reference's logits and p.
  row_numbers (*compared_row)(std::size_t v, const float* reference, const float* p,
                              const float* logits);
};

/// The fastest variant this processor runs. ZP_LAB_FLOAT=<name> names another (baseline, avx2,
/// avx512); one that is unknown or cannot run here is an error.
const float_kernels& best_float_kernels();
/// Every variant this processor runs, best first.
std::vector<const float_kernels*> runnable_float_kernels();

}  // namespace lab
