// The integer product against 64-bit sums: every kernel, shapes around every tile, extremes.
#include <zeropoint/gemm/gemm.hpp>

#include "support/product.hpp"

namespace zp = zeropoint;

namespace {

template <class A>
std::string product(const test::codes<A>& a, const test::codes<std::int8_t>& w,
                    const zp::kernels::kernel& kernel) {
  const auto packed = zp::pack(w.view(), kernel);
  std::vector<std::int32_t> c(a.rows * w.rows, 0x5A5A5A5A);
  zp::gemm(a.view(), packed, zp::matrix_view<std::int32_t>(c.data(), a.rows, w.rows));
  return test::difference(test::reference(a.view(), w.view()), c, w.rows);
}

}  // namespace

TEMPLATE_TEST_CASE("gemm equals 64-bit sums on every shape around the tiles", "", std::int8_t,
                   std::uint8_t) {
  const auto seed = test::seed(11);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  for (const std::size_t m : {0u, 1u, 2u, 3u, 5u, 6u, 7u, 8u, 9u, 13u, 17u}) {
    for (const std::size_t n : {0u, 1u, 15u, 16u, 17u, 47u, 48u, 49u, 64u, 65u, 97u}) {
      for (const std::size_t k : {0u, 1u, 2u, 3u, 4u, 5u, 7u, 31u, 64u, 67u}) {
        const test::codes<TestType> a(m, k, test::pattern::random, g);
        const test::codes<std::int8_t> w(n, k, test::pattern::random, g);
        for (const auto* kernel : test::kernels_here()) {
          INFO(kernel->name << ' ' << m << " x " << k << " x " << n);
          REQUIRE(product(a, w, *kernel) == "");
        }
      }
    }
  }
}

TEMPLATE_TEST_CASE("gemm is exact at the extremes of both types", "", std::int8_t, std::uint8_t) {
  test::generator g(1);
  for (const auto pa : test::patterns) {
    for (const auto pw : test::patterns) {
      for (const std::size_t k : {1u, 2u, 4u, 33u, 768u}) {
        const test::codes<TestType> a(9, k, pa, g);
        const test::codes<std::int8_t> w(50, k, pw, g);
        for (const auto* kernel : test::kernels_here()) {
          INFO(kernel->name << " pattern " << static_cast<int>(pa) << " x " << static_cast<int>(pw)
                            << " k = " << k);
          REQUIRE(product(a, w, *kernel) == "");
        }
      }
    }
  }
}

TEST_CASE("gemm multiplies all 65,536 pairs of int8 exactly, four to a sum") {
  // Row i holds one value of a four times; column j one of w: the pairs that break the sign trick
  // (x < 0, w = -128) and the saturating instructions are among them.
  test::codes<std::int8_t> a(256, 4, test::pattern::lowest, *std::make_unique<test::generator>(1));
  test::codes<std::int8_t> w = a;
  for (std::size_t i = 0; i < 256; ++i) {
    for (std::size_t k = 0; k < 4; ++k) {
      a.storage[i * 4 + k] = w.storage[i * 4 + k] = static_cast<std::int8_t>(i);
    }
  }
  for (const auto* kernel : test::kernels_here()) {
    INFO(kernel->name);
    REQUIRE(product(a, w, *kernel) == "");
  }
}

TEST_CASE("gemm handles a GPT-2 layer, long primes, and panels that are fetched ahead") {
  test::generator g(3);
  for (const auto& [m, k, n] : {std::array<std::size_t, 3>{5, 768, 2304},
                                {3, 3072, 101},
                                {2, 769, 257},
                                {1, 4099, 13},
                                {1, 768, 2304},
                                {40, 768, 1100},
                                {1, 8704, 129}}) {
    const test::codes<std::int8_t> a(m, k, test::pattern::random, g);
    const test::codes<std::int8_t> w(n, k, test::pattern::random, g);
    for (const auto* kernel : test::kernels_here()) {
      INFO(kernel->name << ' ' << m << " x " << k << " x " << n);
      REQUIRE(product(a, w, *kernel) == "");
    }
  }
}

TEST_CASE("gemm splits many rows into blocks") {
  test::generator g(5);
  const test::codes<std::int8_t> a(1500, 1031, test::pattern::random, g);
  const test::codes<std::int8_t> w(3, 1031, test::pattern::random, g);
  for (const auto* kernel : test::kernels_here()) {
    INFO(kernel->name);
    REQUIRE(product(a, w, *kernel) == "");
  }
}

