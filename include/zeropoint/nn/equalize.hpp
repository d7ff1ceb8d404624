// Cross-layer equalization (arXiv 1906.04721): gives a hidden channel the same range in the weights
// that make it and in the weights that read it, so that one scale per tensor fits them all.
//
//   y = W2 relu(W1 x + b1) = (W2 diag(s)) relu(diag(1/s) (W1 x + b1)),   s_i = sqrt(r1_i r2_i) / r2_i
//
// r1_i is the largest |w| of row i of W1, r2_i that of column i of W2; both become sqrt(r1_i r2_i).
// Exact where relu(a s) = s relu(a) for s > 0: ReLU and no activation at all (OPT's fc1 and fc2, an
// attention's v_proj and out_proj), but not GELU or SiLU.
#pragma once

#include <zeropoint/nn/smooth.hpp>

namespace zeropoint::inline ZP_BASELINE {

/// Scales w1 [hidden, in], b1 [hidden] or empty, and w2 [out, hidden] in place; returns s, which is
/// SmoothQuant's factor for alpha 1/2 and ranges of weights on both sides: 1 for dead channels (a row
/// or column of zeros), cut to bounds. Of GPT-2's [in, out] weights, pass transposed copies. Throws
/// `error` when the shapes do not match.
inline smoothing equalize(matrix_view<float> w1, std::span<float> b1, matrix_view<float> w2) {
  ZP_REQUIRE(w1.rows() == w2.cols() && (b1.empty() || b1.size() == w1.rows()),
             "equalize: ", w1.rows(), " outputs with ", b1.size(), " bias values before ",
             w2.cols(), " inputs");
  std::vector<float> made(w1.rows());
  for (std::size_t i = 0; i < w1.rows(); ++i) made[i] = elementwise::absmax(w1.row(i));
  smoothing s = smoothing_factors(made, input_absmax(linear_weight{w2}));
  divide_channels(w1, axis::rows, s.factors);
  divide_channels(b1, s.factors);
  multiply_channels(w2, axis::columns, s.factors);
  return s;
}

}  // namespace zeropoint::inline ZP_BASELINE
