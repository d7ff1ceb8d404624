// A whole product as libraries on AVX2's saturating byte product compute it, and how far that is from
// the exact one:
//
//   c(i, j) = dot(a row i, w row j) of kernels/saturation.hpp      exact(i, j) = what gemm() computes
//   error   = c - exact; no event in (i, j) leaves it 0, but for by_sign's own: a < 0 against w = -128
//
// For reproducing numbers of AVX2 machines and explaining them: plain loops that count, nobody's fast
// path. gemm() never saturates.
#pragma once

#include <zeropoint/gemm/product.hpp>
#include <zeropoint/kernels/saturation.hpp>

namespace zeropoint::inline ZP_BASELINE {

/// Whose instructions.
enum class saturating_sequence : std::uint8_t {
  unsigned_by_signed,  ///< uint8 rows as they are
  by_shift,            ///< int8 rows plus 128, minus 128 column sums: oneDNN without VNNI
  by_sign,             ///< int8 rows as |a|, their signs moved to the weights: ggml
};

/// What a product met, summed over its outputs.
struct saturation_report {
  std::uint64_t events = 0;        ///< sums of two products that did not fit 16 bits
  std::uint64_t pairs = 0;         ///< of how many; an odd last k is a pair with zero
  std::uint64_t wrong = 0;         ///< outputs that differ from the exact ones; errors may cancel
  std::uint64_t outputs = 0;       ///< of how many
  std::int64_t largest_error = 0;  ///< |c - exact|
  friend constexpr bool operator==(const saturation_report&, const saturation_report&) = default;

  constexpr void merge(const saturation_report& other) noexcept {
    events += other.events, pairs += other.pairs;
    wrong += other.wrong, outputs += other.outputs;
    if (other.largest_error > largest_error) largest_error = other.largest_error;
  }
};

namespace detail {

template <class A>
[[nodiscard]] kernels::saturation::result saturating_dot(std::span<const A> a,
                                                         std::span<const std::int8_t> w,
                                                         saturating_sequence sequence) {
  if constexpr (std::is_same_v<A, std::uint8_t>) {
    return kernels::saturation::dot(a, w);
  } else {
    return sequence == saturating_sequence::by_sign ? kernels::saturation::dot_by_sign(a, w)
                                                    : kernels::saturation::dot_shifted(a, w);
  }
}

/// Row i of `a` times all of w.
template <class A>
[[nodiscard]] saturation_report saturating_row(std::span<const A> a,
                                               matrix_view<const std::int8_t> w,
                                               std::span<std::int32_t> c,
                                               saturating_sequence sequence) {
  saturation_report seen;
  seen.outputs = w.rows(), seen.pairs = w.rows() * (w.cols() / 2 + w.cols() % 2);
  for (std::size_t j = 0; j < w.rows(); ++j) {
    const std::span<const std::int8_t> weights = w.row(j);
    const kernels::saturation::result theirs = saturating_dot(a, weights, sequence);
    std::int64_t error = theirs.sum;
    for (std::size_t k = 0; k < a.size(); ++k) error -= std::int64_t{a[k]} * weights[k];
    c[j] = theirs.sum;
    seen.events += theirs.saturated;
    seen.wrong += error != 0 ? 1u : 0u;
    seen.largest_error = std::max(seen.largest_error, error < 0 ? -error : error);
  }
  return seen;
}

}  // namespace detail

/// c [m, n] of a [m, k] and w [n, k], not packed, by `sequence`; the same for every executor. Throws
/// `error` for shapes that do not match, an output that overlaps `a`, k beyond max_depth (where not
/// even the exact sums fit), and a sequence for rows of the other signedness. Without zero points:
/// these libraries add those to the 32-bit sums afterwards, exactly.
template <code8 A, executor Executor = serial>
saturation_report saturating_gemm(matrix_view<A> a, matrix_view<const std::int8_t> w,
                                  matrix_view<std::int32_t> c, saturating_sequence sequence,
                                  const Executor& ex = {}) {
  using element = std::remove_const_t<A>;
  constexpr bool is_signed = std::is_same_v<element, std::int8_t>;
  const matrix_view<const element> rows(a);
  detail::require_shapes(rows, w.rows(), w.cols(), c);
  ZP_REQUIRE(is_signed != (sequence == saturating_sequence::unsigned_by_signed),
             "saturating_gemm: sequence ", static_cast<int>(sequence), " with ",
             is_signed ? "int8" : "uint8", " rows: unsigned_by_signed (0) is the one for uint8");
  constexpr std::size_t deepest = max_depth(is_signed ? 128 : 255, 128);
  ZP_REQUIRE(w.cols() <= deepest, "saturating_gemm: k = ", w.cols(), " exceeds ", deepest,
             ", the largest depth whose sums fit 32 bits");
  saturation_report all;
  std::mutex mutex;
  ex(a.rows(), [&](std::size_t i) {
    const saturation_report seen = detail::saturating_row(rows.row(i), w, c.row(i), sequence);
    const std::lock_guard lock(mutex);
    all.merge(seen);
  });
  return all;
}

}  // namespace zeropoint::inline ZP_BASELINE
