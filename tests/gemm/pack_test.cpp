#include <zeropoint/gemm/pack.hpp>

#include "support/product.hpp"

namespace zp = zeropoint;

TEST_CASE("a packed panel is the picture of kernel.hpp") {
  // 2 outputs, K = 6, groups of 4, panels of 4 columns: the rest is zeros.
  const std::vector<std::int8_t> w{1, 2, 3, 4, 5, 6, -1, -2, -3, -4, -5, -6};
  const auto& kernel = zp::kernels::scalar::specification<4, 4, zp::kernels::operand::s8>;
  const auto packed = zp::pack(zp::matrix_view<const std::int8_t>(w.data(), 2, 6), kernel);
  const std::vector<std::int8_t> expected{1, 2, 3, 4, -1, -2, -3, -4, 0, 0, 0, 0, 0, 0, 0, 0,
                                          5, 6, 0, 0, -5, -6, 0,  0,  0, 0, 0, 0, 0, 0, 0, 0};
  REQUIRE(packed.panels() == 1);
  REQUIRE(std::vector<std::int8_t>(packed.panel(0), packed.panel(0) + packed.panel_bytes()) ==
          expected);
  REQUIRE(packed.column_sums().size() == 2);
  REQUIRE(packed.column_sums()[0] == 21);
  REQUIRE(packed.column_sums()[1] == -21);
  REQUIRE(packed.bytes() == 32 + 4 * sizeof(std::int32_t));
  REQUIRE(&packed.kernel() == &kernel);
}

TEST_CASE("both orientations pack to the same bytes, with any stride") {
  test::generator g(1);
  for (const auto* kernel : test::kernels_here()) {
    for (const std::size_t n : {0u, 1u, 17u, 100u}) {
      for (const std::size_t k : {0u, 1u, 6u, 33u}) {
        INFO(kernel->name << ' ' << n << " x " << k);
        const test::codes<std::int8_t> w(n, k, test::pattern::random, g, 3, 1);
        test::codes<std::int8_t> t(k, n, test::pattern::random, g, 2, 5);
        for (std::size_t j = 0; j < n; ++j) {
          for (std::size_t i = 0; i < k; ++i) {
            t.storage[t.offset + i * t.stride + j] = w.view()(j, i);
          }
        }
        const auto a = zp::pack(w.view(), *kernel), b = zp::pack_transposed(t.view(), *kernel);
        REQUIRE(a.n() == n);
        REQUIRE(a.k() == k);
        REQUIRE(b.n() == n);
        REQUIRE(b.k() == k);
        REQUIRE(a.bytes() == b.bytes());
        REQUIRE(std::equal(a.panel(0), a.panel(0) + a.panels() * a.panel_bytes(), b.panel(0)));
        REQUIRE(
            std::equal(a.column_sums().begin(), a.column_sums().end(), b.column_sums().begin()));
      }
    }
  }
}

TEST_CASE("the preferred panel width, unless it wastes a twenty-fourth more columns") {
  static constexpr zp::kernels::panel_format formats[] = {{8, 48, nullptr}, {6, 64, nullptr}};
  zp::kernels::kernel kernel;
  kernel.formats = formats, kernel.format_count = 2;
  REQUIRE(kernel.format_for(2304).nr == 48);
  REQUIRE(kernel.format_for(768).nr == 48);
  REQUIRE(kernel.format_for(1024).nr == 48);  // 22 panels are 1056 columns
  REQUIRE(kernel.format_for(2048).nr == 48);
  REQUIRE(kernel.format_for(384).nr == 48);
  REQUIRE(kernel.format_for(256).nr == 64);  // 6 would be 288
  REQUIRE(kernel.format_for(128).nr == 64);
  REQUIRE(kernel.format_for(64).nr == 64);
  REQUIRE(kernel.format_for(50257).nr == 48);
  REQUIRE(kernel.format_for(1).nr == 48);
}

TEST_CASE("packing for a kernel that does not run here is refused") {
  auto kernel = zp::kernels::scalar::table;
  kernel.name = "from_the_future";
  kernel.needs = static_cast<zp::isa>(1u << 31);
  const std::vector<std::int8_t> w(4);
  REQUIRE_THROWS_WITH(zp::pack(zp::matrix_view<const std::int8_t>(w.data(), 2, 2), kernel),
                      Catch::Contains("from_the_future"));
}

TEST_CASE("a copy of packed weights is independent, a default one is empty") {
  const std::vector<std::int8_t> w{1, 2, 3, 4};
  auto packed = zp::pack(zp::matrix_view<const std::int8_t>(w.data(), 2, 2));
  const auto copy = packed;
  packed = {};
  REQUIRE(packed.n() == 0);
  REQUIRE(packed.bytes() == 0);
  REQUIRE(copy.column_sums()[1] == 7);
}
