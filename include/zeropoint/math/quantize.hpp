// Floats to codes and back: one value, one row, one matrix.
//
//   const auto p = fit({-1, 1}, symmetric);
//   dequantize(quantize(0.37f, p), p);                                      // one value
//   const auto [wq, damage] = quantize<std::int8_t>(w, per_row, symmetric); // one matrix
//   const auto wq4 = quantize<std::int8_t>(linear_weight{w}, per_group{32}, symmetric.with_bits(4),
//                                          serial{}, no_statistics);
//
// NaN becomes real zero, +-inf the ends of the grid, both counted; neither takes part in a range. A
// row without any finite value gets scale 1.
#pragma once

#include <zeropoint/base/executor.hpp>
#include <zeropoint/math/quantized_matrix.hpp>

#include <utility>

namespace zeropoint::inline ZP_BASELINE {

// --- one value ----------------------------------------------------------------------------------

/// The code of x, in [p.qmin, p.qmax].
template <class Rounding = rounding<>>
[[nodiscard]] constexpr std::int32_t quantize(float x, const params& p, Rounding = {}) {
  return quantizer<Rounding>(p)(x);
}
/// scale * (q - zero_point).
[[nodiscard]] constexpr float dequantize(std::int32_t q, const params& p) noexcept {
  return p.scale * static_cast<float>(q - p.zero_point);
}

// --- one row ------------------------------------------------------------------------------------

namespace detail {
template <class T, class Rounding>
[[nodiscard]] quantizer<Rounding> row_quantizer(std::size_t from, std::size_t to, const params& p,
                                                Rounding) {
  ZP_REQUIRE(from == to, "quantize_row: ", from, " values into ", to, " codes");
  ZP_REQUIRE(std::in_range<T>(p.qmin) && std::in_range<T>(p.qmax), "quantize_row: codes ", p.qmin,
             " .. ", p.qmax, " do not fit the storage type");
  return quantizer<Rounding>(p);
}
}  // namespace detail

/// codes[i] = quantize(x[i], p). Throws `error` when the lengths differ or T cannot hold the codes.
template <class T, class Rounding = rounding<>>
void quantize_row(std::span<const float> x, const params& p, std::span<T> codes, Rounding r = {}) {
  const auto q = detail::row_quantizer<T>(x.size(), codes.size(), p, r);
  elementwise::quantize_row(x.data(), x.size(), q, codes.data());
}
/// The same, and merges the damage (quantization_statistics, or only range_counts) into `damage`.
template <class T, class Rounding = rounding<>>
void quantize_row(std::span<const float> x, const params& p, std::span<T> codes,
                  quantization_statistics& damage, Rounding r = {}) {
  const auto q = detail::row_quantizer<T>(x.size(), codes.size(), p, r);
  statistics_accumulator run;
  elementwise::quantize_row(x.data(), x.size(), q, codes.data(), run);
  damage.merge(run.result());
}
template <class T, class Rounding = rounding<>>
void quantize_row(std::span<const float> x, const params& p, std::span<T> codes,
                  range_counts& damage, Rounding r = {}) {
  const auto q = detail::row_quantizer<T>(x.size(), codes.size(), p, r);
  range_counter run;
  elementwise::quantize_row(x.data(), x.size(), q, codes.data(), run);
  damage.merge(run.result());
}

/// x[i] = dequantize(codes[i], p). Throws `error` when the lengths differ.
template <class T>
void dequantize_row(std::span<const T> codes, const params& p, std::span<float> x) {
  ZP_REQUIRE(x.size() == codes.size(), "dequantize_row: ", codes.size(), " codes into ", x.size(),
             " values");
  elementwise::dequantize_row(codes.data(), codes.size(), p.scale, p.zero_point, x.data());
}

// --- one matrix ---------------------------------------------------------------------------------

/// What quantize<T>(matrix, ...) should tell about the damage.
struct no_statistics_t {
  using accumulator = no_accumulator;
};
struct counts_only_t {
  using accumulator = range_counter;
};
struct total_statistics_t {
  using accumulator = statistics_accumulator;
};
struct block_statistics_t {
  using accumulator = statistics_accumulator;
};
inline constexpr no_statistics_t no_statistics;        ///< nothing: returns the matrix alone
inline constexpr counts_only_t counts_only;            ///< range_counts
inline constexpr total_statistics_t total_statistics;  ///< one quantization_statistics; the default
inline constexpr block_statistics_t block_statistics;  ///< one per block, in block order

/// const auto [matrix, damage] = quantize<std::int8_t>(...);
template <class T, class Statistics = quantization_statistics>
struct quantized {
  quantized_matrix<T> matrix;
  Statistics statistics;
};

}  // namespace zeropoint::inline ZP_BASELINE

