// A symmetric matrix kept as its lower triangle, and its Cholesky factor in the same place:
//
//   A = L * L^T, L lower triangular        blocked, right-looking, in double
//
// Small on purpose: what the methods that solve for codes need (gptq.hpp), with tasks for an
// executor and a fixed order of every sum, so that no result depends on the number of threads.
#pragma once

#include <zeropoint/base/executor.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace zeropoint::inline ZP_BASELINE {

/// Rows 0 .. n - 1 one after another, row i with i + 1 elements; zeros at first.
class lower_triangle {
 public:
  lower_triangle() = default;
  explicit lower_triangle(std::size_t n) : n_(n) {
    ZP_REQUIRE(n < std::size_t{1} << 31, "lower_triangle: ", n, " rows, expected fewer than 2^31");
    values_.resize(n * (n + 1) / 2);
  }

  [[nodiscard]] std::size_t size() const noexcept { return n_; }
  [[nodiscard]] double* row(std::size_t i) noexcept { return values_.data() + i * (i + 1) / 2; }
  [[nodiscard]] const double* row(std::size_t i) const noexcept {
    return values_.data() + i * (i + 1) / 2;
  }
  /// The element of the symmetric matrix.
  [[nodiscard]] double operator()(std::size_t i, std::size_t j) const {
    ZP_ASSERT(i < n_ && j < n_);
    return i < j ? row(j)[i] : row(i)[j];
  }
  [[nodiscard]] std::size_t bytes() const noexcept { return values_.size() * sizeof(double); }

 private:
  std::size_t n_ = 0;
  std::vector<double> values_;
};

namespace detail {

/// Rows that share a task, and columns that stay in the first cache while they do.
inline constexpr std::size_t band = 64, column_span = 256;

/// c[j] += a[0] * b(0)[j] + a[1] * b(1)[j] + ... for j < n, one term after the other. b(k) is a
/// pointer to n doubles that do not overlap c.
template <class Rows>
void add_products(double* __restrict c, std::size_t n, const double* a, std::size_t depth,
                  Rows&& b) {
  std::size_t k = 0;
  for (; k + 4 <= depth; k += 4) {
    const double a0 = a[k], a1 = a[k + 1], a2 = a[k + 2], a3 = a[k + 3];
    const double* __restrict b0 = b(k), * __restrict b1 = b(k + 1);
    const double* __restrict b2 = b(k + 2), * __restrict b3 = b(k + 3);
    for (std::size_t j = 0; j < n; ++j) {
      double sum = c[j];
      sum += a0 * b0[j];
      sum += a1 * b1[j];
      sum += a2 * b2[j];
      sum += a3 * b3[j];
      c[j] = sum;
    }
  }
  for (; k < depth; ++k) {
    const double a0 = a[k];
    const double* __restrict b0 = b(k);
    for (std::size_t j = 0; j < n; ++j) c[j] += a0 * b0[j];
  }
}

/// Adds to rows [first, size) of the triangle, from column `left` on: row i += sum over k < depth
/// of a(i)[k] * b[k * stride + column - left].
template <class Coefficients, class Executor>
void add_to_triangle(lower_triangle& c, std::size_t first, std::size_t left, std::size_t depth,
                     Coefficients&& a, const double* b, std::size_t stride, const Executor& ex) {
  ex((c.size() - first + band - 1) / band, [&](std::size_t task) {
    const std::size_t begin = first + task * band, end = std::min(c.size(), begin + band);
    std::vector<double> factors(band * depth);
    for (std::size_t i = begin; i < end; ++i) a(i, factors.data() + (i - begin) * depth);
    for (std::size_t j = left; j < end; j += column_span) {
      for (std::size_t i = std::max(begin, j); i < end; ++i) {
        add_products(c.row(i) + j, std::min(column_span, i + 1 - j),
                     factors.data() + (i - begin) * depth, depth,
                     [&](std::size_t k) { return b + k * stride + (j - left); });
      }
    }
  });
}

/// Columns [p, q) of row i of the factor; its columns below p are done and subtracted.
inline void solve_row(lower_triangle& a, std::size_t i, std::size_t p, std::size_t q) {
  double* row = a.row(i);
  for (std::size_t j = p; j < std::min(q, i); ++j) {
    const double* other = a.row(j);
    double sum = row[j];
    for (std::size_t k = p; k < j; ++k) sum -= row[k] * other[k];
    row[j] = sum / other[j];
  }
}

}  // namespace detail

