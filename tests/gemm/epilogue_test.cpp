// Zero points against 64-bit sums, and the float result bit for bit against its formula.
#include <zeropoint/gemm/epilogue.hpp>

#include "support/product.hpp"

namespace zp = zeropoint;

namespace {

std::vector<std::int32_t> random_zeros(std::size_t count, int low, int high, test::generator& g) {
  std::vector<std::int32_t> zeros(count);
  for (auto& z : zeros) {
    z = low + static_cast<int>(g() % static_cast<unsigned>(high - low + 1));
  }
  return zeros;
}
std::vector<float> random_floats(std::size_t count, test::generator& g) {
  std::vector<float> values(count);
  for (auto& value : values) value = test::normal(g) * 0.01f;
  return values;
}

}  // namespace

TEMPLATE_TEST_CASE("zero points of either side, none, one or all, are exact", "", std::int8_t,
                   std::uint8_t) {
  const auto seed = test::seed(17);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  constexpr int low = std::numeric_limits<TestType>::min(),
                high = std::numeric_limits<TestType>::max();
  for (const std::size_t m : {1u, 7u, 9u}) {
    for (const std::size_t n : {1u, 47u, 66u}) {
      for (const std::size_t k : {0u, 3u, 64u, 129u}) {
        const test::codes<TestType> a(m, k, test::pattern::random, g);
        const test::codes<std::int8_t> w(n, k, test::pattern::random, g);
        for (const std::size_t rows : {std::size_t{0}, std::size_t{1}, m}) {
          for (const std::size_t columns : {std::size_t{0}, std::size_t{1}, n}) {
            const auto za = random_zeros(rows, low, high, g);
            const auto zw = random_zeros(columns, -128, 127, g);
            const auto expected = test::reference(a.view(), w.view(), {za, zw});
            for (const auto* kernel : test::kernels_here()) {
              INFO(kernel->name << ' ' << m << " x " << k << " x " << n << ", " << rows
                                << " row and " << columns << " column zero points");
              std::vector<std::int32_t> c(m * n);
              zp::gemm(a.view(), zp::pack(w.view(), *kernel), zp::zero_points{za, zw},
                       zp::matrix_view<std::int32_t>(c.data(), m, n));
              REQUIRE(test::difference(expected, c, n) == "");
            }
          }
        }
      }
    }
  }
}

TEMPLATE_TEST_CASE("all 65,536 pairs of a row's and a column's zero point are exact", "",
                   std::int8_t, std::uint8_t) {
  // Row i has zero point low + i, column j has j - 128.
  const auto seed = test::seed(18);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  constexpr int low = std::numeric_limits<TestType>::min();
  std::vector<std::int32_t> rows(256), columns(256);
  for (int z = 0; z < 256; ++z) {
    rows[static_cast<std::size_t>(z)] = low + z;
    columns[static_cast<std::size_t>(z)] = z - 128;
  }
  for (const auto pa : test::patterns) {
    for (const auto pw : test::patterns) {
      for (const std::size_t k : {1u, 7u}) {
        test::codes<TestType> a(256, k, pa, g);
        test::codes<std::int8_t> w(256, k, pw, g);
        const auto expected = test::reference(a.view(), w.view(), {rows, columns});
        for (const auto* kernel : test::kernels_here()) {
          INFO(kernel->name << ", patterns " << static_cast<int>(pa) << " x "
                            << static_cast<int>(pw) << ", k = " << k);
          std::vector<std::int32_t> c(256 * 256);
          zp::gemm(a.view(), zp::pack(w.view(), *kernel), zp::zero_points{rows, columns},
                   zp::matrix_view<std::int32_t>(c.data(), 256, 256));
          REQUIRE(test::difference(expected, c, 256) == "");
        }
        // Kernels with a certificate: by narrow weights, and by a declared range of activations.
        for (const zp::code_range range : {zp::code_range{low, low + 255}, {60, 127}}) {
          const bool narrow = range.low == low;
          for (auto& x : w.storage) x = static_cast<std::int8_t>(narrow ? x / 2 : x * 2);
          if (!narrow) {
            for (auto& x : a.storage) x = static_cast<TestType>(60 + (x & 63));
          }
          const auto after = test::reference(a.view(), w.view(), {rows, columns});
          for (const auto* kernel : test::kernels_and_twins()) {
            INFO(kernel->name << ", activations " << range.low << " .. " << range.high);
            const auto packed = zp::pack(w.view(), range, *kernel);
            REQUIRE((packed.kernel().needs_certificate || kernel->if_certified == nullptr));
            std::vector<std::int32_t> c(256 * 256);
            zp::gemm(a.view(), packed, zp::zero_points{rows, columns},
                     zp::matrix_view<std::int32_t>(c.data(), 256, 256));
            REQUIRE(test::difference(after, c, 256) == "");
          }
        }
      }
    }
  }
}

