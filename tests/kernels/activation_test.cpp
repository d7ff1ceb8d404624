// The functions behind a product: one definition, however wide the vectors, and near the real one.
#include <zeropoint/kernels/row_registry.hpp>

#include "math/reference.hpp"
#include "support/guarded.hpp"

#include <bit>
#include <cmath>

namespace zp = zeropoint;
using zp::activation_function;

namespace {

constexpr activation_function all[] = {activation_function::none, activation_function::relu,
                                       activation_function::gelu_tanh, activation_function::silu};

/// In double. Where exp would leave the range of floats the definition ends at zero.
double expected(activation_function f, double x) {
  switch (f) {
    case activation_function::none:
      return x;
    case activation_function::relu:
      return x < 0 ? 0 : x;
    case activation_function::silu:
      return x < -88 ? 0 : x / (1 + std::exp(-x));
    case activation_function::gelu_tanh:
      break;
  }
  const double u = std::sqrt(2 / std::acos(-1.0)) * (x + 0.044715 * x * x * x);
  return x < -20 ? 0 : x / (1 + std::exp(-2 * u));
}

std::vector<float> computed(void (*activate)(const zp::kernels::activation_job&),
                            activation_function f, std::vector<float> x, std::size_t rows,
                            std::size_t cols, std::size_t stride) {
  activate({f, rows, cols, stride, x.data()});
  return x;
}

std::vector<std::uint32_t> bits(const std::vector<float>& x) {
  std::vector<std::uint32_t> all_bits;
  for (const float v : x) all_bits.push_back(std::bit_cast<std::uint32_t>(v));
  return all_bits;
}

}  // namespace

TEST_CASE("Activation functions are near the real ones") {
  std::vector<float> x;
  for (float v = -100; v <= 100; v += 0.0137f) x.push_back(v);
  for (const activation_function f : all) {
    const auto y = computed(zp::kernels::rows_baseline::activate, f, x, 1, x.size(), x.size());
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double e = expected(f, x[i]);
      INFO("function " << static_cast<int>(f) << " of " << x[i] << ": " << y[i]);
      // exp is off by 2e-7 relatively, the sum and the division by 2^-24 each: 4e-7. GELU's u is off
      // by 7 roundings, relatively 7 * 2^-24, and an error of 2 u is a relative one of exp(2 u). GELU
      // below -10 meets the ceiling of exp, at 20 / exp(88.3).
      const bool exact = f == activation_function::none || f == activation_function::relu;
      const bool gelu = f == activation_function::gelu_tanh;
      const double u = 0.8 * (std::fabs(x[i]) + 0.044715 * std::pow(std::fabs(x[i]), 3));
      const double relative = exact ? 0 : gelu ? 4e-7 + 14 * u * 0x1p-24 : 4e-7;
      REQUIRE(std::fabs(y[i] - e) <= std::fabs(e) * relative + (gelu ? 1e-37 : 0));
    }
  }
}

TEST_CASE("Activation functions at zero, NaN and the infinities") {
  constexpr float infinity = INFINITY;
  for (const activation_function f : all) {
    INFO(static_cast<int>(f));
    const auto y = computed(zp::kernels::rows_baseline::activate, f,
                            {0.0f, infinity, -infinity, NAN, -1e30f, 1e30f, 3e38f}, 1, 7, 7);
    CHECK(y[0] == 0);
    CHECK(y[1] == infinity);
    CHECK(y[2] == (f == activation_function::none ? -infinity : 0));
    CHECK(std::isnan(y[3]));
    CHECK(y[4] == (f == activation_function::none ? -1e30f : 0));
    CHECK(y[5] == 1e30f);
    CHECK(y[6] == 3e38f);
  }
}

TEST_CASE("Activation functions have the same bits at every width, and stay in their columns") {
  const auto seed = test::seed(90);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  for (const zp::kernels::row_loops* l : zp::kernels::all_rows()) {
    if (!zp::contains(zp::cpu_features(), l->needs)) continue;
    for (std::size_t cols = 0; cols <= 70; ++cols) {
      const std::size_t stride = cols + 3, rows = 3;
      std::vector<float> x = test::nasty(g, rows * stride, 4.0f, 20);
      for (const activation_function f : all) {
        INFO(l->name << ' ' << static_cast<int>(f) << ' ' << cols);
        const auto baseline =
            computed(zp::kernels::rows_baseline::activate, f, x, rows, cols, stride);
        REQUIRE(bits(computed(l->activate, f, x, rows, cols, stride)) == bits(baseline));
        for (std::size_t i = 0; i < x.size(); ++i) {
          if (i % stride >= cols) REQUIRE(bits({baseline[i]}) == bits({x[i]}));
        }
      }
    }
  }
}

TEST_CASE("Activation functions touch nothing outside their rows") {
  const auto seed = test::seed(94);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  std::vector<void (*)(const zp::kernels::activation_job&)> loops{
      zp::kernels::rows_baseline::activate};
  for (const zp::kernels::row_loops* l : zp::kernels::all_rows()) {
    if (zp::contains(zp::cpu_features(), l->needs)) loops.push_back(l->activate);
  }
  for (std::size_t which = 0; which < loops.size(); ++which) {
    for (std::size_t cols = 0; cols <= 70; ++cols) {
      for (const std::size_t rows : {1u, 3u}) {
        for (const bool front : {false, true}) {
          const std::size_t stride = cols + cols % 3, size = (rows - 1) * stride + cols;
          const std::vector<float> x = test::nasty(g, size, 4.0f, 20);
          for (const activation_function f : all) {
            INFO("loop " << which << ", function " << static_cast<int>(f) << ", " << rows << " x "
                         << cols << ", front " << front);
            const test::guarded<float> y(size, front);
            std::copy(x.begin(), x.end(), y.data());
            loops[which]({f, rows, cols, stride, y.data()});
            const auto expected = computed(loops[0], f, x, rows, cols, stride);
            REQUIRE(bits({y.data(), y.data() + size}) == bits(expected));
          }
        }
      }
    }
  }
}