/// Replaces A by L. False when A is not positive definite: a pivot is not above n * 2^-52 of the
/// diagonal element it started from; then A is lost.
template <executor Executor = serial>
[[nodiscard]] bool cholesky(lower_triangle& a, const Executor& ex = {}) {
  const std::size_t n = a.size();
  const double rounding = static_cast<double>(n) * std::numeric_limits<double>::epsilon();
  std::vector<double> floor(n), panel;
  for (std::size_t i = 0; i < n; ++i) floor[i] = rounding * a.row(i)[i];
  for (std::size_t p = 0; p < n; p += detail::band) {
    const std::size_t q = std::min(n, p + detail::band), depth = q - p, stride = n - q;
    for (std::size_t i = p; i < q; ++i) {
      detail::solve_row(a, i, p, q);
      double pivot = a.row(i)[i];
      for (std::size_t k = p; k < i; ++k) pivot -= a.row(i)[k] * a.row(i)[k];
      if (!(pivot > floor[i]) || !std::isfinite(pivot)) return false;
      a.row(i)[i] = std::sqrt(pivot);
    }
    panel.resize(depth * stride);
    ex((stride + detail::band - 1) / detail::band, [&](std::size_t task) {
      const std::size_t begin = q + task * detail::band, end = std::min(n, begin + detail::band);
      for (std::size_t i = begin; i < end; ++i) {
        detail::solve_row(a, i, p, q);
        for (std::size_t k = 0; k < depth; ++k) panel[k * stride + i - q] = a.row(i)[p + k];
      }
    });
    detail::add_to_triangle(
        a, q, q, depth,
        [&](std::size_t i, double* factors) {
          for (std::size_t k = 0; k < depth; ++k) factors[k] = -a.row(i)[p + k];
        },
        panel.data(), stride, ex);
  }
  return true;
}

namespace detail {

/// v = L^-T L^-1 v, that is A^-1 v.
inline void solve(const lower_triangle& l, std::vector<double>& v) {
  for (std::size_t i = 0; i < v.size(); ++i) {
    for (std::size_t k = 0; k < i; ++k) v[i] -= l.row(i)[k] * v[k];
    v[i] /= l.row(i)[i];
  }
  for (std::size_t i = v.size(); i-- > 0;) {
    v[i] /= l.row(i)[i];
    for (std::size_t k = 0; k < i; ++k) v[k] -= v[i] * l.row(i)[k];
  }
}
/// v = L L^T v, that is A v.
inline void apply(const lower_triangle& l, std::vector<double>& v) {
  for (std::size_t i = 0; i < v.size(); ++i) {
    for (std::size_t k = 0; k < i; ++k) v[k] += l.row(i)[k] * v[i];
    v[i] *= l.row(i)[i];
  }
  for (std::size_t i = v.size(); i-- > 0;) {
    v[i] *= l.row(i)[i];
    for (std::size_t k = 0; k < i; ++k) v[i] += l.row(i)[k] * v[k];
  }
}

/// How much `step` stretches a vector after 16 applications to an arbitrary one.
template <class Step>
[[nodiscard]] double stretch(std::size_t n, Step&& step) {
  std::vector<double> v(n);
  for (std::size_t i = 0; i < n; ++i) v[i] = 1 + static_cast<double>(i * 7919 % 101) / 101;
  double length = 1;
  for (int round = 0; round <= 16; ++round) {
    length = 0;
    for (const double x : v) length += x * x;
    length = std::sqrt(length);
    for (double& x : v) x /= length;
    if (round < 16) step(v);
  }
  return length;
}

}  // namespace detail

/// The largest over the smallest eigenvalue of A, from its factor L, by 16 steps of the power
/// method each way: a lower bound, rarely off by more than a factor of two. 1 for no rows.
[[nodiscard]] inline double condition_estimate(const lower_triangle& l) {
  if (l.size() == 0) return 1;
  return detail::stretch(l.size(), [&](std::vector<double>& v) { detail::apply(l, v); }) *
         detail::stretch(l.size(), [&](std::vector<double>& v) { detail::solve(l, v); });
}

}  // namespace zeropoint::inline ZP_BASELINE