TEMPLATE_TEST_CASE("one zero point for all: each of 256 on either side is exact", "", std::int8_t,
                   std::uint8_t) {
  const auto seed = test::seed(20);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  constexpr int low = std::numeric_limits<TestType>::min(), high = low + 255;
  constexpr std::size_t m = 3, n = 17, k = 7;
  const test::codes<TestType> a(m, k, test::pattern::random, g);
  const test::codes<std::int8_t> w(n, k, test::pattern::random, g);
  for (const auto* kernel : test::kernels_here()) {
    const auto packed = zp::pack(w.view(), *kernel);
    const auto check = [&](std::int32_t row, std::int32_t column) {
      INFO(kernel->name << ", zero points " << row << " and " << column);
      const zp::zero_points zeros{{&row, 1}, {&column, 1}};
      std::vector<std::int32_t> c(m * n);
      zp::gemm(a.view(), packed, zeros, zp::matrix_view<std::int32_t>(c.data(), m, n));
      REQUIRE(test::difference(test::reference(a.view(), w.view(), zeros), c, n) == "");
    };
    for (int z = 0; z < 256; ++z) {
      for (const int column : {-128, -127, -1, 0, 1, 127}) check(low + z, column);
      for (const int row : {low, low + 1, 0, 1, high - 1, high}) check(row, z - 128);
    }
  }
}

TEST_CASE("intermediate terms may pass 32 bits, the result does not") {
  // u8 255 against zero point 255 leaves 0, though dot and correction are 2^31 and more.
  for (const auto& [value, zero, weight, weight_zero] : {std::array<int, 4>{255, 255, -128, 127},
                                                         {0, 255, -128, 127},
                                                         {255, 0, 127, -128},
                                                         {255, 0, -128, 127}}) {
    const std::size_t k = 33025;
    const std::vector<std::uint8_t> a(k, static_cast<std::uint8_t>(value));
    const std::vector<std::int8_t> w(k, static_cast<std::int8_t>(weight));
    const std::vector<std::int32_t> za{zero}, zw{weight_zero};
    for (const auto* kernel : test::kernels_here()) {
      INFO(kernel->name << ' ' << value << ' ' << zero << ' ' << weight << ' ' << weight_zero);
      std::int32_t c = 0;
      zp::gemm(zp::matrix_view<const std::uint8_t>(a.data(), 1, k),
               zp::pack(zp::matrix_view<const std::int8_t>(w.data(), 1, k), *kernel),
               zp::zero_points{za, zw}, zp::matrix_view<std::int32_t>(&c, 1, 1));
      REQUIRE(c ==
              std::int64_t{value - zero} * (weight - weight_zero) * static_cast<std::int64_t>(k));
    }
  }
}

TEST_CASE("the depth bound follows the zero points") {
  REQUIRE(zp::max_depth(128, 128) == 131071);
  REQUIRE(zp::max_depth(127, 127) == 133144);
  REQUIRE(zp::max_depth(255, 128) == 65793);
  REQUIRE(zp::max_depth(255, 127) == 66311);
  REQUIRE(zp::max_depth(255, 255) == 33025);
  const std::size_t k = 33026;
  const std::vector<std::uint8_t> a(k);
  const std::vector<std::int8_t> w(k);
  const auto packed = zp::pack(zp::matrix_view<const std::int8_t>(w.data(), 1, k));
  const std::vector<std::int32_t> za{0}, zw{127}, outside{256};
  std::int32_t c = 0;
  const zp::matrix_view<const std::uint8_t> rows(a.data(), 1, k);
  const zp::matrix_view<std::int32_t> out(&c, 1, 1);
  REQUIRE_THROWS_WITH(zp::gemm(rows, packed, zp::zero_points{za, zw}, out),
                      Catch::Contains("33026") && Catch::Contains("33025"));
  REQUIRE_NOTHROW(zp::gemm(rows, packed, zp::zero_points{za, {}}, out));
  REQUIRE_THROWS_WITH(zp::gemm(rows, packed, zp::zero_points{outside, {}}, out),
                      Catch::Contains("256") && Catch::Contains("0 .. 255"));
}

