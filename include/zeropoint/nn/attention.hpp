// The two products of an attention head in int8, over an int8 cache (kv_cache.hpp):
//
//   scores    s_ij = (sum_c q_ic k_jc) * scale_i * scale_j         int8 x int8
//   mixture   y_ic = (sum_j w_ij v_jc) * scale_i                   uint8 x int8
//             w_ij = round(p_ij scale_j / scale_i),  scale_i = max_j p_ij scale_j / 255
//
// Sums are exact in 32 bits. SmoothQuant (arXiv 2211.10438) calls these products BMM and gives each
// operand one calibrated scale; here every token has its own. Two things follow for the mixture:
// the value scales of the tokens lie inside its sum, so they are multiplied into the probabilities p
// before those are rounded; and the grid of w spans what a row holds. A fixed grid of 1/255 would
// round a row that spreads over more than 510 tokens to nothing.
#pragma once

#include <zeropoint/base/scratch.hpp>
#include <zeropoint/gemm/gemm.hpp>
#include <zeropoint/nn/kv_cache.hpp>

#include <algorithm>

namespace zeropoint::inline ZP_BASELINE {

/// s [n] of one query q [width] and the n keys where they lie: the row that int8_attention::scores()
/// gives, bit for bit, without packing them.
inline void int8_scores(std::span<const float> q, const cached_rows& keys, std::span<float> s) {
  ZP_REQUIRE(q.size() == keys.width() && s.size() == keys.rows(), "int8_scores: a query of ",
             q.size(), " values and ", s.size(), " scores for ", keys.rows(), " keys of ",
             keys.width());
  ZP_REQUIRE(q.size() <= max_depth(127, 127), "int8_scores: keys of ", q.size(),
             " values, expected at most ", max_depth(127, 127));
  detail::scratch memory(q.size());
  const matrix_view<std::int8_t> coded(memory.as<std::int8_t>(), 1, q.size());
  float scale = 0;
  quantize_into(matrix_view<const float>(q.data(), 1, q.size()), per_token, symmetric, coded,
                {&scale, 1}, {});
  for (std::size_t j = 0; j < s.size(); ++j) {
    const std::int8_t* const key = keys.codes().row(j).data();
    std::int32_t sum = 0;
    for (std::size_t c = 0; c < q.size(); ++c) sum += coded.data()[c] * key[c];
    s[j] = static_cast<float>(sum) * (scale * keys.scales()[j]);
  }
}

/// y [width] of the probabilities p [n] of one query and the n values where they lie: the row of
/// int8_attention::mix(), bit for bit.
inline void int8_mixture(std::span<const float> p, const cached_rows& values, std::span<float> y) {
  const std::size_t n = p.size(), width = y.size();
  ZP_REQUIRE(n == values.rows() && width == values.width(), "int8_mixture: ", n,
             " probabilities and a row of ", width, " for ", values.rows(), " values of ",
             values.width());
  ZP_REQUIRE(n <= max_depth(255, 127), "int8_mixture: ", n, " tokens, expected at most ",
             max_depth(255, 127));
  detail::row_scratch weight_memory(n * sizeof(float));
  detail::scratch code_memory(n), sum_memory(width * sizeof(std::int32_t));
  float* const weights = weight_memory.as<float>();
  std::uint8_t* const codes = code_memory.as<std::uint8_t>();
  std::int32_t* const sums = sum_memory.as<std::int32_t>();
  for (std::size_t j = 0; j < n; ++j) weights[j] = p[j] * values.scales()[j];
  float scale = 0;
  std::int32_t zero = 0;
  quantize_into(matrix_view<const float>(weights, 1, n), per_token, affine.as_unsigned(),
                matrix_view<std::uint8_t>(codes, 1, n), {&scale, 1}, {&zero, 1});
  std::fill_n(sums, width, 0);
  for (std::size_t j = 0; j < n; ++j) {
    const std::int32_t steps = codes[j] - zero;  // of what a query does not see: 0
    if (steps == 0) continue;
    const std::int8_t* const value = values.codes().row(j).data();
    for (std::size_t c = 0; c < width; ++c) {  // |255 * 127| fits 16 bits, twice as many at a time
      sums[c] += static_cast<std::int16_t>(steps * value[c]);
    }
  }
  for (std::size_t c = 0; c < width; ++c) y[c] = static_cast<float>(sums[c]) * scale;
}

/// Packs the n tokens that are in a cache, once, for any number of queries; keeps no reference to it.
/// Packing costs more than a single query: this is for prompts and whole windows, int8_scores() and
/// int8_mixture() are for one query. The same bits from
/// every kernel, executor and number of threads.
class int8_attention {
 public:
  /// Throws `error` for an empty cache and when the kernel does not run here.
  explicit int8_attention(const kv_cache& cache, const kernels::kernel& kernel = kernels::best())
      : keys_(pack(cache.keys.codes(), kernel)),
        values_(pack_transposed(cache.values.codes(), kernel)),
        key_scales_(cache.keys.scales().begin(), cache.keys.scales().end()),
        value_scales_(cache.values.scales().begin(), cache.values.scales().end()) {
    ZP_REQUIRE(tokens() > 0 && width() > 0, "int8_attention: ", tokens(), " tokens of ", width(),
               " values, expected at least 1 of each");
  }

