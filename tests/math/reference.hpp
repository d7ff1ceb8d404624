// The definitions of math/ once more, one value at a time and without its code: what the loops are
// compared with. Rounding is the C library's, sums are long double.
#pragma once

#include <zeropoint/math/statistics.hpp>

#include <bit>
#include <cmath>
#include <limits>
#include <set>
#include <vector>

#include "support/executors.hpp"
#include "support/test.hpp"

namespace test {

/// round(x / scale) to even as a double, unclamped; the quotient is the float's.
inline double steps(float x, float scale) {
  return std::nearbyint(static_cast<double>(x / scale));
}

inline std::int32_t code(float x, const zeropoint::params& p) {
  if (std::isnan(x)) return p.zero_point;
  const double unclamped = steps(x, p.scale) + p.zero_point;
  return static_cast<std::int32_t>(
      std::fmin(std::fmax(unclamped, static_cast<double>(p.qmin)), static_cast<double>(p.qmax)));
}

/// One naive pass over values.
struct naive_statistics {
  std::uint64_t count = 0, low = 0, high = 0, nan = 0, infinite = 0, underflow = 0;
  long double clipping = 0, rounding = 0, signal = 0, max = 0;
  std::set<std::int32_t> levels;

  void add(float x, const zeropoint::params& p) {
    ++count;
    const std::int32_t q = code(x, p);
    levels.insert(q);
    if (std::isnan(x)) {
      ++nan;
      return;
    }
    if (std::isinf(x)) {
      ++infinite;
      return;
    }
    const double unclamped = steps(x, p.scale) + p.zero_point;
    const bool is_low = unclamped<p.qmin, is_high = unclamped> p.qmax;
    low += is_low ? 1 : 0;
    high += is_high ? 1 : 0;
    underflow += !is_low && !is_high && x != 0 && q == p.zero_point ? 1 : 0;
    const long double error =
        static_cast<long double>(x) - static_cast<long double>(p.scale) * (q - p.zero_point);
    (is_low || is_high ? clipping : rounding) += error * error;
    signal += static_cast<long double>(x) * static_cast<long double>(x);
    max = std::fmax(max, std::fabs(error));
  }

  /// Counts equal, energies to 1e-6 relative: an error is rounded to float before it is squared.
  [[nodiscard]] bool agrees(const zeropoint::quantization_statistics& s) const {
    const auto close = [](long double a, double b) {
      return std::fabs(a - static_cast<long double>(b)) <= 2.5e-7L * std::fabs(a);
    };
    for (std::int32_t c : levels) {
      if (!s.levels.contains(c)) return false;
    }
    return s.count == count && s.clipped_low == low && s.clipped_high == high && s.nan == nan &&
           s.infinite == infinite && s.underflow == underflow && s.levels.size() == levels.size() &&
           close(clipping, s.clipping_error) && close(rounding, s.rounding_error) &&
           close(signal, s.signal) && close(max, s.max_error);
  }
};

/// Normal values with ties, zeros of both signs, denormals, huge values, NaN and infinities
/// strewn in: one in `rarity`.
inline std::vector<float> nasty(generator& g, std::size_t n, float scale, unsigned rarity) {
  std::vector<float> x(n);
  for (float& v : x) {
    v = normal(g) * 40 * scale;
    if (g() % rarity != 0) continue;
    const auto whole = static_cast<float>(static_cast<int>(g() % 300) - 150);
    switch (g() % 9) {
      case 0:
        v = std::numeric_limits<float>::quiet_NaN();
        break;
      case 1:
        v = std::numeric_limits<float>::infinity();
        break;
      case 2:
        v = -std::numeric_limits<float>::infinity();
        break;
      case 3:
        v = 0.0f;
        break;
      case 4:
        v = -0.0f;
        break;
      case 5:
        v = std::bit_cast<float>(static_cast<std::uint32_t>(g() & 0x807fffffu));
        break;
      case 6:
        v = std::bit_cast<float>(static_cast<std::uint32_t>(g()));
        break;
      default:
        v = (whole + 0.5f) * scale;
        break;  // a tie when scale is a power of two
    }
  }
  return x;
}

/// Nasty values in rows with a gap between them.
struct nasty_matrix {
  std::size_t rows, cols, stride;
  std::vector<float> values;
  nasty_matrix(generator& g, std::size_t r, std::size_t c, unsigned rarity)
      : rows(r), cols(c), stride(c + g() % 5), values(nasty(g, r * stride, 0.5f, rarity)) {}
  [[nodiscard]] zeropoint::matrix_view<const float> get() const {
    return {values.data(), rows, cols, stride};
  }
  [[nodiscard]] nasty_matrix transposed() const {
    nasty_matrix t = *this;
    t.rows = cols;
    t.cols = rows;
    t.stride = rows;
    t.values.assign(rows * cols, 0);
    for (std::size_t i = 0; i < rows; ++i) {
      for (std::size_t j = 0; j < cols; ++j) t.values[j * rows + i] = get()(i, j);
    }
    return t;
  }
};

}  // namespace test
