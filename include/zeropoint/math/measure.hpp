// What given codes do to the values they stand for: the statistics of a quantization whose codes
// were not chosen by quantize(), but by GPTQ, AWQ, AdaRound or a file.
//
//   error = x - scale * (q - zero_point), with the code as it is and not as rounding would have it
#pragma once

#include <zeropoint/math/elementwise.hpp>
#include <zeropoint/math/quantized_matrix.hpp>

namespace zeropoint::inline ZP_BASELINE {

/// The statistics of x [rows, cols] in the codes q. A value counts as clipped when it lies beyond
/// the grid, whatever its code. For the codes of quantize() the same bits as quantize() gives.
/// Throws `error` when the shapes differ or blocks are taller than one row and do not cover q.
template <class T>
[[nodiscard]] quantization_statistics measure(matrix_view<const float> x,
                                              const quantized_matrix<T>& q) {
  ZP_REQUIRE(x.rows() == q.rows() && x.cols() == q.cols(), "measure: ", x.rows(), " x ", x.cols(),
             " values, codes of ", q.rows(), " x ", q.cols());
  ZP_REQUIRE(q.block().rows == 1 || q.table().count() <= 1, "measure: blocks of ", q.block().rows,
             " x ", q.block().cols, ", expected one block or blocks of 1 row");
  quantization_statistics all;
  for (std::size_t i = 0; i < x.rows(); ++i) {
    for (std::size_t j = 0; j < x.cols(); j += q.block().cols) {
      const std::size_t n = std::min(q.block().cols, x.cols() - j);
      const params p = q.params_at(i, j);
      const quantizer<> grid(p);
      const T* codes = q.values().row(i).data() + j;
      statistics_accumulator run;
      elementwise::for_each_block(x.row(i).data() + j, n, 0.0f,
                                  [&](const float* value, std::size_t k, std::size_t count) {
                                    alignas(64) float steps[statistics_accumulator::block] = {};
                                    for (std::size_t c = 0; c < count; ++c) {
                                      steps[c] = static_cast<float>(codes[k + c] - p.zero_point);
                                    }
                                    run.add(value, steps, codes + k, count, false, grid);
                                  });
      all.merge(run.result());
    }
  }
  return all;
}

}  // namespace zeropoint::inline ZP_BASELINE
