// What the inputs of a layer look like to its weights: the Gram matrix G = X^T X of activations
// X [rows, in], half the Hessian of the layer's squared output error. Methods that choose codes by
// what they do to the outputs (gptq, awq, adaround) need nothing else of the samples:
//
//   sum over rows x of |(W - Q) x|^2 = sum over outputs j of (w_j - q_j)^T G (w_j - q_j)
#pragma once

#include <zeropoint/math/quantize.hpp>
#include <zeropoint/nn/triangle.hpp>

#include <numeric>

namespace zeropoint::inline ZP_BASELINE {

/// X^T X, in memory that does not grow with the rows: in * (in + 1) / 2 doubles. Every product is
/// exact and rows are added one after another, so observing rows in pieces gives the same bits as
/// observing them at once, on any number of threads; merging partial sums may change the last ones.
class gram_matrix {
 public:
  gram_matrix() = default;
  explicit gram_matrix(std::size_t in) : sums_(in), magnitudes_(in) {}

  /// Adds the rows of x [n, in]. A row with NaN or an infinity is skipped as a whole, and counted.
  template <executor Executor = serial>
  void observe(matrix_view<const float> x, const Executor& ex = {}) {
    ZP_REQUIRE(x.cols() == in(), "gram_matrix: x has ", x.cols(), " columns, expected ", in());
    constexpr std::size_t depth = 128;
    std::vector<double> rows(std::min(depth, x.rows()) * in());
    std::size_t held = 0;
    for (std::size_t i = 0; i < x.rows(); ++i) {
      const auto row = x.row(i);
      const bool finite = std::all_of(row.begin(), row.end(), [](float v) { return v - v == 0; });
      if (finite) {
        std::copy(row.begin(), row.end(),
                  rows.begin() + static_cast<std::ptrdiff_t>(held++ * in()));
      }
      skipped_ += finite ? 0 : 1;
      if (held == depth || (i + 1 == x.rows() && held != 0)) {
        add(rows.data(), held, ex);
        held = 0;
      }
    }
  }
  /// Adds what `other` saw.
  void merge(const gram_matrix& other) {
    ZP_REQUIRE(other.in() == in(), "gram_matrix: ", other.in(), " inputs into ", in());
    for (std::size_t i = 0; i < in(); ++i) {
      for (std::size_t j = 0; j <= i; ++j) sums_.row(i)[j] += other.sums_.row(i)[j];
      magnitudes_[i] += other.magnitudes_[i];
    }
    rows_ += other.rows_;
    skipped_ += other.skipped_;
  }

  [[nodiscard]] std::size_t in() const noexcept { return sums_.size(); }
  [[nodiscard]] std::uint64_t rows() const noexcept { return rows_; }        ///< rows in the sums
  [[nodiscard]] std::uint64_t skipped() const noexcept { return skipped_; }  ///< rows not finite
  /// Sum over rows of x_i * x_j.
  [[nodiscard]] double operator()(std::size_t i, std::size_t j) const { return sums_(i, j); }
  /// Row i of the lower triangle: elements 0 .. i.
  [[nodiscard]] const double* row(std::size_t i) const noexcept { return sums_.row(i); }
  /// Mean of |x_j| over the rows; 0 when there were none.
  [[nodiscard]] double mean_magnitude(std::size_t j) const {
    return rows_ == 0 ? 0.0 : magnitudes_[j] / static_cast<double>(rows_);
  }
  /// Input j was zero in every row.
  [[nodiscard]] bool is_dead(std::size_t j) const { return sums_.row(j)[j] == 0; }
  [[nodiscard]] std::size_t bytes() const noexcept {
    return sums_.bytes() + magnitudes_.size() * sizeof(double);
  }

 private:
  template <class Executor>
  void add(const double* rows, std::size_t count, const Executor& ex) {
    const std::size_t n = in();
    detail::add_to_triangle(
        sums_, 0, 0, count,
        [&](std::size_t i, double* factors) {
          for (std::size_t k = 0; k < count; ++k) factors[k] = rows[k * n + i];
        },
        rows, n, ex);
    for (std::size_t k = 0; k < count; ++k) {
      for (std::size_t j = 0; j < n; ++j) magnitudes_[j] += std::fabs(rows[k * n + j]);
    }
    rows_ += count;
  }

