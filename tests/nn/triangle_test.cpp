// The Cholesky factor against its definition, on sizes around the block edges, the refusal of what
// has none, and the condition of matrices whose eigenvalues are known.
#include <nn/reference.hpp>

#include <zeropoint/nn/triangle.hpp>

namespace zp = zeropoint;

namespace {

/// B^T B + ridge, B square of normal numbers.
zp::lower_triangle random_definite(test::generator& g, std::size_t n, double ridge) {
  std::vector<double> b(n * n);
  for (double& v : b) v = static_cast<double>(test::normal(g));
  zp::lower_triangle a(n);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      for (std::size_t k = 0; k < n; ++k) a.row(i)[j] += b[k * n + i] * b[k * n + j];
    }
    a.row(i)[i] += ridge;
  }
  return a;
}

}  // namespace

TEST_CASE("the Cholesky factor times its transpose is the matrix, on any executor") {
  const auto seed = test::seed(151);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  for (const std::size_t n : {0u, 1u, 2u, 63u, 64u, 65u, 130u, 333u}) {
    CAPTURE(n);
    const zp::lower_triangle a = random_definite(g, n, 0.1);
    zp::lower_triangle l = a, threaded = a;
    REQUIRE(zp::cholesky(l));
    REQUIRE(zp::cholesky(threaded, test::threads{3}));
    double scale = 0;
    for (std::size_t i = 0; i < n; ++i) scale = std::max(scale, a(i, i));
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j <= i; ++j) {
        REQUIRE(l.row(i)[j] == threaded.row(i)[j]);
        double sum = 0;
        for (std::size_t k = 0; k <= j; ++k) sum += l.row(i)[k] * l.row(j)[k];
        REQUIRE(std::fabs(sum - a(i, j)) <= 0x1p-52 * static_cast<double>(n + 2) * scale);
        REQUIRE(a(i, j) == a(j, i));
      }
    }
  }
}

TEST_CASE("matrices that are not positive definite have no factor") {
  zp::lower_triangle indefinite(2);
  indefinite.row(0)[0] = 1, indefinite.row(1)[0] = 2, indefinite.row(1)[1] = 1;
  REQUIRE_FALSE(zp::cholesky(indefinite));
  zp::lower_triangle zero(70);
  REQUIRE_FALSE(zp::cholesky(zero));
  zp::lower_triangle ones(100);  // rank one
  for (std::size_t i = 0; i < 100; ++i) std::fill_n(ones.row(i), i + 1, 1.0);
  REQUIRE_FALSE(zp::cholesky(ones));
  zp::lower_triangle nan(3);
  for (std::size_t i = 0; i < 3; ++i) nan.row(i)[i] = 1;
  nan.row(2)[1] = std::numeric_limits<double>::quiet_NaN();
  REQUIRE_FALSE(zp::cholesky(nan));
}

TEST_CASE("condition_estimate is a lower bound and close") {
  REQUIRE(zp::condition_estimate(zp::lower_triangle{}) == 1);
  for (const double condition : {1.0, 10.0, 1e4, 1e8}) {
    for (const std::size_t n : {2u, 50u, 300u}) {
      CAPTURE(condition, n);
      // Eigenvalues spaced evenly in the logarithm, on the axes.
      zp::lower_triangle a(n);
      for (std::size_t i = 0; i < n; ++i) {
        a.row(i)[i] = std::pow(condition, static_cast<double>(i) / static_cast<double>(n - 1));
      }
      REQUIRE(zp::cholesky(a));
      const double estimate = zp::condition_estimate(a);
      REQUIRE(estimate <= condition * (1 + 1e-9));
      REQUIRE(estimate >= condition / 2);
    }
  }
}
