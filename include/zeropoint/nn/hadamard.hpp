// Hadamard rotation (QuaRot, arXiv 2404.00456): every channel is spread over all of them, so that no
// channel stands out any more and one int8 grid fits them all.
//
//   x R with R = D H / sqrt(n),   D random signs, H a Hadamard matrix: +-1 with orthogonal rows
//   y = x W^T = (x R)(W R)^T      the same function, because R R^T = 1
//
// n = 2^k * m. H is the Kronecker product of k times [1 1; 1 -1], which takes additions only and no
// table, and of an m x m matrix that Paley's constructions give from the squares modulo a prime.
#pragma once

#include <zeropoint/base/aligned_buffer.hpp>
#include <zeropoint/base/executor.hpp>
#include <zeropoint/base/scratch.hpp>
#include <zeropoint/math/quantized_matrix.hpp>

#include <cmath>
#include <vector>

namespace zeropoint::inline ZP_BASELINE {

namespace detail {

[[nodiscard]] constexpr bool is_prime(std::size_t q) noexcept {
  for (std::size_t d = 2; d * d <= q; ++d) {
    if (q % d == 0) return false;
  }
  return q >= 2;
}
/// m - 1 is a prime 4i + 3 (12, 20, 44), or m / 2 - 1 is a prime 4i + 1 (12, 28, 36).
[[nodiscard]] constexpr bool is_paley_one(std::size_t m) noexcept {
  return m % 4 == 0 && is_prime(m - 1);
}
[[nodiscard]] constexpr bool is_paley_two(std::size_t m) noexcept {
  return m % 4 == 0 && m / 2 % 4 == 2 && is_prime(m / 2 - 1);
}

/// The m of n: 1 for a power of two; otherwise the least 2^j * (odd part of n), at most 256, that
/// divides n and that Paley has a matrix for; 0 when there is none.
[[nodiscard]] constexpr std::size_t hadamard_core(std::size_t n) noexcept {
  if (n == 0) return 0;
  std::size_t odd = n;
  while (odd % 2 == 0) odd /= 2;
  if (odd == 1) return 1;
  for (std::size_t m = 4 * odd; m <= 256 && n % m == 0; m *= 2) {
    if (is_paley_one(m) || is_paley_two(m)) return m;
  }
  return 0;
}

/// chi(a - b) modulo q: 1 for squares, -1 for others, 0 on the diagonal.
class residues {
 public:
  explicit residues(std::size_t q) : chi_(q, -1) {
    for (std::size_t i = 1; i < q; ++i) chi_[i * i % q] = 1;
    chi_[0] = 0;
  }
  [[nodiscard]] int operator()(std::size_t a, std::size_t b) const {
    return chi_[(a + chi_.size() - b) % chi_.size()];
  }

 private:
  std::vector<int> chi_;
};

/// A Hadamard matrix of order m, row by row as +-1: m = 1 or is_paley_one(m) or is_paley_two(m).
/// Both border the matrix Q of chi(a - b) with a row and a column of ones:
///
///   type I   1 + [0 1; -1 Q]
///   type II  C x [1 1; 1 -1] + 1 x [1 -1; -1 -1],   C = [0 1; 1 Q]
[[nodiscard]] inline std::vector<float> paley_matrix(std::size_t m) {
  std::vector<float> h(m * m, 1.0f);
  if (m == 1) return h;
  const bool one = is_paley_one(m);
  const residues chi(one ? m - 1 : m / 2 - 1);
  const auto bordered = [&](std::size_t i, std::size_t j) {
    if (i == 0 || j == 0) return i == j ? 0 : j == 0 && one ? -1 : 1;
    return chi(i - 1, j - 1);
  };
  for (std::size_t i = 0; i < m; ++i) {
    for (std::size_t j = 0; j < m; ++j) {
      int value = 0;
      if (one) {
        value = (i == j ? 1 : 0) + bordered(i, j);
      } else {
        const int c = bordered(i / 2, j / 2), corner = i % 2 == 1 && j % 2 == 1 ? -1 : 1;
        value = i / 2 == j / 2 ? (i % 2 == 0 && j % 2 == 0 ? 1 : -1) : c * corner;
      }
      h[i * m + j] = static_cast<float>(value);
    }
  }
  return h;
}

}  // namespace detail

/// R for rows of n values. The same n and seed give the same R everywhere. Rotating a row takes
/// n * (k + m) additions; the result of a row has the same bits from every executor.
class hadamard_rotation {
 public:
  /// Sizes that work: powers of two, and n = 2^k * m for Paley's m up to 256: 12, 20, 28, 36, 44,
  /// 60, 68, 76, 84, 104, ..., so 768, 1536, 2304, 2560, 3072, 3584, 5120 among others.
  [[nodiscard]] static constexpr bool supports(std::size_t n) noexcept {
    return detail::hadamard_core(n) != 0;
  }