  lower_triangle sums_;
  std::vector<double> magnitudes_;
  std::uint64_t rows_ = 0, skipped_ = 0;
};

namespace detail {

/// Outputs whose errors share a pass over the Gram matrix.
inline constexpr std::size_t outputs_per_task = 32;

/// Consecutive inputs: all of them, or a group.
struct input_span {
  std::size_t first, size;
};

/// products[r] += G * errors[r] without the upper triangle and with half the diagonal, so that
/// e^T G e = 2 * (products[r] . errors[r]), of the part of G that belongs to `part`; `count` rows of
/// part.size doubles each.
inline void add_half_products(const gram_matrix& g, input_span part, const double* errors,
                              std::size_t count, double* products) {
  const std::size_t n = part.size;
  const auto row = [&](std::size_t i) { return g.row(part.first + i) + part.first; };
  for (std::size_t first = 0; first < n; first += band) {
    const std::size_t last = std::min(n, first + band);
    for (std::size_t j = 0; j < first; j += column_span) {
      for (std::size_t r = 0; r < count; ++r) {
        add_products(products + r * n + j, std::min(column_span, first - j), errors + r * n + first,
                     last - first, [&](std::size_t k) { return row(first + k) + j; });
      }
    }
    for (std::size_t r = 0; r < count; ++r) {
      for (std::size_t i = first; i < last; ++i) {
        const double e = errors[r * n + i];
        for (std::size_t j = first; j < i; ++j) products[r * n + j] += e * row(i)[j];
        products[r * n + i] += 0.5 * e * row(i)[i];
      }
    }
  }
}

/// e^T G e of every output over the inputs in `part`; error(j, into) writes the error of output j,
/// part.size doubles.
template <class Error, class Executor>
[[nodiscard]] std::vector<double> output_errors(const gram_matrix& g, input_span part,
                                                std::size_t out, Error&& error,
                                                const Executor& ex) {
  const std::size_t n = part.size;
  std::vector<double> sums(out);
  ex(ceil_div(out, outputs_per_task), [&](std::size_t task) {
    const std::size_t first = task * outputs_per_task,
                      count = std::min(outputs_per_task, out - first);
    std::vector<double> errors(count * n), products(count * n);
    for (std::size_t r = 0; r < count; ++r) error(first + r, errors.data() + r * n);
    add_half_products(g, part, errors.data(), count, products.data());
    for (std::size_t r = 0; r < count; ++r) {
      const double* e = errors.data() + r * n;
      // Rounding may leave a sum of squares a little below zero.
      sums[first + r] =
          std::max(0.0, 2 * std::inner_product(e, e + n, products.data() + r * n, 0.0));
    }
  });
  return sums;
}

[[nodiscard]] inline double sum_of(const std::vector<double>& v) {
  return std::accumulate(v.begin(), v.end(), 0.0);
}

/// Outputs whose error is larger in `codes` than in `other` take the other's codes and params.
/// Returns how many; errors become the smaller ones.
inline std::size_t take_better(quantized_matrix<std::int8_t>& codes, std::vector<double>& errors,
                               const quantized_matrix<std::int8_t>& other,
                               const std::vector<double>& other_errors) {
  std::size_t taken = 0;
  for (std::size_t j = 0; j < codes.rows(); ++j) {
    if (!(other_errors[j] < errors[j])) continue;
    const auto from = other.values().row(j);
    std::copy(from.begin(), from.end(), codes.values().row(j).begin());
    for (std::size_t k = 0; k < codes.cols(); k += codes.block().cols) {
      codes.table().set(codes.table().index(j, k), other.params_at(j, k));
    }
    errors[j] = other_errors[j];
    ++taken;
  }
  return taken;
}

/// What every method asks of its weights and activations.
inline void require_samples(const linear_weight& w, const gram_matrix& g, const char* method) {
  ZP_REQUIRE(w.in() == g.in(), method, ": weights with ", w.in(), " inputs, activations with ",
             g.in());
  ZP_REQUIRE(g.rows() > 0, method, ": 0 finite rows of activations (", g.skipped(),
             " were not), expected at least 1");
  for (std::size_t j = 0; j < w.out(); ++j) {
    for (const float v : w.values.row(j)) {
      ZP_REQUIRE(v - v == 0, method, ": weight ", v, " in output ", j, ", expected finite ones");
    }
  }
}

}  // namespace detail

/// The squared error of every output over the observed rows when the codes q [out, in] stand for
/// w: element j is (w_j - q_j)^T G (w_j - q_j). Throws `error` when shapes differ.
template <executor Executor = serial>
[[nodiscard]] std::vector<double> output_errors(const linear_weight& w,
                                                const quantized_matrix<std::int8_t>& q,
                                                const gram_matrix& g, const Executor& ex = {}) {
  ZP_REQUIRE(w.out() == q.rows() && w.in() == q.cols() && w.in() == g.in(),
             "output_errors: weights of ", w.out(), " x ", w.in(), ", codes of ", q.rows(), " x ",
             q.cols(), ", activations of ", g.in());
  return detail::output_errors(
      g, {0, w.in()}, w.out(),
      [&](std::size_t j, double* error) {
        for (std::size_t k = 0; k < w.in(); ++k) {
          error[k] = static_cast<double>(w.values(j, k)) -
                     static_cast<double>(dequantize(q.values()(j, k), q.params_at(j, k)));
        }
      },
      ex);
}

}  // namespace zeropoint::inline ZP_BASELINE
