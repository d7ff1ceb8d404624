// Matrix products of 8-bit codes, exact in 32 bits:
//
//   gemm(a, w, c)          c [m, n] int32 = sum over k of a(i, k) * w(j, k)
//   gemm(a, w, zeros, c)   the same of a - za and w - zw
//   gemm(a, w, d, y)       y [m, n] float = f(fma(float(c), row_scale * column_scale, bias))
//   gemm(a, w, d, p, q)    q [m, n] int8 or uint8 = quantize(y, p), for a layer that follows
//
// f is the identity, ReLU, GELU or SiLU. a is [m, k] of int8 or uint8, w packed once (pack.hpp). The
// same bits from every kernel, executor and number of threads. m, n and k may be 0; k = 0 leaves
// zeros, or the bias.
#pragma once

#include <zeropoint/gemm/product.hpp>

namespace zeropoint::inline ZP_BASELINE {

/// c(i, j) = sum over k of (a(i, k) - za) * (w(j, k) - zw), exact. Throws `error` for shapes that do
/// not match, an output that overlaps `a`, k beyond max_depth, and activations outside the range that
/// the weights were packed for; nothing is written then.
template <code8 A, executor Executor = serial>
void gemm(matrix_view<A> a, const packed_weights& w, const zero_points& zeros,
          matrix_view<std::int32_t> c, const Executor& ex = {}) {
  const dequantization d{.row_zero_points = zeros.rows, .column_zero_points = zeros.columns};
  detail::multiply(matrix_view<const std::remove_const_t<A>>(a), w, d, c, ex);
}

/// c(i, j) = sum over k of a(i, k) * w(j, k), exact.
template <code8 A, executor Executor = serial>
void gemm(matrix_view<A> a, const packed_weights& w, matrix_view<std::int32_t> c,
          const Executor& ex = {}) {
  gemm(a, w, zero_points{}, c, ex);
}

/// The same, to real numbers: see dequantization. Spans of `d` must not overlap y.
template <code8 A, executor Executor = serial>
void gemm(matrix_view<A> a, const packed_weights& w, const dequantization& d, matrix_view<float> y,
          const Executor& ex = {}) {
  detail::multiply(matrix_view<const std::remove_const_t<A>>(a), w, d, y, ex);
}

/// The same, to codes with the params that a following layer was calibrated for: the bits of gemm() to
/// floats and quantize_into(y, out, codes), without the floats in memory. Returns what was clipped,
/// NaN or infinite. Throws `error` also where out has codes that Q cannot hold. Spans of `d` must not
/// overlap the codes.
template <code8 A, code8 Q, executor Executor = serial>
range_counts gemm(matrix_view<A> a, const packed_weights& w, const dequantization& d,
                  const params& out, matrix_view<Q> codes, const Executor& ex = {}) {
  const detail::code_writer writer(detail::row_quantizer<Q>(0, 0, out, rounding<>{}));
  detail::multiply(matrix_view<const std::remove_const_t<A>>(a), w, d, codes, ex, &writer);
  return writer.counts(codes.size());
}

}  // namespace zeropoint::inline ZP_BASELINE