  /// Throws `error` for a size that does not work.
  explicit hadamard_rotation(std::size_t n, std::uint64_t seed = 0)
      : core_size_(detail::hadamard_core(n)), signs_(n) {
    ZP_REQUIRE(supports(n), "hadamard: no matrix of size ", n,
               ", expected 2^k * m with m = 1 or 12, 20, 28, 36, 44, 60, ... up to 256");
    core_ = detail::paley_matrix(core_size_);
    for (float& sign : signs_) {  // splitmix64, highest bit
      std::uint64_t z = seed += 0x9e3779b97f4a7c15u;
      z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
      z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
      sign = (z ^ (z >> 31)) >> 63 != 0 ? -1.0f : 1.0f;
    }
  }

  [[nodiscard]] std::size_t size() const noexcept { return signs_.size(); }

  /// Every row of x [m, n] times R, in place. A row with a NaN or an infinity has no finite value
  /// left afterwards. Throws `error` when the number of columns is not n.
  template <executor Executor = serial>
  void apply(matrix_view<float> x, const Executor& ex = {}) const {
    require_columns(x);
    ex(x.rows(), [&](std::size_t i) {
      float* v = x.data() + i * x.stride();
      for (std::size_t j = 0; j < size(); ++j) v[j] *= signs_[j] * norm();  // first: less overflow
      if (core_size_ > 1) multiply_core(v, false);
      butterflies(v);
    });
  }
  /// Every row times R^T, in place: undoes apply() but for rounding.
  template <executor Executor = serial>
  void undo(matrix_view<float> x, const Executor& ex = {}) const {
    require_columns(x);
    ex(x.rows(), [&](std::size_t i) {
      float* v = x.data() + i * x.stride();
      for (std::size_t j = 0; j < size(); ++j) v[j] *= norm();
      butterflies(v);
      if (core_size_ > 1) multiply_core(v, true);
      for (std::size_t j = 0; j < size(); ++j) v[j] *= signs_[j];
    });
  }

 private:
  [[nodiscard]] float norm() const noexcept {
    return static_cast<float>(1.0 / std::sqrt(static_cast<double>(size())));
  }
  void require_columns(matrix_view<const float> x) const {
    ZP_REQUIRE(x.cols() == size(), "hadamard: rows of ", x.cols(), " values, expected ", size());
  }
  /// Each m values times H_m, or its transpose. Products with +-1 are exact, so that no fused
  /// multiply-add changes a bit.
  void multiply_core(float* v, bool transposed) const noexcept {
    const std::size_t m = core_size_;
    float sum[256];
    for (std::size_t first = 0; first < size(); first += m) {
      std::fill_n(sum, m, 0.0f);
      for (std::size_t b = 0; b < m; ++b) {
        const float value = v[first + b];
        for (std::size_t j = 0; j < m; ++j) {
          sum[j] += value * core_[transposed ? j * m + b : b * m + j];
        }
      }
      std::copy_n(sum, m, v + first);
    }
  }
  /// The factors [1 1; 1 -1], over distances m, 2m, 4m, ...
  void butterflies(float* v) const noexcept {
    for (std::size_t h = core_size_; h < size(); h *= 2) {
      for (std::size_t i = 0; i < size(); i += 2 * h) {
        for (std::size_t j = i; j < i + h; ++j) {
          const float a = v[j], b = v[j + h];
          v[j] = a + b;
          v[j + h] = a - b;
        }
      }
    }
  }

