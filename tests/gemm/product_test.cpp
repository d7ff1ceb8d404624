// What follows a kernel: activation functions and the codes of the next layer.
#include <zeropoint/gemm/int4.hpp>

#include "support/executors.hpp"
#include "support/product.hpp"

namespace zp = zeropoint;
using zp::activation_function;

namespace {

/// a [m, k] and packed w [n, k] with scales, zero points and bias of every kind.
struct layer {
  layer(std::size_t m, std::size_t n, std::size_t k, const zp::kernels::kernel& kernel,
        test::generator& g)
      : a(m, k, test::pattern::random, g),
        w(n, k, test::pattern::random, g),
        packed(zp::pack(w.view(), kernel)) {
    for (std::size_t i = 0; i < m; ++i) rows.push_back(test::uniform(g, 1e-4f, 3e-4f));
    for (std::size_t j = 0; j < n; ++j) {
      columns.push_back(test::uniform(g, 0.5f, 2.0f));
      bias.push_back(test::uniform(g, -2.0f, 2.0f));
      zeros.push_back(static_cast<std::int32_t>(j % 7) - 3);
    }
  }
  [[nodiscard]] zp::dequantization to_real(activation_function f) const {
    return {.row_scales = rows,
            .column_scales = columns,
            .bias = bias,
            .column_zero_points = zeros,
            .activation = f};
  }
  test::codes<std::int8_t> a, w;
  zp::packed_weights packed;
  std::vector<float> rows, columns, bias;
  std::vector<std::int32_t> zeros;
};

constexpr activation_function functions[] = {activation_function::none, activation_function::relu,
                                             activation_function::gelu_tanh,
                                             activation_function::silu};

template <class Q, class Executor>
void compare_codes(const layer& l, activation_function f, const zp::params& p, const Executor& ex) {
  const std::size_t m = l.a.rows, n = l.w.rows, stride = n + 5;
  std::vector<float> y(m * n);
  zp::gemm(l.a.view(), l.packed, l.to_real(f), zp::matrix_view<float>(y.data(), m, n));
  std::vector<Q> expected(m * stride, Q{99}), found(m * stride, Q{99});
  const auto counts = zp::quantize_into(zp::matrix_view<const float>(y.data(), m, n), p,
                                        zp::matrix_view<Q>(expected.data(), m, n, stride));
  const auto seen = zp::gemm(l.a.view(), l.packed, l.to_real(f), p,
                             zp::matrix_view<Q>(found.data(), m, n, stride), ex);
  REQUIRE(found == expected);
  REQUIRE((seen == counts));
}

}  // namespace

TEST_CASE("gemm to codes equals gemm to floats and quantize_into") {
  const auto seed = test::seed(91);
  INFO(test::seed_text(seed));
  for (const auto* kernel : test::kernels_here()) {
    test::generator g(seed);
    for (const std::size_t m : {1u, 7u, 48u, 101u}) {
      for (const std::size_t n : {1u, 47u, 64u, 100u}) {
        const layer l(m, n, 37, *kernel, g);
        for (const activation_function f : functions) {
          INFO(kernel->name << ' ' << m << " x " << n << ", function " << static_cast<int>(f));
          compare_codes<std::int8_t>(l, f, {0.05f, 0, -127, 127}, zp::serial{});
          compare_codes<std::int8_t>(l, f, {0.02f, -11, -128, 127}, test::backwards{});
          compare_codes<std::uint8_t>(l, f, {0.01f, 13, 0, 255}, zp::serial{});
        }
      }
    }
  }
}

TEST_CASE("an activation function follows the product, in the columns of the output alone") {
  const auto seed = test::seed(92);
  INFO(test::seed_text(seed));
  for (const auto* kernel : test::kernels_here()) {
    test::generator g(seed);
    const std::size_t m = 19, n = 53, stride = 60;
    const layer l(m, n, 65, *kernel, g);
    std::vector<float> plain(m * stride, 7.5f);
    zp::gemm(l.a.view(), l.packed, l.to_real(activation_function::none),
             zp::matrix_view<float>(plain.data(), m, n, stride));
    for (const activation_function f : functions) {
      INFO(kernel->name << ' ' << static_cast<int>(f));
      std::vector<float> expected = plain, found(m * stride, 7.5f);
      zp::kernels::rows_baseline::activate({f, m, n, stride, expected.data()});
      zp::gemm(l.a.view(), l.packed, l.to_real(f),
               zp::matrix_view<float>(found.data(), m, n, stride));
      REQUIRE(found == expected);
      if (f != activation_function::none) REQUIRE(found != plain);
    }
  }
}

TEST_CASE("4-bit weights: the same activation functions") {
  test::generator g(test::seed(93));
  const std::size_t m = 5, n = 41, k = 64;
  const test::codes<std::int8_t> a(m, k, test::pattern::random, g);
  for (const auto* kernel : test::kernels_here()) {
    const zp::packed_int4_weights w(
        n, k, 32,
        [](std::size_t j, std::size_t i) { return static_cast<int>((j + 3 * i) % 15) - 7; },
        [](std::size_t, std::size_t) {
          return zp::params{0.01f, 0, -7, 7};
        },
        *kernel);
    const float scale = 0.02f;
    std::vector<float> expected(m * n);
    zp::gemm(a.view(), w, {.row_scales = {&scale, 1}},
             zp::matrix_view<float>(expected.data(), m, n));
    for (const activation_function f : functions) {
      INFO(kernel->name << ' ' << static_cast<int>(f));
      std::vector<float> y(m * n), after = expected;
      zp::kernels::rows_baseline::activate({f, m, n, n, after.data()});
      zp::gemm(a.view(), w, {.row_scales = {&scale, 1}, .activation = f},
               zp::matrix_view<float>(y.data(), m, n));
      REQUIRE(y == after);
    }
  }
}

TEST_CASE("codes that the storage type cannot hold are refused") {
  test::generator g(1);
  const layer l(2, 3, 4, zp::kernels::best(), g);
  std::int8_t codes[6];
  const zp::matrix_view<std::int8_t> to(codes, 2, 3);
  const auto d = l.to_real(activation_function::none);
  CHECK_THROWS_AS(zp::gemm(l.a.view(), l.packed, d, {1.0f, 128, 0, 255}, to), zp::error);
  CHECK_THROWS_AS(zp::gemm(l.a.view(), l.packed, d, {0.0f, 0, -127, 127}, to), zp::error);
}
