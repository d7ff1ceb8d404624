// One group of heads after the other, and in each head a few queries at a time.
#include <lab/models/attention.hpp>
#include <lab/models/float_kernels.hpp>
#include <zeropoint/nn/attention.hpp>

#include <algorithm>
#include <cmath>
#include <optional>

namespace lab {

using zeropoint::matrix_view;

namespace {

/// Rounded to whole cache lines, so that what follows starts with one.
std::size_t whole_lines(std::size_t floats) {
  return (floats + 15) / 16 * 16;
}

/// Keys and values of a group, packed for all its queries; a single one multiplies them where they are.
class packed_tokens {
 public:
  /// Takes the first size() floats of scratch.
  packed_tokens(const seen_tokens& seen, std::size_t queries, float* scratch)
      : seen_(&seen), keys_(scratch), values_(scratch + keys_size(rows(), cols())) {
    if (queries == 1) return;
    const float_kernels& f = best_float_kernels();
    f.pack_nt(rows(), cols(), seen.keys.data(), seen.keys.stride(), keys_);
    f.pack_nn(cols(), rows(), seen.values.data(), seen.values.stride(), values_);
  }
  static std::size_t size(std::size_t queries, std::size_t seen, std::size_t d) {
    if (queries == 1) return 0;
    return keys_size(seen, d) + whole_lines(best_float_kernels().packed_size(d, seen));
  }
  /// Behind size().
  static std::size_t scores_size(std::size_t queries, std::size_t seen) {
    return queries == 1 ? seen : best_float_kernels().attention_scratch(seen);
  }
  [[nodiscard]] std::size_t rows() const { return seen_->keys.rows(); }
  [[nodiscard]] std::size_t cols() const { return seen_->keys.cols(); }

  void attend(matrix_view<const float> q, float scale, float* scores,
              matrix_view<float> mixed) const {
    const float_kernels& f = best_float_kernels();
    if (q.rows() > 1) {
      return f.causal_attention(q.rows(), cols(), rows(), scale, q.data(), q.stride(), keys_,
                                values_, scores, mixed.data(), mixed.stride());
    }
    const auto &k = seen_->keys, &v = seen_->values;
    f.multiply_nt(1, rows(), cols(), q.data(), q.stride(), k.data(), k.stride(), nullptr, scores,
                  rows());
    f.causal_softmax(1, rows(), rows() - 1, scale, scores, rows());
    f.multiply_nn(1, cols(), rows(), scores, rows(), v.data(), v.stride(), mixed.data(),
                  mixed.stride());
  }

 private:
  static std::size_t keys_size(std::size_t seen, std::size_t d) {
    return whole_lines(best_float_kernels().packed_size(seen, d));
  }
  const seen_tokens* seen_;
  float *keys_, *values_;
};

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

/// f(first token, tokens) for as many at a time as a sum of products takes.
template <class F>
void over_blocks(std::size_t seen, F f) {
  for (std::size_t first = 0; first < seen; first += float_sum_depth) {
    f(first, std::min(float_sum_depth, seen - first));
  }
}

/// The queries of some heads, one of each, over keys and values that are widened a block at a time.
/// scratch: a block [float_sum_depth, d], scores [heads, S], part of a mixture [d].
void attend_in_blocks(const float* q, std::size_t heads, const zeropoint::kv_cache& cache,
                      float scale, float* scratch, float* mixed) {
  const float_kernels& f = best_float_kernels();
  const std::size_t S = cache.tokens(), d = cache.keys.width();
  float* const block = scratch;
  float* const scores = block + float_sum_depth * d;
  float* const part = scores + heads * S;
  over_blocks(S, [&](std::size_t first, std::size_t count) {
    cache.keys.dequantize_from(first, {block, count, d});
    for (std::size_t h = 0; h < heads; ++h) {
      f.multiply_nt(1, count, d, q + h * d, d, block, d, nullptr, scores + h * S + first, count);
    }
  });
  for (std::size_t h = 0; h < heads; ++h) {
    f.causal_softmax(1, S, S - 1, scale, scores + h * S, S);
  }
  over_blocks(S, [&](std::size_t first, std::size_t count) {
    cache.values.dequantize_from(first, {block, count, d});
    for (std::size_t h = 0; h < heads; ++h) {
      float* const to = mixed + h * d;
      f.multiply_nn(1, d, count, scores + h * S + first, count, block, d, first == 0 ? to : part,
                    d);
      if (first > 0) f.add(d, part, to);
    }
  });
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

std::size_t attention_scratch(std::size_t queries, std::size_t seen, std::size_t head_width) {
  return std::max(
      packed_tokens::size(queries, seen, head_width) + packed_tokens::scores_size(queries, seen),
      std::min(queries, attention_block) * seen);
}

void attend_group(const model_config& c, std::size_t layer, std::size_t g, matrix_view<float> q,
                  const seen_tokens& seen, float* scratch, matrix_view<float> mixed) {
  const float scale = attention_scale(c, layer);
  const std::size_t d = c.head_width, width = c.heads / c.kv_heads * d;
  const auto over_heads = [&](auto&& attend_head) {
    for (std::size_t first = g * width; first < (g + 1) * width; first += d) {
      attend_head(columns(q, first, d), columns(mixed, first, d));
    }
  };
  if (seen.integers != nullptr) {
    return over_heads([&](matrix_view<const float> head, matrix_view<float> to) {
      attend_in_int8(head, *seen.integers, scale, scratch, to);
    });
  }
  const packed_tokens all(seen, q.rows(), scratch);
  float* const scores = scratch + packed_tokens::size(q.rows(), seen.keys.rows(), d);
  over_heads([&](matrix_view<const float> head, matrix_view<float> to) {
    all.attend(head, scale, scores, to);
  });
}

std::size_t attention_scratch(const model_config& c, std::size_t seen) {
  return float_sum_depth * c.head_width + c.heads / c.kv_heads * seen + c.head_width;
}

void attend_group(const model_config& c, std::size_t layer, std::size_t g, attention_kind kind,
                  matrix_view<float> q, const zeropoint::kv_cache& seen, float* scratch,
                  matrix_view<float> mixed) {
  const std::size_t d = c.head_width, heads = c.heads / c.kv_heads, S = seen.tokens();
  const float scale = attention_scale(c, layer);
  const float* const from = q.data() + g * heads * d;
  float* const to = mixed.data() + g * heads * d;
  if (kind == attention_kind::int8_cache) {
    return attend_in_blocks(from, heads, seen, scale, scratch, to);
  }
  const std::span<float> scores(scratch, S);
  for (std::size_t h = 0; h < heads; ++h) {
    zeropoint::int8_scores({from + h * d, d}, seen.keys, scores);
    best_float_kernels().causal_softmax(1, S, S - 1, scale, scratch, S);
    zeropoint::int8_mixture(scores, seen.values, {to + h * d, d});
  }
}

void attend(const model_config& c, std::size_t layer, attention_kind kind, matrix_view<float> qkv,
            float* scratch, matrix_view<float> mixed) {
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
    attend_group(c, layer, g, columns(qkv, 0, q_width), seen, scratch, mixed);
  }
}

}  // namespace lab
