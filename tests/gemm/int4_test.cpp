// Packing 4-bit weights and the driver around the tiles: rows in place and copied, blocks of rows,
// executors, and what is refused. The formula itself is checked in nn/int4_linear_test.cpp.
#include <zeropoint/gemm/int4.hpp>

#include <array>

#include "support/errors.hpp"
#include "support/guarded.hpp"
#include "support/product.hpp"

namespace zp = zeropoint;

namespace {

struct problem {
  std::size_t m, k, n, group;
  std::vector<std::int8_t> a, w;
  std::vector<float> scales;

  problem(std::size_t rows, std::size_t depth, std::size_t columns, std::size_t size,
          test::generator& g)
      : m(rows), k(depth), n(columns), group(size), a(m * k), w(n * k), scales(n * (k / size + 1)) {
    for (auto& x : a) x = test::integer<std::int8_t>(g);
    for (auto& x : w) x = static_cast<std::int8_t>(g() % 16) - 8;
    for (auto& x : scales) x = test::uniform(g, 0.01f, 0.1f);
  }
  zp::packed_int4_weights pack(const zp::kernels::kernel& kernel) const {
    return {n,
            k,
            group,
            [&](std::size_t j, std::size_t i) { return w[j * k + i]; },
            [&](std::size_t j, std::size_t q) {
              return zp::params{scales[j * (k / group + 1) + q], 0, -8, 7};
            },
            kernel};
  }
  std::vector<float> expected() const {
    std::vector<float> y(m * n);
    for (std::size_t i = 0; i < m; ++i) {
      for (std::size_t j = 0; j < n; ++j) {
        float total = 0;
        for (std::size_t first = 0; first < k; first += group) {
          std::int32_t sum = 0;
          for (std::size_t p = first; p < std::min(k, first + group); ++p) {
            sum += a[i * k + p] * w[j * k + p];
          }
          total =
              std::fma(static_cast<float>(sum), scales[j * (k / group + 1) + first / group], total);
        }
        y[i * n + j] = std::fma(total, 0.5f, 0.0f);
      }
    }
    return y;
  }
};

/// Two at a time, last task first.
struct reversed {
  std::size_t concurrency() const { return 2; }
  template <class F>
  void operator()(std::size_t tasks, F&& f) const {
    while (tasks-- > 0) f(tasks);
  }
};

}  // namespace

TEST_CASE(
    "products of 4-bit weights do not depend on the kernel, the rows' place or the executor") {
  const auto seed = test::seed(38);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  const float half = 0.5f;
  // In place, padded, with rows 2 KB apart, and in several blocks of rows.
  for (const auto& [m, k, n, group] : {std::array<std::size_t, 4>{3, 96, 33, 32},
                                       {5, 100, 40, 64},
                                       {9, 2048, 17, 128},
                                       {1, 31, 7, 32},
                                       {300, 1024, 34, 64},
                                       {67, 4100, 5, 32}}) {
    const problem p(m, k, n, group, g);
    const std::vector<float> expected = p.expected();
    for (const auto* kernel : test::kernels_here()) {
      const auto w = p.pack(*kernel);
      for (const bool serial : {true, false}) {
        CAPTURE(m, k, n, group, kernel->name, serial);
        std::vector<float> y(m * n, -1.0f);
        const zp::matrix_view<const std::int8_t> a(p.a.data(), m, k);
        const zp::matrix_view<float> out(y.data(), m, n);
        const zp::int4_dequantization d{std::span(&half, 1)};
        serial ? zp::gemm(a, w, d, out) : zp::gemm(a, w, d, out, reversed{});
        REQUIRE(std::memcmp(y.data(), expected.data(), y.size() * sizeof(float)) == 0);
      }
    }
  }
}

TEST_CASE("4-bit weights beside 8-bit ones: the kernel that a certificate brings, guarded") {
  // A layer that hands the kernel of its packed weights on reaches the tiles of the twin.
  const auto seed = test::seed(41);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  const std::vector<std::int8_t> narrow(32 * 4, 64);
  for (const auto* kernel : test::kernels_here()) {
    const zp::packed_weights certified =
        zp::pack(zp::matrix_view<const std::int8_t>(narrow.data(), 4, 32), *kernel);
    REQUIRE(certified.certificate().proven());
    if (kernel->if_certified != nullptr) REQUIRE(&certified.kernel() == kernel->if_certified);
    for (const auto& [m, k, n, group] : {std::array<std::size_t, 4>{1, 128, 33, 128},
                                         {5, 100, 16, 32},
                                         {9, 256, 17, 128},
                                         {4, 2048, 7, 64}}) {
      const problem p(m, k, n, group, g);
      const std::vector<float> expected = p.expected();
      const auto w = p.pack(certified.kernel());
      for (const bool front : {false, true}) {
        CAPTURE(certified.kernel().name, m, k, n, group, front);
        const test::guarded<std::int8_t> a(m * k, front);
        const test::guarded<float> y(m * n, front), scale(1, front);
        std::copy(p.a.begin(), p.a.end(), a.data());
        scale[0] = 0.5f;
        zp::gemm(zp::matrix_view<const std::int8_t>(a.data(), m, k), w,
                 zp::int4_dequantization{{scale.data(), 1}},
                 zp::matrix_view<float>(y.data(), m, n));
        REQUIRE(std::memcmp(y.data(), expected.data(), expected.size() * sizeof(float)) == 0);
      }
    }
  }
}