#include <zeropoint/math/quantize_blocks.hpp>

namespace zeropoint::inline ZP_BASELINE {

namespace detail {

[[nodiscard]] inline matrix_view<const float> values_of(matrix_view<const float> m) {
  return m;
}
[[nodiscard]] inline matrix_view<const float> values_of(const weight auto& w) {
  return w.values;
}

/// The scheme in the storage type T: uint8_t holds the unsigned twin of a signed scheme.
template <class T>
[[nodiscard]] constexpr scheme stored(scheme s) {
  ZP_REQUIRE(s.bits >= 2 && s.bits <= 8, "quantize: ", s.bits, " bits, expected 2 to 8");
  ZP_REQUIRE(s.is_signed || std::is_unsigned_v<T>, "quantize: codes ", s.qmin(), " .. ", s.qmax(),
             " of an unsigned scheme in signed storage");
  return std::is_unsigned_v<T> ? s.as_unsigned() : s;
}

/// The scheme whose codes are those of p.
[[nodiscard]] constexpr scheme scheme_of(const params& p) {
  for (int bits = 2; bits <= 8; ++bits) {
    for (scheme s : {scheme{symmetry::narrow, bits, true}, scheme{symmetry::narrow, bits, false},
                     scheme{symmetry::full, bits, true}, scheme{symmetry::full, bits, false}}) {
      if (s.qmin() != p.qmin || s.qmax() != p.qmax) continue;
      if (s.middle() == p.zero_point) return s;
      if (s.kind == symmetry::full) return {symmetry::affine, bits, s.is_signed};
    }
  }
  fail("quantize: codes ", p.qmin, " .. ", p.qmax, " around ", p.zero_point,
       " are no scheme of 2 to 8 bits");
}

template <bool Fit, class T, class Executor, class Statistics, class Rounding>
[[nodiscard]] auto quantize_matrix(matrix_view<const float> x, params_table table,
                                   const Executor& ex, Statistics, Rounding r) {
  using accumulator = typename Statistics::accumulator;
  using result = typename accumulator::result_type;
  quantized_matrix<T> q(std::move(table));
  if constexpr (std::is_same_v<Statistics, no_statistics_t>) {
    quantize_blocks<Fit, accumulator>(x, q.table().view(), q.values(), std::span<result>{}, ex, r);
    return q;
  } else {
    std::vector<result> parts(q.table().count());
    quantize_blocks<Fit, accumulator>(x, q.table().view(), q.values(), std::span<result>(parts), ex,
                                      r);
    if constexpr (std::is_same_v<Statistics, block_statistics_t>) {
      return quantized<T, std::vector<result>>{std::move(q), std::move(parts)};
    } else {
      result all;
      for (const result& part : parts) all.merge(part);
      return quantized<T, result>{std::move(q), all};
    }
  }
}

}  // namespace detail

/// A matrix_view, linear_weight or conv1d_weight in blocks of a granularity, each with the params
/// that fit() gives its finite values. Returns quantized<T>{matrix, statistics}, or what
/// `statistics` asks for. T = uint8_t uses the unsigned twin of the scheme. The result does not
/// depend on the executor.
template <class T, class Source, class Granularity, executor Executor = serial,
          class Statistics = total_statistics_t, class Rounding = rounding<>>
requires quantizable<Source, Granularity>
[[nodiscard]] auto quantize(const Source& source, Granularity granularity, scheme s,
                            const Executor& ex = {}, Statistics statistics = {}, Rounding r = {}) {
  const matrix_view<const float> x = detail::values_of(source);
  params_table table(x.rows(), x.cols(), blocks_of(source, granularity), detail::stored<T>(s));
  return detail::quantize_matrix<true, T>(x, std::move(table), ex, statistics, r);
}

/// The same with params that are known already: one for the whole matrix (static quantization).
template <class T, executor Executor = serial, class Statistics = total_statistics_t,
          class Rounding = rounding<>>
[[nodiscard]] auto quantize(matrix_view<const float> x, const params& p, const Executor& ex = {},
                            Statistics statistics = {}, Rounding r = {}) {
  params_table table(x.rows(), x.cols(), blocks_of(x, per_tensor), detail::scheme_of(p));
  for (std::size_t b = 0; b < table.count(); ++b) table.set(b, p);
  return detail::quantize_matrix<false, T>(x, std::move(table), ex, statistics, r);
}
/// ... or a table of them.
template <class T, executor Executor = serial, class Statistics = total_statistics_t,
          class Rounding = rounding<>>
[[nodiscard]] auto quantize(matrix_view<const float> x, params_table table, const Executor& ex = {},
                            Statistics statistics = {}, Rounding r = {}) {
  ZP_REQUIRE(x.rows() == table.rows() && x.cols() == table.cols(), "quantize: a matrix of ",
             x.rows(), " x ", x.cols(), " with params for ", table.rows(), " x ", table.cols());
  return detail::quantize_matrix<false, T>(x, std::move(table), ex, statistics, r);
}

/// Dynamic quantization without an allocation, for activations: codes into `codes`, one scale per
/// block into `scales`, one zero point per block into `zero_points` (may be empty when the scheme is
/// signed and symmetric). Throws `error` when a size is wrong.
template <class T, class Granularity, executor Executor = serial, class Rounding = rounding<>>
requires quantizable<matrix_view<const float>, Granularity>
void quantize_into(matrix_view<const float> x, Granularity granularity, scheme s,
                   matrix_view<T> codes, std::span<float> scales,
                   std::span<std::int32_t> zero_points, const Executor& ex = {}, Rounding r = {}) {
  s = detail::stored<T>(s);
  const block_shape block = blocks_of(x, granularity);
  const std::size_t count =
      detail::ceil_div(x.rows(), block.rows) * detail::ceil_div(x.cols(), block.cols);
  ZP_REQUIRE(x.rows() == codes.rows() && x.cols() == codes.cols(), "quantize_into: ", x.rows(),
             " x ", x.cols(), " values into ", codes.rows(), " x ", codes.cols(), " codes");
  const bool no_zero_points = zero_points.empty() && s.is_symmetric() && s.middle() == 0;
  ZP_REQUIRE(scales.size() == count && (zero_points.size() == count || no_zero_points),
             "quantize_into: ", scales.size(), " scales and ", zero_points.size(),
             " zero points for ", count, " blocks");
  detail::quantize_blocks<true, no_accumulator>(x, {block, s, scales, zero_points}, codes,
                                                std::span<no_accumulator::result_type>{}, ex, r);
}
/// Static quantization without an allocation but for the counts, which it returns.
template <class T, executor Executor = serial, class Rounding = rounding<>>
range_counts quantize_into(matrix_view<const float> x, const params& p, matrix_view<T> codes,
                           const Executor& ex = {}, Rounding r = {}) {
  ZP_REQUIRE(x.rows() == codes.rows() && x.cols() == codes.cols(), "quantize_into: ", x.rows(),
             " x ", x.cols(), " values into ", codes.rows(), " x ", codes.cols(), " codes");
  const auto q = detail::row_quantizer<T>(0, 0, p, r);
  range_counts counts;
  if (x.empty()) return counts;
  detail::quantize_rows<range_counter>(x, q, codes, std::span<range_counts>(&counts, 1), ex);
  return counts;
}

}  // namespace zeropoint::inline ZP_BASELINE
