// Hadamard matrices checked in integers, rotations up to 3072, and a layer that is the same function
// before quantization and a better one after it.
#include <nn/reference.hpp>

#include <zeropoint/math/observer.hpp>
#include <zeropoint/nn/dynamic_linear.hpp>
#include <zeropoint/nn/hadamard.hpp>
#include <zeropoint/nn/parity.hpp>
#include <zeropoint/nn/static_linear.hpp>

using test::matrix;
namespace zp = zeropoint;

namespace {

/// The rows of R, by rotating unit vectors.
matrix rotation_matrix(const zp::hadamard_rotation& r) {
  matrix e(r.size(), r.size(), 0, 0);
  for (std::size_t i = 0; i < r.size(); ++i) e(i, i) = 1;
  r.apply(e.view());
  return e;
}

/// Dot product of the signs of two rows.
std::int64_t sign_product(const matrix& m, std::size_t a, std::size_t b) {
  std::int64_t sum = 0;
  for (std::size_t j = 0; j < m.cols; ++j) sum += (m(a, j) > 0) == (m(b, j) > 0) ? 1 : -1;
  return sum;
}

double error_energy(const matrix& y, const matrix& x, const matrix& w) {
  double sum = 0;
  for (std::size_t i = 0; i < x.rows; ++i) {
    for (std::size_t j = 0; j < w.rows; ++j) {
      double exact = 0;
      for (std::size_t k = 0; k < w.cols; ++k) {
        exact += static_cast<double>(x(i, k)) * static_cast<double>(w(j, k));
      }
      sum += (exact - static_cast<double>(y(i, j))) * (exact - static_cast<double>(y(i, j)));
    }
  }
  return sum;
}

}  // namespace

TEST_CASE("Paley's matrices are Hadamard matrices, in integers") {
  std::size_t orders = 0;
  for (std::size_t m = 4; m <= 256; m += 4) {
    if (!zp::detail::is_paley_one(m) && !zp::detail::is_paley_two(m)) continue;
    ++orders;
    const std::vector<float> h = zp::detail::paley_matrix(m);
    for (std::size_t a = 0; a < m; ++a) {
      for (std::size_t b = 0; b <= a; ++b) {
        std::int64_t sum = 0;
        for (std::size_t j = 0; j < m; ++j) {
          sum += static_cast<std::int64_t>(h[a * m + j]) * static_cast<std::int64_t>(h[b * m + j]);
        }
        CAPTURE(m, a, b);
        REQUIRE(sum == (a == b ? static_cast<std::int64_t>(m) : 0));
      }
    }
    for (const float v : h) REQUIRE((v == 1 || v == -1));
  }
  REQUIRE(orders > 30);
  REQUIRE(zp::detail::paley_matrix(1) == std::vector<float>{1});
}

TEST_CASE("the sizes that work, and the error for others") {
  using r = zp::hadamard_rotation;
  for (std::size_t n = 1; n <= 65536; n *= 2) REQUIRE(r::supports(n));
  for (const std::size_t m : {12u, 20u, 28u, 36u, 44u, 60u}) {
    for (std::size_t n = m; n <= 8192; n *= 2) REQUIRE(r::supports(n));
  }
  for (const std::size_t n : {768u, 1536u, 2304u, 2560u, 3072u, 3584u, 5120u}) {
    REQUIRE(r::supports(n));
  }
  for (const std::size_t n : {0u, 3u, 6u, 10u, 14u, 52u, 92u, 100u, 11008u, 1000003u}) {
    REQUIRE(!r::supports(n));
    REQUIRE(test::contains(test::error_of([&] { r{n}; }), "size " + std::to_string(n) + ","));
  }
  matrix x(2, 7);
  REQUIRE(test::error_of([&] { r(8).apply(x.view()); }) ==
          "hadamard: rows of 7 values, expected 8");
}

TEST_CASE("R has entries +-1/sqrt(n) and orthogonal rows, R^T undoes it") {
  const auto seed = test::seed(131);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  for (const std::size_t n :
       {1u,   2u,   4u,   12u,  16u,  20u,  24u,  28u,   36u,   80u,   96u,
        104u, 112u, 128u, 320u, 384u, 448u, 768u, 1280u, 1792u, 2048u, 3072u}) {
    CAPTURE(n);
    const zp::hadamard_rotation r(n, seed + n);
    matrix rows = rotation_matrix(r);
    const auto entry = static_cast<float>(1 / std::sqrt(static_cast<double>(n)));
    bool entries = true;
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < n; ++j) entries = entries && std::fabs(rows(i, j)) == entry;
    }
    REQUIRE(entries);
    const std::size_t pairs = n <= 128 ? n * n : 2000;
    for (std::size_t i = 0; i < pairs; ++i) {
      const std::size_t a = n <= 128 ? i / n : g() % n, b = n <= 128 ? i % n : g() % n;
      REQUIRE(sign_product(rows, a, b) == (a == b ? static_cast<std::int64_t>(n) : 0));
    }
    // Lengths stay, and undo() is the inverse: a sum of n terms rounds log2(n) + m times or less.
    matrix x = test::normal_matrix(g, 3, n, 10);
    const matrix before = x;
    r.apply(x.view());
    for (std::size_t i = 0; i < x.rows; ++i) {
      double length = 0, rotated = 0;
      for (std::size_t j = 0; j < n; ++j) {
        length += static_cast<double>(before(i, j)) * static_cast<double>(before(i, j));
        rotated += static_cast<double>(x(i, j)) * static_cast<double>(x(i, j));
      }
      REQUIRE(rotated == Approx(length).epsilon(2e-6));
      matrix row(1, n);
      std::copy_n(&x(i, 0), n, &row(0, 0));
      r.undo(row.view());
      const auto bound = static_cast<float>(std::sqrt(length) * 40 * 0x1p-24);
      for (std::size_t j = 0; j < n; ++j) {
        REQUIRE(std::fabs(row(0, j) - before(i, j)) <= bound);
      }
    }
  }
}

