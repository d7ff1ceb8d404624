// One group of heads after the other, and in each head a block of queries at a time.
#include <lab/models/attention.hpp>
#include <lab/models/float_kernels.hpp>
#include <zeropoint/nn/attention.hpp>

#include <algorithm>
#include <cmath>
#include <optional>

namespace lab {

using zeropoint::matrix_view;

namespace {

/// A block of queries meets only the keys up to its last query.
void attend_in_float(matrix_view<const float> q, const seen_tokens& all, float scale, float* scores,
                     matrix_view<float> mixed) {
  const float_kernels& f = best_float_kernels();
  const auto &k = all.keys, &v = all.values;
  const std::size_t T = q.rows(), d = q.cols(), past = k.rows() - T;
  for (std::size_t i = 0; i < T; i += attention_block) {
    const std::size_t rows = std::min(attention_block, T - i), seen = past + i + rows;
    f.multiply_nt(rows, seen, d, q.row(i).data(), q.stride(), k.data(), k.stride(), nullptr, scores,
                  seen);
    f.causal_softmax(rows, seen, past + i, scale, scores, seen);
    f.multiply_nn(rows, d, seen, scores, seen, v.data(), v.stride(), mixed.row(i).data(),
                  mixed.stride());
  }
}

/// All keys are packed once, so every query meets all of them; softmax drops those to come.
void attend_in_int8(matrix_view<const float> q, const zeropoint::int8_attention& attention,
                    float scale, float* scores, matrix_view<float> mixed) {
  const std::size_t T = q.rows(), S = attention.tokens();
  for (std::size_t i = 0; i < T; i += attention_block) {
    const std::size_t rows = std::min(attention_block, T - i);
    const matrix_view<float> s(scores, rows, S);
    attention.scores(q.rows_from(i, rows), s);
    best_float_kernels().causal_softmax(rows, S, S - T + i, scale, scores, S);
    attention.mix(s, mixed.rows_from(i, rows));
  }
}

/// Columns first ... first + d - 1.
matrix_view<float> columns(matrix_view<float> m, std::size_t first, std::size_t d) {
  return {m.data() + first, m.rows(), d, m.stride()};
}

}  // namespace

float attention_scale(const model_config& c, std::size_t layer) {
  float scale = c.scale_attention ? 1.0f / std::sqrt(static_cast<float>(c.head_width)) : 1.0f;
  if (c.scale_by_inverse_layer) scale /= static_cast<float>(layer + 1);
  return scale;
}

void attend_group(const model_config& c, std::size_t layer, std::size_t g, matrix_view<float> q,
                  const seen_tokens& seen, float* scores, matrix_view<float> mixed) {
  const float scale = attention_scale(c, layer);
  const std::size_t d = c.head_width, width = c.heads / c.kv_heads * d;
  for (std::size_t first = g * width; first < (g + 1) * width; first += d) {
    if (seen.integers != nullptr) {
      attend_in_int8(columns(q, first, d), *seen.integers, scale, scores, columns(mixed, first, d));
    } else {
      attend_in_float(columns(q, first, d), seen, scale, scores, columns(mixed, first, d));
    }
  }
}

void attend(const model_config& c, std::size_t layer, attention_kind kind, matrix_view<float> qkv,
            float* scores, matrix_view<float> mixed) {
  const std::size_t d = c.head_width, q_width = c.q_width(), kv_width = c.kv_width();
  for (std::size_t g = 0; g < c.kv_heads; ++g) {
    const auto k = columns(qkv, q_width + g * d, d),
               v = columns(qkv, q_width + kv_width + g * d, d);
    seen_tokens seen{k, v, nullptr};
    std::optional<zeropoint::int8_attention> integers;
    if (kind != attention_kind::floats) {
      zeropoint::kv_cache cache(d);
      cache.append(k, v);
      cache.keys.dequantize(k);
      cache.values.dequantize(v);
      if (kind == attention_kind::int8) seen.integers = &integers.emplace(cache);
    }
    attend_group(c, layer, g, columns(qkv, 0, q_width), seen, scores, mixed);
  }
}

}  // namespace lab
