// A product asks the heap for nothing while what it prepares fits its scratch memory (8 KB of rows, 8 KB
// of row corrections: 1024 rows with both), and once for each of the two beyond that.
#include <zeropoint/gemm/gemv.hpp>
#include <zeropoint/gemm/int4.hpp>

#include "support/executors.hpp"
#include "support/memory.hpp"
#include "support/product.hpp"

namespace zp = zeropoint;

namespace {

enum class zeros { none, scalar, per_row, per_column, both };
constexpr zeros kinds[] = {zeros::none, zeros::scalar, zeros::per_row, zeros::per_column,
                           zeros::both};

/// Everything that a product reads and writes, made before anything is counted.
template <class A>
struct problem {
  problem(std::size_t rows, std::size_t columns, std::size_t depth, test::generator& g)
      : m(rows),
        n(columns),
        k(depth),
        a(m, k, test::pattern::random, g),
        w(n, k, test::pattern::random, g),
        row_scales(m, 0.01f),
        column_scales(n, 0.1f),
        bias(n, 1.0f),
        row_zeros(m, 3),
        column_zeros(n, -2),
        c(m * n),
        y(m * n),
        codes(m * n) {
    for (auto& x : w.storage) x = static_cast<std::int8_t>(x / 2);  // with a certificate
  }
  [[nodiscard]] zp::dequantization to_real(zeros z) const {
    const auto some = [](const std::vector<std::int32_t>& all, std::size_t count) {
      return std::span(all).first(count);
    };
    const bool rows = z == zeros::per_row || z == zeros::both;
    const bool columns = z == zeros::per_column || z == zeros::both;
    return {.row_scales = row_scales,
            .column_scales = column_scales,
            .bias = bias,
            .row_zero_points = some(row_zeros, rows                 ? m
                                               : z == zeros::scalar ? 1
                                                                    : 0),
            .column_zero_points = some(column_zeros, columns              ? n
                                                     : z == zeros::scalar ? 1
                                                                          : 0),
            .activation = zp::activation_function::gelu_tanh};
  }
  /// Allocations of one product to integers, to reals and to codes.
  template <class Executor>
  std::size_t allocations(const zp::packed_weights& packed, zeros z, const Executor& ex) {
    const zp::dequantization d = to_real(z);
    const zp::zero_points points{d.row_zero_points, d.column_zero_points};
    const zp::params next{0.05f, 0, -127, 127};
    const std::size_t before = test::allocations();
    zp::gemm(a.view(), packed, points, zp::matrix_view<std::int32_t>(c.data(), m, n), ex);
    zp::gemm(a.view(), packed, d, zp::matrix_view<float>(y.data(), m, n), ex);
    zp::gemm(a.view(), packed, d, next, zp::matrix_view<std::int8_t>(codes.data(), m, n), ex);
    return test::allocations() - before;
  }

  std::size_t m, n, k;
  test::codes<A> a;
  test::codes<std::int8_t> w;
  std::vector<float> row_scales, column_scales, bias;
  std::vector<std::int32_t> row_zeros, column_zeros, c;
  std::vector<float> y;
  std::vector<std::int8_t> codes;
};

/// As many allocations as `rows` for each product, and with zero points per row or column
/// `corrections` more.
template <class A>
void compare(std::size_t m, std::size_t n, std::size_t k, std::size_t rows,
             std::size_t corrections) {
  test::generator g(1);
  problem<A> p(m, n, k, g);
  for (const auto* kernel : test::kernels_and_twins()) {
    const zp::packed_weights packed = zp::pack(p.w.view(), *kernel);
    for (const zeros z : kinds) {
      p.allocations(packed, z, zp::serial{});  // what is asked once: the row loops
      const std::size_t serial = p.allocations(packed, z, zp::serial{});
      const std::size_t backwards = p.allocations(packed, z, test::backwards{});
      INFO(kernel->name << ' ' << m << " x " << k << " x " << n << ", zero points "
                        << static_cast<int>(z));
      const std::size_t expected = 3 * (rows + (z == zeros::both ? corrections : 0));
      CHECK(serial == expected);
      CHECK(backwards == expected);
#if defined(_OPENMP)
      p.allocations(packed, z, zp::openmp(2));  // starts the threads
      const std::size_t threads = p.allocations(packed, z, zp::openmp(2));
      CHECK(threads == expected);
#endif
    }
  }
}

}  // namespace

TEMPLATE_TEST_CASE("products of 8-bit codes allocate nothing", "", std::int8_t, std::uint8_t) {
  if (test::allocator_keeps_memory) return;
  REQUIRE(test::allocations() > 0);
  compare<TestType>(1, 100, 3072, 0, 0);
  compare<TestType>(4, 100, 768, 0, 0);
  compare<TestType>(100, 33, 17, 0, 0);
}

TEMPLATE_TEST_CASE("large products allocate once for rows and once for their corrections", "",
                   std::int8_t, std::uint8_t) {
  if (test::allocator_keeps_memory) return;
  compare<TestType>(64, 33, 769, 1, 0);
  compare<TestType>(1024, 5, 33, 1, 0);
  compare<TestType>(1025, 5, 33, 1, 1);
  compare<TestType>(1100, 5, 1041, 1, 1);  // as often for several blocks of rows
}

TEST_CASE("gemv allocates nothing") {
  if (test::allocator_keeps_memory) return;
  test::generator g(2);
  problem<std::int8_t> p(1, 300, 3072, g);
  const std::span<const std::int8_t> row(p.a.storage.data(), p.k);
  for (const auto* kernel : test::kernels_and_twins()) {
    const zp::packed_weights packed = zp::pack(p.w.view(), *kernel);
    std::size_t before = 0;
    for (int round = 0; round < 2; ++round) {
      before = test::allocations();
      zp::gemv(row, packed, std::span(p.c));
      zp::gemv(row, packed, p.to_real(zeros::scalar), std::span(p.y));
    }
    const std::size_t made = test::allocations() - before;
    INFO(kernel->name);
    CHECK(made == 0);
  }
}

TEST_CASE("products of 4-bit weights allocate nothing") {
  if (test::allocator_keeps_memory) return;
  test::generator g(3);
  for (const auto& [m, k] : {std::pair<std::size_t, std::size_t>{1, 4096}, {1, 4000}, {4, 1000}}) {
    problem<std::int8_t> p(m, 100, k, g);
    for (const auto* kernel : test::kernels_and_twins()) {
      const zp::packed_int4_weights w(
          p.n, k, 64, [](std::size_t j, std::size_t i) { return static_cast<int>((j + i) % 16); },
          [](std::size_t, std::size_t) {
            return zp::params{0.01f, 5, 0, 15};
          },
          *kernel);
      const zp::int4_dequantization d{
          .row_scales = p.row_scales, .bias = p.bias, .activation = zp::activation_function::silu};
      const zp::matrix_view<float> y(p.y.data(), m, p.n);
      std::size_t before = 0;
      for (int round = 0; round < 2; ++round) {
        before = test::allocations();
        zp::gemm(p.a.view(), w, d, y);
        zp::gemm(p.a.view(), w, d, y, test::backwards{});
      }
      const std::size_t made = test::allocations() - before;
      INFO(kernel->name << ' ' << m << " x " << k);
      CHECK(made == 0);
    }
  }
}
