// Integer products to compare with: int64 sums, codes of every awkward kind.
#pragma once

#include <zeropoint/gemm/gemm.hpp>

#include <bit>
#include <cmath>
#include <sstream>
#include <string>
#include <vector>

#include "support/kernels.hpp"
#include "support/test.hpp"

namespace test {

enum class pattern { random, lowest, highest, alternating };
inline constexpr pattern patterns[] = {pattern::random, pattern::lowest, pattern::highest,
                                       pattern::alternating};

/// A dense matrix of codes with its view; stride and offset make rows ragged and unaligned.
template <class T>
struct codes {
  std::size_t rows, cols, stride, offset;
  std::vector<T> storage;

  codes(std::size_t r, std::size_t c, pattern p, generator& g, std::size_t gap = 0,
        std::size_t start = 0)
      : rows(r), cols(c), stride(c + gap), offset(start), storage(start + r * (c + gap) + 1) {
    const T low = std::numeric_limits<T>::min(), high = std::numeric_limits<T>::max();
    std::size_t i = 0;
    for (T& value : storage) {
      value = p == pattern::random    ? integer<T>(g)
              : p == pattern::lowest  ? low
              : p == pattern::highest ? high
              : i % 2 == 0            ? low
                                      : high;
      ++i;
    }
  }
  zeropoint::matrix_view<const T> view() const {
    return {storage.data() + offset, rows, cols, stride};
  }
};

/// sum over k of (a - za)(w - zw), w [n, k]; zero points of 0, 1 or all.
template <class A>
std::vector<std::int64_t> reference(zeropoint::matrix_view<const A> a,
                                    zeropoint::matrix_view<const std::int8_t> w,
                                    const zeropoint::zero_points& zeros = {}) {
  const auto at = [](std::span<const std::int32_t> z, std::size_t i) {
    return z.empty() ? 0 : z[z.size() > 1 ? i : 0];
  };
  std::vector<std::int64_t> c(a.rows() * w.rows());
  for (std::size_t i = 0; i < a.rows(); ++i) {
    for (std::size_t j = 0; j < w.rows(); ++j) {
      const std::int64_t za = at(zeros.rows, i), zw = at(zeros.columns, j);
      std::int64_t sum = 0;
      for (std::size_t k = 0; k < a.cols(); ++k) sum += (a(i, k) - za) * (w(j, k) - zw);
      c[i * w.rows() + j] = sum;
    }
  }
  return c;
}

/// First place where an int32 result differs from the reference, as text; empty when none does.
inline std::string difference(const std::vector<std::int64_t>& expected,
                              const std::vector<std::int32_t>& got, std::size_t n) {
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (expected[i] != got[i]) {
      std::ostringstream text;
      text << '(' << i / n << ", " << i % n << "): expected " << expected[i] << ", got " << got[i];
      return text.str();
    }
  }
  return {};
}

}  // namespace test
