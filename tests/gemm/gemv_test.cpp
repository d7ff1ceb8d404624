#include <zeropoint/gemm/gemv.hpp>

#include "support/product.hpp"

namespace zp = zeropoint;

TEST_CASE("gemv is gemm with one row") {
  test::generator g(1);
  for (const auto* kernel : test::kernels_here()) {
    for (const std::size_t n : {0u, 1u, 64u, 99u, 770u}) {
      for (const std::size_t k : {0u, 1u, 15u, 16u, 17u, 768u}) {
        INFO(kernel->name << ' ' << n << " x " << k);
        const test::codes<std::int8_t> a(1, k, test::pattern::random, g);
        const test::codes<std::int8_t> w(n, k, test::pattern::random, g);
        const auto packed = zp::pack(w.view(), *kernel);
        const auto expected = test::reference(a.view(), w.view());
        std::vector<std::int32_t> c(n);
        zp::gemv(std::span(a.storage).first(k), packed, std::span(c));
        REQUIRE(test::difference(expected, c, n) == "");

        const std::vector<float> row{0.3f}, column{0.7f};
        std::vector<float> y(n);
        zp::gemv(std::span(a.storage).first(k), packed, zp::dequantization{row, column},
                 std::span(y));
        for (std::size_t j = 0; j < n; ++j) {
          REQUIRE(y[j] == static_cast<float>(expected[j]) * (0.3f * 0.7f));
        }
      }
    }
  }
}