TEST_CASE("4-bit weights in one group of the largest size, with extreme codes, are exact") {
  // 128 * 15 * 1,118,464 = 2^31 - 32,768. Where the halves of a row differ, partial sums pass 2^30
  // and the whole is below 2^24: not one unit hides in the rounding to float.
  constexpr std::size_t longest = 1'118'464;
  static_assert(longest == zp::max_depth(128, 15) / 32 * 32);
  struct extreme {
    std::int8_t first, second;  // activations
    std::int32_t code, zero;
  };
  const float one = 1.0f;
  for (const extreme& e : {extreme{-128, -128, 15, 0},
                           {-128, -128, 0, 15},
                           {127, 127, 15, 0},
                           {127, 127, 0, 15},
                           {-128, 127, 15, 0},
                           {127, -128, 15, 0},
                           {-128, 127, 0, 15},
                           {127, -128, 0, 15},
                           {-128, -128, 15, 15},
                           {-128, 127, 15, 14},
                           {127, -128, 15, 8},
                           {-128, 127, 0, 8}}) {
    std::vector<std::int8_t> a(longest, e.first);
    std::fill(a.begin() + longest / 2, a.end(), e.second);
    const std::int64_t sum =
        std::int64_t{e.first + e.second} * (e.code - e.zero) * std::int64_t{longest / 2};
    REQUIRE(std::abs(sum) <= std::numeric_limits<std::int32_t>::max());
    for (const auto* kernel : test::kernels_and_twins()) {
      CAPTURE(kernel->name, int{e.first}, int{e.second}, e.code, e.zero);
      const zp::packed_int4_weights w(
          1, longest, longest, [&](std::size_t, std::size_t) { return e.code; },
          [&](std::size_t, std::size_t) {
            return zp::params{1.0f, e.zero, 0, 15};
          },
          *kernel);
      REQUIRE(w.groups() == 1);
      float y = 0;
      zp::gemm(zp::matrix_view<const std::int8_t>(a.data(), 1, longest), w,
               zp::int4_dequantization{{&one, 1}}, zp::matrix_view<float>(&y, 1, 1));
      REQUIRE(y == static_cast<float>(sum));
    }
  }
}

TEST_CASE("4-bit weights pack into the bytes that they say") {
  test::generator g(39);
  problem p(1, 256, 64, 32, g);
  const auto& kernel = zp::kernels::named("scalar");
  REQUIRE(p.pack(kernel).bytes() == 64 * (128 + 8 * 4));  // nibbles, scales as float
  for (float& s : p.scales) s = zp::to_float(zp::to_float16(s));
  REQUIRE(p.pack(kernel).bytes() == 64 * (128 + 8 * 2));  // all scales are float16 numbers
  const zp::packed_int4_weights affine(
      64, 256, 32, [](std::size_t, std::size_t) { return 5; },
      [](std::size_t, std::size_t) {
        return zp::params{0.5f, 3, 0, 15};
      },
      kernel);
  REQUIRE(affine.bytes() == 64 * (128 + 8 * 3));  // and a byte of zero point
  REQUIRE(affine.params_at(63, 7) == zp::params{0.5f, 3, 0, 15});
  REQUIRE(affine.code(63, 255) == 5);
}

TEST_CASE("4-bit weights say what is wrong") {
  const auto attempt = [](std::size_t k, std::size_t group, int code, zp::params p) {
    return test::error_of([&] {
      zp::packed_int4_weights(
          2, k, group, [&](std::size_t, std::size_t) { return code; },
          [&](std::size_t, std::size_t) { return p; });
    });
  };
  const zp::params four{1, 0, -8, 7};
  REQUIRE(attempt(64, 32, 7, four).empty());
  REQUIRE(test::contains(attempt(64, 0, 0, four), "groups of 0 inputs"));
  REQUIRE(test::contains(attempt(64, 16, 0, four),
                         "groups of 16 of 64 inputs, expected a multiple of 32"));
  REQUIRE(
      test::contains(attempt(64, 32, 8, four), "code 8 of output 0, input 0, expected -8 .. 7"));
  REQUIRE(test::contains(attempt(64, 32, 0, {1, 0, -127, 127}), "codes -127 .. 127 around 0"));
  REQUIRE(test::contains(attempt(64, 32, 0, {1, 9, -8, 7}), "codes -8 .. 7 around 9"));
  REQUIRE(test::contains(attempt(2'000'000, 2'000'000, 0, four), "at most 1118464 products"));

  test::generator g(40);
  const problem p(2, 64, 3, 32, g);
  const auto w = p.pack(zp::kernels::best());
  std::vector<float> y(8), scales(3, 1.0f);
  const auto multiply = [&](std::size_t rows, std::size_t k, std::size_t n, std::size_t count) {
    return test::error_of([&] {
      zp::gemm(zp::matrix_view<const std::int8_t>(p.a.data(), rows, k), w,
               zp::int4_dequantization{std::span(scales).first(count)},
               zp::matrix_view<float>(y.data(), rows, n));
    });
  };
  REQUIRE(multiply(2, 64, 3, 2).empty());
  REQUIRE(
      test::contains(multiply(2, 63, 3, 2), "a has 63 columns, the packed weights have k = 64"));
  REQUIRE(test::contains(multiply(2, 64, 4, 2), "the output is 2 x 4, expected 2 x 3"));
  REQUIRE(test::contains(multiply(2, 64, 3, 3), "3 row scales, expected 1 or 2"));
  REQUIRE(test::contains(multiply(2, 64, 3, 0), "0 row scales, expected 1 or 2"));
}