TEMPLATE_TEST_CASE("the float result has the bits of fma(float(acc), row * column, bias)", "",
                   std::int8_t, std::uint8_t) {
  const auto seed = test::seed(19);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  constexpr int low = std::numeric_limits<TestType>::min(),
                high = std::numeric_limits<TestType>::max();
  for (const std::size_t m : {1u, 6u, 11u}) {
    for (const std::size_t n : {1u, 48u, 67u}) {
      for (const std::size_t k : {0u, 5u, 1500u}) {
        const test::codes<TestType> a(m, k, test::pattern::random, g);
        const test::codes<std::int8_t> w(n, k, test::pattern::random, g);
        for (const bool single : {true, false}) {
          const auto row_scales = random_floats(single ? 1 : m, g);
          const auto column_scales = random_floats(single ? 1 : n, g);
          const auto bias = random_floats(single ? 0 : n, g);
          const auto za = random_zeros(single ? 1 : m, low, high, g);
          const auto zw = random_zeros(single ? 0 : n, -128, 127, g);
          const auto acc = test::reference(a.view(), w.view(), {za, zw});
          for (const auto* kernel : test::kernels_here()) {
            INFO(kernel->name << ' ' << m << " x " << k << " x " << n << " single " << single);
            std::vector<float> y(m * n, 99.0f);
            zp::gemm(a.view(), zp::pack(w.view(), *kernel),
                     zp::dequantization{row_scales, column_scales, bias, za, zw},
                     zp::matrix_view<float>(y.data(), m, n));
            for (std::size_t i = 0; i < m; ++i) {
              for (std::size_t j = 0; j < n; ++j) {
                const float scale = row_scales[single ? 0 : i] * column_scales[single ? 0 : j];
                const float expected =
                    std::fma(static_cast<float>(acc[i * n + j]), scale, single ? 0.0f : bias[j]);
                REQUIRE(std::bit_cast<std::uint32_t>(y[i * n + j]) ==
                        std::bit_cast<std::uint32_t>(expected));
              }
            }
          }
        }
      }
    }
  }
}

TEST_CASE("one rounding, not two: sums beyond 2^24 and a product that needs the fma") {
  // acc = 2^24 + 1 is no float: it becomes 2^24 (ties to even). With scale 1 + 2^-23 the exact
  // product 2^24 + 2 minus bias 2^24 is 2; a product rounded first would be 2^24 + 2 as well, but
  // with acc = 3 and scale 1 + 2^-23 only the fma keeps the last bit: 3 * 2^-23 survives the bias.
  const std::vector<std::uint8_t> a{3};
  const std::vector<std::int8_t> w{1};
  const std::vector<float> row{1.0f + 0x1p-23f}, column{1.0f}, bias{-3.0f};
  for (const auto* kernel : test::kernels_here()) {
    INFO(kernel->name);
    float y = 0;
    zp::gemm(zp::matrix_view<const std::uint8_t>(a.data(), 1, 1),
             zp::pack(zp::matrix_view<const std::int8_t>(w.data(), 1, 1), *kernel),
             zp::dequantization{row, column, bias}, zp::matrix_view<float>(&y, 1, 1));
    REQUIRE(y == 3 * 0x1p-23f);
  }
}

TEST_CASE("the epilogue says what does not fit") {
  const std::vector<std::int8_t> a(6), w(6);
  std::vector<float> y(6), one(1, 1.0f), two(2, 1.0f), three(3, 1.0f);
  const auto packed = zp::pack(zp::matrix_view<const std::int8_t>(w.data(), 3, 2));
  const auto run = [&](const zp::dequantization& d) {
    zp::gemm(zp::matrix_view<const std::int8_t>(a.data(), 2, 2), packed, d,
             zp::matrix_view<float>(y.data(), 2, 3));
  };
  REQUIRE_NOTHROW(run({one, three, three}));
  REQUIRE_NOTHROW(run({two, one, {}}));
  REQUIRE_THROWS_WITH(run({three, one, {}}), "gemm: 3 row scales, expected 0, 1 or 2");
  REQUIRE_THROWS_WITH(run({one, two, {}}), "gemm: 2 column scales, expected 0, 1 or 3");
  REQUIRE_THROWS_WITH(run({one, {}, {}}), "gemm: 0 column scales, expected 1 or 3");
  REQUIRE_THROWS_WITH(run({{}, one, {}}), "gemm: 0 row scales, expected 1 or 2");
  REQUIRE_THROWS_WITH(run({one, one, one}), "gemm: 1 bias values, expected 0 or 3");
}
