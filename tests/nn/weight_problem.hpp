// Random layers for the tests of methods that choose weight codes: correlated activations, and the
// squared output error as a plain double sum over samples.
#pragma once

#include <nn/reference.hpp>
#include <zeropoint/nn/gram.hpp>

namespace test {

/// Rows x_k = r * x_{k-1} + noise: neighbouring inputs correlate by r; every eighth is `loud` times
/// as large.
inline matrix correlated_matrix(generator& g, std::size_t rows, std::size_t cols, float r = 0.8f,
                                float loud = 4) {
  matrix x = normal_matrix(g, rows, cols);
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t k = 1; k < cols; ++k) {
      x(i, k) = r * x(i, k - 1) + std::sqrt(1 - r * r) * x(i, k);
    }
    for (std::size_t k = 3; k < cols; k += 8) x(i, k) *= loud;
  }
  return x;
}

inline zp::gram_matrix gram_of(const matrix& x) {
  zp::gram_matrix g(x.cols);
  g.observe(x.view());
  return g;
}

/// sum over rows and outputs of (x . (w - v))^2.
inline double output_error(const matrix& x, const matrix& w, const std::vector<double>& v) {
  double sum = 0;
  for (std::size_t i = 0; i < x.rows; ++i) {
    for (std::size_t j = 0; j < w.rows; ++j) {
      double y = 0;
      for (std::size_t k = 0; k < w.cols; ++k) {
        y += static_cast<double>(x(i, k)) * (static_cast<double>(w(j, k)) - v[j * w.cols + k]);
      }
      sum += y * y;
    }
  }
  return sum;
}
inline std::vector<double> values_of(const zp::quantized_matrix<std::int8_t>& q) {
  std::vector<double> v;
  for (std::size_t j = 0; j < q.rows(); ++j) {
    for (std::size_t k = 0; k < q.cols(); ++k) {
      v.push_back(static_cast<double>(zp::dequantize(q.values()(j, k), q.params_at(j, k))));
    }
  }
  return v;
}

/// The smallest output error of one output [1, in] over all codes of the grids in `grid`.
inline double best_error(const matrix& x, const matrix& w,
                         const zp::quantized_matrix<std::int8_t>& grid) {
  auto q = grid;
  const int low = q.scheme().qmin(), high = q.scheme().qmax();
  for (std::size_t k = 0; k < q.cols(); ++k) q.values()(0, k) = static_cast<std::int8_t>(low);
  double best = std::numeric_limits<double>::infinity();
  for (;;) {
    best = std::min(best, output_error(x, w, values_of(q)));
    std::size_t k = 0;
    while (k < q.cols() && q.values()(0, k) == high) {
      q.values()(0, k++) = static_cast<std::int8_t>(low);
    }
    if (k == q.cols()) return best;
    ++q.values()(0, k);
  }
}

inline bool same_codes(const zp::quantized_matrix<std::int8_t>& a,
                       const zp::quantized_matrix<std::int8_t>& b) {
  return a.table() == b.table() &&
         std::equal(a.values().data(), a.values().data() + a.values().size(), b.values().data());
}

}  // namespace test
