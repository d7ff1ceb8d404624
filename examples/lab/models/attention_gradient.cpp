// One head after the other, R stacked gradients at a time.
#include <lab/models/attention.hpp>
#include <lab/models/attention_gradient.hpp>
#include <lab/models/float_kernels.hpp>
#include <zeropoint/base/aligned_buffer.hpp>

namespace lab {

using zeropoint::aligned_buffer;
using zeropoint::matrix_view;

namespace {

void transpose(std::size_t n, const float* from, float* to) {
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) to[j * n + i] = from[i * n + j];
  }
}

}  // namespace

void attend_back(const model_config& c, std::size_t layer, matrix_view<const float> qkv,
                 matrix_view<const float> mixed, matrix_view<const float> d_mixed,
                 matrix_view<float> d_qkv) {
  const float_kernels& k = best_float_kernels();
  const std::size_t T = qkv.rows(), C = c.width, d = c.head_width, row = 3 * C;
  const float scale = attention_scale(c, layer);
  aligned_buffer<float> p(T * T), p_transposed(T * T), ds(T * T), ds_transposed(T * T);
  for (std::size_t head = 0; head < c.heads; ++head) {
    const float *q = qkv.data() + head * d, *keys = q + C, *values = keys + C;
    k.multiply_nt(T, T, d, q, row, keys, row, nullptr, p.data(), T);
    k.causal_softmax(T, T, 0, scale, p.data(), T);
    transpose(T, p.data(), p_transposed.data());
    for (std::size_t first = 0; first < d_mixed.rows(); first += T) {
      const float* dm = d_mixed.row(first).data() + head * d;
      float* dq = d_qkv.row(first).data() + head * d;
      k.multiply_nn(T, d, T, p_transposed.data(), T, dm, C, dq + 2 * C, row);
      k.multiply_nt(T, T, d, dm, C, values, row, nullptr, ds.data(), T);
      for (std::size_t i = 0; i < T; ++i) {
        const float* m = mixed.row(i).data() + head * d;
        float along = 0;
        for (std::size_t j = 0; j < d; ++j) along += dm[i * C + j] * m[j];
        for (std::size_t j = 0; j < T; ++j) {  // p is 0 beyond i
          ds.data()[i * T + j] = scale * p.data()[i * T + j] * (ds.data()[i * T + j] - along);
        }
      }
      transpose(T, ds.data(), ds_transposed.data());
      k.multiply_nn(T, d, T, ds.data(), T, keys, row, dq, row);
      k.multiply_nn(T, d, T, ds_transposed.data(), T, q, row, dq + C, row);
    }
  }
}

}  // namespace lab
