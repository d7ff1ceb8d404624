// What turns a plain dot product of codes into the product of the numbers they stand for:
//
//   sum (a - za)(w - zw)  =  dot  -  za * colsum  -  zw * (rowsum - k * za)
//
// dot = sum a w, colsum = sum w (known when packing), rowsum = sum a (needed only where weights have
// zero points). A kernel that wants unsigned rows gets a' = a + 128 and za' = za + 128: the famous
// +128 trick is a zero point like any other. Everything is computed modulo 2^32, where the
// intermediate terms may wrap and the result, bounded by max_depth, does not.
#pragma once

#include <zeropoint/gemm/packed_weights.hpp>
#include <zeropoint/kernels/activation.hpp>

#include <cstring>
#include <limits>
#include <span>

namespace zeropoint::inline ZP_BASELINE {

/// Codes that stand for real zero; empty means 0. Rows: none, 1 or m, within the type of `a`.
/// Columns (of the weights): none, 1 or n, within int8.
struct zero_points {
  std::span<const std::int32_t> rows = {};
  std::span<const std::int32_t> columns = {};
};

/// Integers to real numbers:  y = f(fma(float(acc), row_scale * column_scale, bias)),
/// acc = sum (a - za)(w - zw) exactly; float(acc), the product and the fma each round once, to
/// nearest even; f as kernels/activation.hpp defines it. Identical bits for every kernel, compiler and
/// number of threads.
struct dequantization {
  std::span<const float> row_scales = {};                 ///< 1 or m: scales of the activations
  std::span<const float> column_scales = {};              ///< 1 or n: scales of the weights
  std::span<const float> bias = {};                       ///< none or n
  std::span<const std::int32_t> row_zero_points = {};     ///< none, 1 or m
  std::span<const std::int32_t> column_zero_points = {};  ///< none, 1 or n
  activation_function activation = activation_function::none;
};

/// The largest k for which every |sum (a - za)(w - zw)| of k terms fits int32, given the largest
/// |a - za| and |w - zw|: 131,071 for int8 x int8, 65,793 for uint8 x int8 without zero points.
[[nodiscard]] constexpr std::size_t max_depth(std::int32_t a_max, std::int32_t w_max) noexcept {
  const std::int64_t product = std::int64_t{a_max} * w_max;
  return product == 0
             ? std::numeric_limits<std::size_t>::max()
             : static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max() / product);
}

namespace detail {

/// Largest |q - z| for q in [low, high] over all z (none: z = 0), after checking that low <= z <=
/// high.
[[nodiscard]] inline std::int32_t largest_distance(std::span<const std::int32_t> zeros,
                                                   std::int32_t low, std::int32_t high,
                                                   const char* what) {
  std::int32_t most = zeros.empty() ? (-low > high ? -low : high) : 0;
  for (const std::int32_t z : zeros) {
    ZP_REQUIRE(z >= low && z <= high, "gemm: zero point ", z, " of the ", what, " is outside ", low,
               " .. ", high);
    const std::int32_t distance = z - low > high - z ? z - low : high - z;
    most = distance > most ? distance : most;
  }
  return most;
}

inline constexpr std::size_t max_nr = 64;  ///< columns of a panel

/// Column values of one panel where they cannot be read from the caller's array.
template <class T>
using panel_copy = T[max_nr];

/// The values of columns first .. first + count of a panel of nr, out of none, 1 or n values: nr
/// readable ones, zeros behind `count`. The caller's own wherever they are nr; copying them costs a
/// row of a few hundred k as much as multiplying.
template <class T>
[[nodiscard]] const T* panel_values(std::span<const T> from, std::size_t first, std::size_t count,
                                    std::size_t nr, panel_copy<T>& to) {
  alignas(64) static constexpr T zeros[max_nr] = {};
  if (from.empty()) return zeros;
  if (from.size() > 1 && count == nr) return from.data() + first;
  if (from.size() > 1) {
    std::memcpy(to, from.data() + first, count * sizeof(T));
  } else {
    for (std::size_t j = 0; j < count; ++j) to[j] = from[0];
  }
  for (std::size_t j = count; j < nr; ++j) to[j] = T{};
  return to;
}

}  // namespace detail
}  // namespace zeropoint::inline ZP_BASELINE
