// One head after the other, and in each a block of queries at a time.
#include <lab/models/attention.hpp>
#include <lab/models/float_kernels.hpp>
#include <zeropoint/nn/attention.hpp>

#include <algorithm>
#include <cmath>

namespace lab {

using zeropoint::matrix_view;

namespace {

/// Columns of one head, [T, d].
struct head_views {
  matrix_view<float> q, k, v, mixed;
};

zeropoint::kv_cache cache_of(const head_views& head) {
  zeropoint::kv_cache cache(head.k.cols());
  cache.append(head.k, head.v);
  return cache;
}

/// A block of queries meets only the keys up to its last query.
void attend_in_float(const head_views& head, float scale, float* scores) {
  const float_kernels& f = best_float_kernels();
  const auto& [q, k, v, mixed] = head;
  const std::size_t T = q.rows(), d = q.cols();
  for (std::size_t i = 0; i < T; i += attention_block) {
    const std::size_t rows = std::min(attention_block, T - i), seen = i + rows;
    f.multiply_nt(rows, seen, d, q.row(i).data(), q.stride(), k.data(), k.stride(), nullptr, scores,
                  seen);
    f.causal_softmax(rows, seen, i, scale, scores, seen);
    f.multiply_nn(rows, d, seen, scores, seen, v.data(), v.stride(), mixed.row(i).data(),
                  mixed.stride());
  }
}

/// All keys are packed once, so every query meets all of them; softmax drops those to come.
void attend_in_int8(const head_views& head, float scale, float* scores) {
  const zeropoint::int8_attention attention(cache_of(head));
  const std::size_t T = head.q.rows();
  for (std::size_t i = 0; i < T; i += attention_block) {
    const std::size_t rows = std::min(attention_block, T - i);
    const matrix_view<float> s(scores, rows, T);
    attention.scores(head.q.rows_from(i, rows), s);
    best_float_kernels().causal_softmax(rows, T, i, scale, scores, T);
    attention.mix(s, head.mixed.rows_from(i, rows));
  }
}

}  // namespace

float attention_scale(const model_config& c, std::size_t layer) {
  float scale = c.scale_attention ? 1.0f / std::sqrt(static_cast<float>(c.head_width())) : 1.0f;
  if (c.scale_by_inverse_layer) scale /= static_cast<float>(layer + 1);
  return scale;
}

void attend(const model_config& c, std::size_t layer, attention_kind kind, matrix_view<float> qkv,
            float* scores, matrix_view<float> mixed) {
  const float scale = attention_scale(c, layer);
  for (std::size_t h = 0; h < c.heads; ++h) {
    const auto columns = [&](matrix_view<float> m, std::size_t first) {
      const std::size_t d = c.head_width();
      return matrix_view<float>(m.data() + first + h * d, m.rows(), d, m.stride());
    };
    const head_views head{columns(qkv, 0), columns(qkv, c.width), columns(qkv, 2 * c.width),
                          columns(mixed, 0)};
    if (kind == attention_kind::int8) {
      attend_in_int8(head, scale, scores);
      continue;
    }
    if (kind == attention_kind::int8_cache) {
      const zeropoint::kv_cache cache = cache_of(head);
      cache.keys.dequantize(head.k);
      cache.values.dequantize(head.v);
    }
    attend_in_float(head, scale, scores);
  }
}

}  // namespace lab
