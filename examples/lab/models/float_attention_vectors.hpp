// Causal attention of one head as the tiles see it: the queries of a tile score the tokens up to the
// last of them, take their softmax and mix the values while all of it lies in the first-level cache.
//
//   scores of a tile, as tiles read them:   [tokens / depth][tile_rows][copy_stride]
//
// For float_kernels_variant.cpp alone; nothing here has a name outside of its object file.
#pragma once

#include "lab/models/float_products_vectors.hpp"

namespace {

constexpr std::size_t score_block = tile_rows * copy_stride;
static_assert(depth % panel_width == 0 && depth % lanes == 0, "no panel lies in two blocks");

// What row i + 1 sees is one token more than what row i sees; the last sees `seen`.
struct score_tile {
  std::size_t rows, seen;
  float* scores;

  [[nodiscard]] std::size_t seen_by(std::size_t row) const { return seen - rows + row + 1; }
  // f(first token, how many of n, the row's scores of them) per block.
  template <class F>
  void over_row(std::size_t row, std::size_t n, F f) const {
    float* x = scores + row * copy_stride;
    for (std::size_t j = 0; j < n; j += depth, x += score_block) f(j, smaller(depth, n - j), x);
  }
};

// Panels are whole, so what lies behind `seen` in the last one is written too.
void score(const score_tile& t, std::size_t d, const float* q, std::size_t ldq, const float* keys) {
  alignas(64) float copy[score_block];
  const tile_function f = tile_of(t.rows);
  over_depth(d, [&](std::size_t p, std::size_t count, bool first, bool) {
    for (std::size_t r = 0; r < t.rows; ++r)
      copy_row(count, q + r * ldq + p, copy + r * copy_stride);
    const float* panel = keys + p * panel_width;
    for (std::size_t j = 0; j < t.seen; j += panel_width, panel += d * panel_width) {
      f(count, copy, panel,
        {t.scores + j / depth * score_block + j % depth, copy_stride, panel_width, nullptr, first});
    }
  });
}

// largest() of a row that lies in blocks.
inline float largest_score(const score_tile& t, std::size_t row) {
  float max = t.scores[row * copy_stride];
  t.over_row(row, t.seen_by(row), [&](std::size_t, std::size_t n, const float* x) {
    const float m = largest(n, x);
    max = m > max ? m : max;
  });
  return max;
}

// exponentials() of such a row. Up to `seen`, which is less than 16 tokens further, 0 follows; the stride
// has room for 16.
inline sums score_exponentials(const score_tile& t, std::size_t row, float scale, float max) {
  static_assert(tile_rows <= lanes && copy_stride >= depth + lanes);
  sums total;
  const std::size_t end = t.seen_by(row);
  t.over_row(row, t.seen, [&](std::size_t first, std::size_t count, float* x) {
    const std::size_t n = first < end ? smaller(count, end - first) : 0;
    exponentials<true>(n, scale, max, x, total);
    if (n == count) return;
    for (std::size_t u = 0; u < parts; ++u) store(vec{}, x + n + u * width);
  });
  return total;
}

// causal_softmax() of the tile, a step of all rows at a time: one row's folding and its division wait
// for each other, those of several do not.
void softmax(const score_tile& t, float scale) {
  float max[tile_rows], inverse[tile_rows];
  float sum[tile_rows][lanes];
  for (std::size_t r = 0; r < t.rows; ++r) max[r] = largest_score(t, r) * scale;
  for (std::size_t r = 0; r < t.rows; ++r) score_exponentials(t, r, scale, max[r]).store_to(sum[r]);
  for (std::size_t r = 0; r < t.rows; ++r) inverse[r] = 1.0f / folded(sum[r]);
  for (std::size_t r = 0; r < t.rows; ++r) {
    t.over_row(r, t.seen_by(r), [&](std::size_t, std::size_t n, float* x) {
      for (std::size_t j = 0; j < n; j += width) store(load(x + j) * inverse[r], x + j);
    });
  }
}

void mix(const score_tile& t, std::size_t d, const float* values, std::size_t tokens, float* mixed,
         std::size_t ldm) {
  const tile_function f = tile_of(t.rows);
  const float* weights = t.scores;
  over_depth(t.seen, [&](std::size_t p, std::size_t count, bool first, bool) {
    const float* panel = values + p * panel_width;
    for (std::size_t j = 0; j < d; j += panel_width, panel += tokens * panel_width) {
      f(count, weights, panel, {mixed + j, ldm, smaller(panel_width, d - j), nullptr, first});
    }
    weights += score_block;
  });
}

std::size_t attention_scratch(std::size_t tokens) {
  return (tokens + depth - 1) / depth * score_block;
}

void causal_attention(std::size_t rows, std::size_t d, std::size_t tokens, float scale,
                      const float* q, std::size_t ldq, const float* keys, const float* values,
                      float* scratch, float* mixed, std::size_t ldm) {
  for (std::size_t i = 0; i < rows; i += tile_rows) {
    const std::size_t count = smaller(tile_rows, rows - i);
    for (std::size_t r = i + count; r < smaller(i + 2 * tile_rows, rows); ++r) {
      for (std::size_t j = 0; j < d; j += lanes) __builtin_prefetch(q + r * ldq + j);
    }
    const score_tile t{count, tokens - rows + i + count, scratch};
    score(t, d, q + i * ldq, ldq, keys);
    softmax(t, scale);
    mix(t, d, values, tokens, mixed + i * ldm, ldm);
  }
}

}  // namespace