TEST_CASE("a rotation depends on its seed, and on nothing else") {
  const auto signs = [](std::uint64_t seed) {
    matrix x(1, 64, 1);
    zp::hadamard_rotation(64, seed).apply(x.view());
    return x;
  };
  REQUIRE(test::same_bits(signs(1), signs(1)));
  REQUIRE(!test::same_bits(signs(1), signs(2)));
  // n = 2 by hand: both values of the row times their signs, sum and difference, over sqrt(2).
  matrix x(1, 2);
  x(0, 0) = 3, x(0, 1) = 5;
  zp::hadamard_rotation(2, 0).apply(x.view());
  const float root = static_cast<float>(1 / std::sqrt(2.0));
  REQUIRE(std::fabs(x(0, 0)) + std::fabs(x(0, 1)) == 2 * (5 * root));  // 8 and 2, in some order
  test::generator g(test::seed(132));
  const matrix before = test::normal_matrix(g, 9, 96);
  matrix one = before, other = before;
  zp::hadamard_rotation(96).apply(one.view());
  zp::hadamard_rotation(96).apply(other.view(), test::threads{3});
  REQUIRE(test::same_bits(one, other));
}

TEST_CASE("a rotated layer is the same function before quantization") {
  const auto seed = test::seed(133);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  const std::size_t n = 96;
  const matrix x = test::normal_matrix(g, 6, n), w = test::normal_matrix(g, 10, n);
  const matrix wt = w.transposed();
  const zp::hadamard_rotation r(n, 7);
  const zp::rotated_weight rows(zp::linear_weight{w.view()}, r);
  const zp::rotated_weight columns(zp::conv1d_weight{wt.view()}, r);
  matrix xr = x;
  r.apply(xr.view());
  for (std::size_t i = 0; i < x.rows; ++i) {
    for (std::size_t j = 0; j < w.rows; ++j) {
      double plain = 0, rotated = 0, x2 = 0, w2 = 0;
      for (std::size_t k = 0; k < n; ++k) {
        plain += static_cast<double>(x(i, k)) * static_cast<double>(w(j, k));
        x2 += static_cast<double>(x(i, k)) * static_cast<double>(x(i, k));
        w2 += static_cast<double>(w(j, k)) * static_cast<double>(w(j, k));
        rotated += static_cast<double>(xr(i, k)) * static_cast<double>(rows.get().values(j, k));
        REQUIRE(rows.get().values(j, k) == columns.get().values(j, k));
      }
      REQUIRE(std::fabs(rotated - plain) <= 40 * 0x1p-24 * std::sqrt(x2 * w2));
    }
  }
}

TEST_CASE("rotation makes W8A8 better where one channel stands out, static and dynamic") {
  const auto seed = test::seed(134);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  const std::size_t n = 768;
  matrix x = test::normal_matrix(g, 24, n);
  for (std::size_t i = 0; i < x.rows; ++i) x(i, 33) = 60 + test::normal(g);
  const matrix w = test::normal_matrix(g, 32, n, 0.05f);
  const auto bias = std::vector<float>(32, 0.0f);
  const zp::hadamard_rotation r(n);
  const zp::linear_weight plain{w.view()};
  const zp::rotated_weight turned(plain, r);
  const auto range = [](const matrix& m) {
    zp::absmax seen;
    seen.observe(m.view());
    return seen.range();
  };
  matrix xr = x;
  r.apply(xr.view());
  const zp::rotated_linear dynamic(r, zp::dynamic_linear(turned.get(), bias));
  const zp::rotated_linear fixed(r, zp::static_linear(turned.get(), bias, range(xr)));
  const zp::dynamic_linear plain_dynamic(plain, bias);
  const zp::static_linear plain_fixed(plain, bias, range(x));
  REQUIRE(error_energy(test::apply(dynamic, x), x, w) <
          0.1 * error_energy(test::apply(plain_dynamic, x), x, w));
  REQUIRE(error_energy(test::apply(fixed, x), x, w) <
          0.1 * error_energy(test::apply(plain_fixed, x), x, w));
  REQUIRE(fixed.layer().counts().clipped() == 0);

  REQUIRE(zp::parity_checker().check("rotated", dynamic, x.view()));
  REQUIRE(test::same_bits(test::apply(dynamic, x), test::apply(dynamic.layer(), xr)));
  REQUIRE(test::same_bits(test::apply(dynamic, x, test::threads{4}), test::apply(dynamic, x)));
  REQUIRE(test::contains(test::error_of([&] {
                           zp::rotated_linear(zp::hadamard_rotation(64),
                                              zp::dynamic_linear(turned.get(), bias));
                         }),
                         "a rotation of 64 values for a layer of 768 inputs"));
}

TEST_CASE(
    "odd rows: zeros stay, NaN and infinities spread, the largest floats do not overflow early") {
  const zp::hadamard_rotation r(64);
  matrix x(4, 64);
  x(1, 3) = std::nanf("");
  x(2, 5) = std::numeric_limits<float>::infinity();
  x(3, 9) = std::numeric_limits<float>::max();
  r.apply(x.view());
  for (std::size_t j = 0; j < 64; ++j) {
    REQUIRE(x(0, j) == 0);
    REQUIRE(std::isnan(x(1, j)));
    REQUIRE(!std::isfinite(x(2, j)));
    REQUIRE(std::fabs(x(3, j)) == std::numeric_limits<float>::max() / 8);
  }
  matrix none(0, 64);
  r.apply(none.view());
}