TEMPLATE_TEST_CASE("gemm reads strides and unaligned rows and writes only its own columns", "",
                   std::int8_t, std::uint8_t) {
  test::generator g(7);
  for (const std::size_t gap : {1u, 3u, 64u}) {
    for (const std::size_t offset : {0u, 1u, 3u}) {
      // k = 2048 - gap makes the stride 2048: rows that collide in the cache are copied.
      for (const std::size_t k : {std::size_t{8}, std::size_t{61}, 2048 - gap}) {
        const test::codes<TestType> a(10, k, test::pattern::random, g, gap, offset);
        const test::codes<std::int8_t> w(53, k, test::pattern::random, g, gap, offset);
        const auto expected = test::reference(a.view(), w.view());
        for (const auto* kernel : test::kernels_here()) {
          INFO(kernel->name << " gap " << gap << " offset " << offset << " k " << k);
          const std::int32_t untouched = 0x12345678;
          const std::size_t stride = 53 + gap;
          std::vector<std::int32_t> c(10 * stride + offset, untouched);
          zp::gemm(a.view(), zp::pack(w.view(), *kernel),
                   zp::matrix_view<std::int32_t>(c.data() + offset, 10, 53, stride));
          for (std::size_t i = 0; i < c.size(); ++i) {
            const bool inside = i >= offset && (i - offset) % stride < 53;
            const std::size_t at = inside ? (i - offset) / stride * 53 + (i - offset) % stride : 0;
            REQUIRE(c[i] == (inside ? expected[at] : untouched));
          }
        }
      }
    }
  }
}

TEST_CASE("gemm is exact at the largest depth and refuses the next") {
  const auto check = []<class A>(A low, std::size_t bound) {
    for (const auto* kernel : test::kernels_here()) {
      INFO(kernel->name << " bound " << bound);
      std::vector<A> a(bound + 1, low);
      std::vector<std::int8_t> w(bound + 1, std::int8_t{-128});
      std::int32_t c = 0;
      const auto run = [&](std::size_t k) {
        zp::gemm(zp::matrix_view<const A>(a.data(), 1, k),
                 zp::pack(zp::matrix_view<const std::int8_t>(w.data(), 1, k), *kernel),
                 zp::matrix_view<std::int32_t>(&c, 1, 1));
      };
      run(bound);
      REQUIRE(c == static_cast<std::int64_t>(bound) * low * -128);
      REQUIRE_THROWS_WITH(run(bound + 1), Catch::Contains(std::to_string(bound)) &&
                                              Catch::Contains(std::to_string(bound + 1)));
    }
  };
  check(std::int8_t{-128}, 131071);
  check(std::uint8_t{255}, 65793);
}

TEST_CASE("gemm takes any view of codes, const or not") {
  std::vector<std::int8_t> a{1, 2, 3, 4, 5, 6};
  std::vector<std::int32_t> c(3);
  const auto packed = zp::pack(zp::matrix_view<const std::int8_t>(a.data(), 1, 2));
  zp::gemm(zp::matrix_view<std::int8_t>(a.data(), 3, 2), packed,
           zp::matrix_view<std::int32_t>(c.data(), 3, 1));
  REQUIRE(c == std::vector<std::int32_t>{5, 11, 17});
}

TEST_CASE("gemm says what does not fit, with both numbers") {
  std::vector<std::int8_t> a(64), w(64);
  std::vector<std::int32_t> c(64);
  const auto packed = zp::pack(zp::matrix_view<const std::int8_t>(w.data(), 4, 8));
  const auto run = [&](std::size_t m, std::size_t k, std::size_t rows, std::size_t cols) {
    zp::gemm(zp::matrix_view<const std::int8_t>(a.data(), m, k), packed,
             zp::matrix_view<std::int32_t>(c.data(), rows, cols));
  };
  REQUIRE_THROWS_WITH(run(2, 7, 2, 4), "gemm: a has 7 columns, the packed weights have k = 8");
  REQUIRE_THROWS_WITH(run(2, 8, 3, 4), "gemm: the output is 3 x 4, expected 2 x 4");
  REQUIRE_THROWS_WITH(run(2, 8, 2, 5), "gemm: the output is 2 x 5, expected 2 x 4");
  REQUIRE_NOTHROW(run(2, 8, 2, 4));

  // The output may not lie over a, not even by one element.
  auto* overlapping = reinterpret_cast<std::int8_t*>(c.data());
  const auto run_at = [&](std::size_t byte) {
    zp::gemm(zp::matrix_view<const std::int8_t>(overlapping + byte, 1, 8), packed,
             zp::matrix_view<std::int32_t>(c.data() + 4, 1, 4));
  };
  REQUIRE_NOTHROW(run_at(8));
  REQUIRE_THROWS_WITH(run_at(9), Catch::Contains("overlaps"));
  REQUIRE_THROWS_WITH(run_at(31), Catch::Contains("overlaps"));
  REQUIRE_NOTHROW(run_at(32));
}
