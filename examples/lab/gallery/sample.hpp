// What the experiments share: seeded samples, products in double, and errors.
#pragma once

#include <zeropoint/math/quantize.hpp>

#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

namespace lab {

/// Row-major floats. Activations are [tokens, in], weights [out, in].
struct sample {
  sample(std::size_t r, std::size_t c) : rows(r), cols(c), values(r * c) {}

  std::size_t rows, cols;
  std::vector<float> values;

  float& operator()(std::size_t i, std::size_t j) { return values[i * cols + j]; }
  float operator()(std::size_t i, std::size_t j) const { return values[i * cols + j]; }
  [[nodiscard]] zeropoint::matrix_view<const float> view() const {
    return {values.data(), rows, cols};
  }
  [[nodiscard]] zeropoint::matrix_view<float> view() { return {values.data(), rows, cols}; }
};

/// Random numbers with the same bits from every standard library.
class dice {
 public:
  explicit dice(std::uint64_t seed) : bits_(seed) {}

  /// Uniform in [0, 1).
  double uniform() { return static_cast<double>(bits_() >> 11) * 0x1p-53; }
  /// One of 0 .. n - 1.
  std::size_t below(std::size_t n) { return static_cast<std::size_t>(bits_() % n); }
  /// Standard normal (Box-Muller).
  float normal();
  /// [rows, cols] of standard normals times `deviation`.
  sample normals(std::size_t rows, std::size_t cols, float deviation = 1.0f);

 private:
  std::mt19937_64 bits_;
};

/// y [m, out] = x [m, in] * w^T, w [out, in], summed in double.
[[nodiscard]] sample product(const sample& x, const sample& w);
/// Swaps rows and columns.
[[nodiscard]] sample transposed(const sample& x);

/// sqrt(sum (exact - y)^2 / sum exact^2): 0 is perfect, 1 as bad as answering zero.
[[nodiscard]] double relative_error(const sample& exact, const sample& y);
/// The mean over rows (tokens) of their relative errors: no token outweighs the others.
[[nodiscard]] double mean_row_error(const sample& exact, const sample& y);
/// Share of the values that are NaN or infinite.
[[nodiscard]] double share_not_finite(const sample& y);

/// What a layer of zeropoint makes of x.
template <class Layer>
[[nodiscard]] sample apply(const Layer& layer, const sample& x) {
  sample y(x.rows, layer.out());
  layer(x.view(), y.view());
  return y;
}

template <class T>
[[nodiscard]] sample dequantized(const zeropoint::quantized_matrix<T>& q) {
  sample x(q.rows(), q.cols());
  q.dequantize(x.view());
  return x;
}

/// x through one given grid and back, and what that did.
struct rounded_sample {
  sample values;
  zeropoint::quantization_statistics damage;
};
/// Share of the values that became zero and were not.
[[nodiscard]] inline double underflow_fraction(const zeropoint::quantization_statistics& s) {
  return static_cast<double>(s.underflow) / static_cast<double>(s.count);
}
[[nodiscard]] rounded_sample through(const zeropoint::params& grid, const sample& x);

}  // namespace lab
