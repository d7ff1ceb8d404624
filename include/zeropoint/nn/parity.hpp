// Does a quantized layer compute what it claims? Each layer against its float-simulated twin,
// element by element, with a tolerance that is derived and not chosen:
//
//   |layer(i, j) - twin(i, j)| <= units * 2^-24 * magnitude(i, j) + 2^-118
//
// magnitude = sum |x' w'| + |bias|, units = the layer's rounding_units(): how often either side
// rounds to float, each time by at most 2^-24 of something that is at most the magnitude. 2^-118
// covers results that are subnormal. The factor 1.001 covers products of two roundings and the
// double sums.
#pragma once

#include <zeropoint/base/aligned_buffer.hpp>
#include <zeropoint/base/executor.hpp>
#include <zeropoint/nn/simulation.hpp>

#include <concepts>
#include <string>
#include <string_view>

namespace zeropoint::inline ZP_BASELINE {

/// A layer that can be checked: callable, and with a twin.
template <class Layer>
concept simulated_layer = requires(const Layer& layer, matrix_view<const float> x,
                                   matrix_view<float> y, const simulated& twin) {
  layer(x, y, serial{});
  layer.simulate(x, twin, serial{});
  { layer.out() } -> std::convertible_to<std::size_t>;
  { layer.rounding_units() } -> std::convertible_to<double>;
};

/// The outcome of one comparison. When it fails, the first element (row by row) where the two
/// differ by more than the tolerance; otherwise row .. tolerance belong to the worst element.
struct parity_report {
  bool agrees = true;
  std::string layer;
  std::size_t row = 0, col = 0;
  float integer = 0;    ///< what the layer gave
  float simulated = 0;  ///< what its twin gave
  float tolerance = 0;  ///< allowed |difference|
  double used = 0;      ///< |difference| / tolerance of that element
};

/// |a - b| as a share of the tolerance for this magnitude. Equal values, two NaNs included, give 0;
/// a difference that is not finite gives +inf.
[[nodiscard]] inline double parity_share(float a, float b, double tolerance) noexcept {
  if (a == b || (a != a && b != b)) return 0;
  const double difference = std::fabs(static_cast<double>(a) - static_cast<double>(b));
  if (!std::isfinite(difference) || !std::isfinite(tolerance)) {
    return std::numeric_limits<double>::infinity();
  }
  return difference / tolerance;
}

/// Runs `layer` and its twin on x [m, in] and compares.
template <simulated_layer Layer, executor Executor = serial>
[[nodiscard]] parity_report compare_with_twin(std::string_view name, const Layer& layer,
                                              matrix_view<const float> x, const Executor& ex = {}) {
  const std::size_t m = x.rows(), n = layer.out();
  aligned_buffer<float> storage[3] = {aligned_buffer<float>(m * n), aligned_buffer<float>(m * n),
                                      aligned_buffer<float>(m * n)};
  const matrix_view<float> y(storage[0].data(), m, n), twin(storage[1].data(), m, n),
      magnitude(storage[2].data(), m, n);
  layer(x, y, ex);
  layer.simulate(x, zeropoint::simulated{twin, magnitude}, ex);
  parity_report report;
  report.layer = name;
  for (std::size_t i = 0; i < m; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      const double tolerance =
          1.001 * layer.rounding_units() * 0x1p-24 * static_cast<double>(magnitude(i, j)) +
          0x1p-118;
      const double used = parity_share(y(i, j), twin(i, j), tolerance);
      if (used <= report.used && !(i == 0 && j == 0)) continue;
      report.row = i, report.col = j, report.used = used;
      report.integer = y(i, j), report.simulated = twin(i, j);
      report.tolerance = static_cast<float>(tolerance);
      if (used > 1) {
        report.agrees = false;
        return report;
      }
    }
  }
  return report;
}

/// Walks the layers of a model in order and remembers the first that differs from its twin. Each is
/// compared on the input it is given, so one faulty layer does not blame those behind it.
class parity_checker {
 public:
  /// True when this layer agrees.
  template <simulated_layer Layer, executor Executor = serial>
  bool check(std::string_view name, const Layer& layer, matrix_view<const float> x,
             const Executor& ex = {}) {
    ++layers_;
    parity_report report = compare_with_twin(name, layer, x, ex);
    const bool agrees = report.agrees;
    const bool replaces = !agrees || report.used >= report_.used || layers_ == 1;
    if (report_.agrees && replaces) report_ = std::move(report);
    return agrees;
  }

  [[nodiscard]] bool agrees() const noexcept { return report_.agrees; }
  [[nodiscard]] std::size_t layers() const noexcept { return layers_; }
  /// The first layer that differs; when none does, the one that came closest to its tolerance.
  [[nodiscard]] const parity_report& report() const noexcept { return report_; }

 private:
  parity_report report_;
  std::size_t layers_ = 0;
};

}  // namespace zeropoint::inline ZP_BASELINE