  std::size_t core_size_;
  std::vector<float> core_;  ///< [m, m], +-1
  std::vector<float> signs_;
};

/// W R, as [out, in] whatever the layout it came in: what a rotated layer is made of.
class rotated_weight {
 public:
  /// Throws `error` when the number of inputs is not the rotation's size.
  template <weight Weight>
  rotated_weight(const Weight& w, const hadamard_rotation& r)
      : values_(w.out() * w.in()), out_(w.out()), in_(w.in()) {
    for (std::size_t j = 0; j < out_; ++j) {
      for (std::size_t k = 0; k < in_; ++k) {
        values_[j * in_ + k] = Weight::output == axis::rows ? w.values(j, k) : w.values(k, j);
      }
    }
    r.apply({values_.data(), out_, in_});
  }
  [[nodiscard]] linear_weight get() const { return {{values_.data(), out_, in_}}; }

 private:
  aligned_buffer<float> values_;
  std::size_t out_, in_;
};

/// y = layer(x R), for a layer made of W R: the rotation is done while the model runs, and nothing
/// outside the layer changes.
///
///   const hadamard_rotation r(768);
///   const rotated_linear layer(r, dynamic_linear(rotated_weight(linear_weight{w}, r).get(), bias));
///
/// A static layer needs the range of the rotated activations: r.apply() before the observer.
template <class Layer>
class rotated_linear {
 public:
  /// Throws `error` when the layer's inputs are not the rotation's size.
  rotated_linear(hadamard_rotation r, Layer layer)
      : rotation_(std::move(r)), layer_(std::move(layer)) {
    ZP_REQUIRE(rotation_.size() == layer_.in(), "rotated_linear: a rotation of ", rotation_.size(),
               " values for a layer of ", layer_.in(), " inputs");
  }

  /// y [m, out] from x [m, in]. Makes a copy of x, which of one row lies on the stack.
  template <executor Executor = serial>
  void operator()(matrix_view<const float> x, matrix_view<float> y, const Executor& ex = {}) const {
    detail::row_scratch memory(x.size() * sizeof(float));
    layer_(rotate(x, memory.as<float>(), ex), y, ex);
  }
  /// The twin (simulation.hpp) of the layer, on the same rotated activations.
  template <class Result, executor Executor = serial>
  void simulate(matrix_view<const float> x, const Result& result, const Executor& ex = {}) const {
    detail::row_scratch memory(x.size() * sizeof(float));
    layer_.simulate(rotate(x, memory.as<float>(), ex), result, ex);
  }
  [[nodiscard]] double rounding_units() const noexcept { return layer_.rounding_units(); }

  [[nodiscard]] std::size_t in() const noexcept { return layer_.in(); }
  [[nodiscard]] std::size_t out() const noexcept { return layer_.out(); }
  [[nodiscard]] const hadamard_rotation& rotation() const noexcept { return rotation_; }
  [[nodiscard]] const Layer& layer() const noexcept { return layer_; }
  [[nodiscard]] Layer& layer() noexcept { return layer_; }

 private:
  /// [m, in] without a stride.
  template <class Executor>
  [[nodiscard]] matrix_view<const float> rotate(matrix_view<const float> x, float* rotated,
                                                const Executor& ex) const {
    for (std::size_t i = 0; i < x.rows(); ++i) {
      std::copy_n(x.row(i).data(), x.cols(), rotated + i * x.cols());
    }
    const matrix_view<float> rows(rotated, x.rows(), x.cols());
    rotation_.apply(rows, ex);
    return rows;
  }

  hadamard_rotation rotation_;
  Layer layer_;
};

}  // namespace zeropoint::inline ZP_BASELINE
