// Samples and errors, by plain loops.
#include <lab/gallery/sample.hpp>

namespace lab {

float dice::normal() {
  const double u = (static_cast<double>(bits_() >> 11) + 0.5) * 0x1p-53;
  const double v = uniform();
  return static_cast<float>(std::sqrt(-2.0 * std::log(u)) * std::cos(6.283185307179586 * v));
}

sample dice::normals(std::size_t rows, std::size_t cols, float deviation) {
  sample x(rows, cols);
  for (float& v : x.values) v = deviation * normal();
  return x;
}

sample product(const sample& x, const sample& w) {
  sample y(x.rows, w.rows);
  for (std::size_t i = 0; i < x.rows; ++i) {
    for (std::size_t j = 0; j < w.rows; ++j) {
      double sum = 0;
      for (std::size_t k = 0; k < x.cols; ++k) {
        sum += static_cast<double>(x(i, k)) * static_cast<double>(w(j, k));
      }
      y(i, j) = static_cast<float>(sum);
    }
  }
  return y;
}

sample transposed(const sample& x) {
  sample t(x.cols, x.rows);
  for (std::size_t i = 0; i < x.rows; ++i) {
    for (std::size_t j = 0; j < x.cols; ++j) t(j, i) = x(i, j);
  }
  return t;
}

namespace {

double error_of(const float* exact, const float* y, std::size_t n) {
  double error = 0, signal = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const double e = static_cast<double>(exact[i]) - static_cast<double>(y[i]);
    error += e * e;
    signal += static_cast<double>(exact[i]) * static_cast<double>(exact[i]);
  }
  return std::sqrt(error / signal);
}

}  // namespace

double relative_error(const sample& exact, const sample& y) {
  return error_of(exact.values.data(), y.values.data(), exact.values.size());
}

double mean_row_error(const sample& exact, const sample& y) {
  double sum = 0;
  for (std::size_t i = 0; i < exact.rows; ++i) {
    sum += error_of(exact.view().row(i).data(), y.view().row(i).data(), exact.cols);
  }
  return sum / static_cast<double>(exact.rows);
}

double share_not_finite(const sample& y) {
  std::size_t count = 0;
  for (const float v : y.values) count += std::isfinite(v) ? 0u : 1u;
  return static_cast<double>(count) / static_cast<double>(y.values.size());
}

rounded_sample through(const zeropoint::params& grid, const sample& x) {
  rounded_sample result{sample(x.rows, x.cols), {}};
  std::vector<std::int8_t> codes(x.values.size());
  const std::span<std::int8_t> to(codes);
  zeropoint::quantize_row(std::span<const float>(x.values), grid, to, result.damage);
  zeropoint::dequantize_row(std::span<const std::int8_t>(codes), grid,
                            std::span<float>(result.values.values));
  return result;
}

}  // namespace lab
