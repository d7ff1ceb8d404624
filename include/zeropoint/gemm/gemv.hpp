// One row: the product of decoding one token, limited by how fast the weights arrive. It is gemm
// with m = 1 (kernels have a one-row tile with four chains of sums); these are its names for
// vectors.
#pragma once

#include <zeropoint/gemm/gemm.hpp>

namespace zeropoint::inline ZP_BASELINE {

/// c [n] = w * a [k], exact.
template <code8 A, executor Executor = serial>
void gemv(std::span<A> a, const packed_weights& w, std::span<std::int32_t> c,
          const Executor& ex = {}) {
  gemm(matrix_view<const A>(a.data(), 1, a.size()), w,
       matrix_view<std::int32_t>(c.data(), 1, c.size()), ex);
}

/// y [n] = the same to real numbers; d.row_scales holds one scale.
template <code8 A, executor Executor = serial>
void gemv(std::span<A> a, const packed_weights& w, const dequantization& d, std::span<float> y,
          const Executor& ex = {}) {
  gemm(matrix_view<const A>(a.data(), 1, a.size()), w, d, matrix_view<float>(y.data(), 1, y.size()),
       ex);
}

}  // namespace zeropoint::inline ZP_BASELINE