  [[nodiscard]] std::size_t tokens() const noexcept { return keys_.n(); }
  [[nodiscard]] std::size_t width() const noexcept { return keys_.k(); }

  /// s [m, n] of queries q [m, width], before any scaling by 1 / sqrt(width). s(i, j) depends on
  /// query i and key j alone. In q, NaN counts as 0 and an infinity as the largest finite value of its
  /// row. Scores beyond the largest float are not finite, as in float.
  template <executor Executor = serial>
  void scores(matrix_view<const float> q, matrix_view<float> s, const Executor& ex = {}) const {
    aligned_buffer<std::int8_t> codes(q.size());
    aligned_buffer<float> scales(q.rows());
    const matrix_view<std::int8_t> coded(codes.data(), q.rows(), q.cols());
    quantize_into(q, per_token, symmetric, coded, scales.span(), {}, ex);
    gemm(coded, keys_, {.row_scales = scales.span(), .column_scales = key_scales_}, s, ex);
  }

  /// y [m, width] from p [m, n], the softmax of the scores, 0 for tokens that a query must not see:
  /// those do not change a bit of its row. NaN in p counts as 0.
  template <executor Executor = serial>
  void mix(matrix_view<const float> p, matrix_view<float> y, const Executor& ex = {}) const {
    ZP_REQUIRE(p.cols() == tokens(), "int8_attention: ", p.cols(), " probabilities a row for ",
               tokens(), " tokens");
    aligned_buffer<float> weights(p.size()), scales(p.rows());
    aligned_buffer<std::uint8_t> codes(p.size());
    aligned_buffer<std::int32_t> zeros(p.rows());  // not 0 only where p has negative elements
    for (std::size_t i = 0; i < p.rows(); ++i) {
      float* const row = weights.data() + i * tokens();
      for (std::size_t j = 0; j < tokens(); ++j) row[j] = p(i, j) * value_scales_[j];
    }
    const matrix_view<const float> w(weights.data(), p.rows(), tokens());
    const matrix_view<std::uint8_t> coded(codes.data(), p.rows(), tokens());
    quantize_into(w, per_token, affine.as_unsigned(), coded, scales.span(), zeros.span(), ex);
    const float one = 1;
    gemm(coded, values_,
         {.row_scales = scales.span(), .column_scales = {&one, 1}, .row_zero_points = zeros.span()},
         y, ex);
  }

 private:
  packed_weights keys_, values_;
  std::vector<float> key_scales_, value_scales_;
};

}  // namespace zeropoint::inline ZP_BASELINE
