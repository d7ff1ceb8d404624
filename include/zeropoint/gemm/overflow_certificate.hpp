// A proof, from packed weights and the codes that activations may take, that integer instructions
// with narrow intermediates compute exact sums. AVX2's byte product adds two neighbours in 16 bits:
//
//   pair = a0 * w0 + a1 * w1        0 <= a0, a1 <= a_max          must lie within -32768 .. 32767
//
// A pair is extreme where each a is 0 or a_max: highest a_max * (max(w0, 0) + max(w1, 0)), lowest
// a_max * (min(w0, 0) + min(w1, 0)). With a_max = 255, 127 + 1 fits and 127 + 2 does not (32895);
// with a_max = 127 all of int8 fits: 127 * 256 = 32512. Signed activations are shifted by minus the
// smallest code first, so only the width of their range counts.
#pragma once

#include <zeropoint/base/platform.hpp>

#include <limits>

namespace zeropoint::inline ZP_BASELINE {

struct overflow_certificate {
  /// The sum that comes nearest to an end of its type, or lies farthest beyond one.
  struct extreme {
    std::int64_t value = 0;
    std::size_t column = 0, k = 0;  ///< output, and the first of its two inputs (of a column: 0);
                                    ///< behind an odd last k there is no second
    std::int64_t margin = 0;        ///< how much farther it could go; negative: it does not fit
  };
  std::int32_t a_max = 0;  ///< activations are 0 .. a_max after the shift
  extreme pair;            ///< of the sums of two products with neighbouring k, against 16 bits
  extreme sum;             ///< of the sums of whole columns, against 32 bits

  /// No intermediate can overflow, whatever activations come that keep to their range.
  [[nodiscard]] constexpr bool proven() const noexcept {
    return pair.margin >= 0 && sum.margin >= 0;
  }
};

namespace detail {

/// The largest and the smallest of some sums of weights, and where.
struct weight_extremes {
  std::int64_t highest = 0, lowest = 0;
  std::size_t high_column = 0, high_k = 0, low_column = 0, low_k = 0;

  constexpr void look_at(std::int64_t positive, std::int64_t negative, std::size_t column,
                         std::size_t k) noexcept {
    if (positive > highest) highest = positive, high_column = column, high_k = k;
    if (negative < lowest) lowest = negative, low_column = column, low_k = k;
  }
  template <class Sum>
  [[nodiscard]] constexpr overflow_certificate::extreme times(std::int64_t a_max,
                                                              Sum) const noexcept {
    const std::int64_t above = std::int64_t{std::numeric_limits<Sum>::max()} - a_max * highest;
    const std::int64_t below = a_max * lowest - std::int64_t{std::numeric_limits<Sum>::min()};
    if (above <= below) return {a_max * highest, high_column, high_k, above};
    return {a_max * lowest, low_column, low_k, below};
  }
};

}  // namespace detail

/// Of n x k weights, `weight(j, i)` of output j and input i in int8, and activations 0 .. a_max.
template <class Weight>
[[nodiscard]] constexpr overflow_certificate certify(std::size_t n, std::size_t k,
                                                     std::int32_t a_max, Weight&& weight) {
  detail::weight_extremes pairs, sums;
  for (std::size_t j = 0; j < n; ++j) {
    std::int64_t positive_sum = 0, negative_sum = 0;
    for (std::size_t i = 0; i < k; i += 2) {
      const std::int32_t w0 = weight(j, i), w1 = i + 1 < k ? weight(j, i + 1) : 0;
      const std::int32_t positive = (w0 > 0 ? w0 : 0) + (w1 > 0 ? w1 : 0);
      const std::int32_t negative = (w0 < 0 ? w0 : 0) + (w1 < 0 ? w1 : 0);
      pairs.look_at(positive, negative, j, i);
      positive_sum += positive, negative_sum += negative;
    }
    sums.look_at(positive_sum, negative_sum, j, 0);
  }
  return {a_max, pairs.times(a_max, std::int16_t{}), sums.times(a_max, std::int32_t{})};
}

}  // namespace zeropoint::inline ZP_BASELINE
