// Cross-layer equalization: the same function for ReLU, equal ranges, better scales per tensor.
#include <nn/reference.hpp>

#include <zeropoint/nn/equalize.hpp>

using test::matrix;
namespace zp = zeropoint;

namespace {

/// W2 relu(W1 x + b1) in double; `magnitude` is the same of absolute values.
double two_layers(const matrix& w1, const std::vector<float>& b1, const matrix& w2, const matrix& x,
                  std::size_t row, std::size_t out, double* magnitude) {
  double y = 0;
  *magnitude = 0;
  for (std::size_t h = 0; h < w1.rows; ++h) {
    double a = static_cast<double>(b1[h]), a_magnitude = std::fabs(a);
    for (std::size_t k = 0; k < w1.cols; ++k) {
      const double p = static_cast<double>(w1(h, k)) * static_cast<double>(x(row, k));
      a += p;
      a_magnitude += std::fabs(p);
    }
    y += static_cast<double>(w2(out, h)) * std::max(a, 0.0);
    *magnitude += std::fabs(static_cast<double>(w2(out, h))) * a_magnitude;
  }
  return y;
}

float absmax_of_row(const matrix& m, std::size_t i) {
  float most = 0;
  for (std::size_t j = 0; j < m.cols; ++j) most = std::max(most, std::fabs(m(i, j)));
  return most;
}

/// Error energy of W8 with one scale per tensor, relative to each row's own energy.
double relative_row_error(const matrix& w) {
  const auto [q, statistics] = zp::quantize<std::int8_t>(w.view(), zp::per_tensor, zp::symmetric);
  double sum = 0;
  for (std::size_t i = 0; i < w.rows; ++i) {
    double error = 0, energy = 0;
    for (std::size_t j = 0; j < w.cols; ++j) {
      const float back = zp::dequantize(q.values()(i, j), q.params_at(i, j));
      error += std::pow(static_cast<double>(w(i, j)) - static_cast<double>(back), 2);
      energy += std::pow(static_cast<double>(w(i, j)), 2);
    }
    sum += error / energy;
  }
  return sum;
}

}  // namespace

TEST_CASE("equalize keeps the function of two layers around a ReLU, to rounding") {
  const auto seed = test::seed(151);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  matrix w1 = test::normal_matrix(g, 40, 24), w2 = test::normal_matrix(g, 11, 40);
  auto b1 = test::normal_vector(g, 40);
  for (std::size_t h = 0; h < 40; ++h) {  // channels of very different size
    const float size = std::exp(2 * test::normal(g));
    for (std::size_t k = 0; k < 24; ++k) w1(h, k) *= size;
    b1[h] *= size;
  }
  for (std::size_t k = 0; k < 24; ++k) w1(7, k) = 0;  // never changes
  for (std::size_t j = 0; j < 11; ++j) w2(j, 9) = 0;  // never read
  const matrix old1 = w1, old2 = w2, x = test::normal_matrix(g, 8, 24);
  const auto old_b1 = b1;
  const zp::smoothing s = zp::equalize(w1.view(), b1, w2.view());
  REQUIRE(s.dead == 2);
  REQUIRE(s.bounded == 0);
  REQUIRE(s.factors[7] == 1);
  REQUIRE(s.factors[9] == 1);

  const matrix new2t = w2.transposed(), old2t = old2.transposed();
  for (std::size_t h = 0; h < 40; ++h) {
    const double r1 = static_cast<double>(absmax_of_row(old1, h)),
                 r2 = static_cast<double>(absmax_of_row(old2t, h));
    if (r1 == 0 || r2 == 0) continue;
    REQUIRE(static_cast<double>(s.factors[h]) == Approx(std::sqrt(r1 * r2) / r2).epsilon(1e-7));
    REQUIRE(absmax_of_row(w1, h) == Approx(absmax_of_row(new2t, h)).epsilon(1e-6));
  }
  for (std::size_t i = 0; i < x.rows; ++i) {
    for (std::size_t j = 0; j < 11; ++j) {
      double magnitude = 0, unused = 0;
      const double before = two_layers(old1, old_b1, old2, x, i, j, &magnitude);
      const double after = two_layers(w1, b1, w2, x, i, j, &unused);
      // w1 / s, b1 / s and w2 * s round: twice half an ulp.
      REQUIRE(std::fabs(after - before) <= 2 * 0x1p-24 * 1.001 * magnitude);
    }
  }
}

TEST_CASE("equalize is exact for factors that are powers of two") {
  test::generator g(test::seed(152));
  matrix w1(6, 4), w2(3, 6);
  std::vector<float> b1(6);
  for (std::size_t h = 0; h < 6; ++h) {  // r1 = 4^h, r2 = 1: s = 2^h
    for (std::size_t k = 0; k < 4; ++k)
      w1(h, k) = std::ldexp(test::uniform(g, -1, 1), 2 * static_cast<int>(h));
    w1(h, h % 4) = std::ldexp(1.0f, 2 * static_cast<int>(h));
    for (std::size_t j = 0; j < 3; ++j) w2(j, h) = test::uniform(g, -1, 1);
    w2(h % 3, h) = -1;
    b1[h] = test::normal(g);
  }
  const matrix old1 = w1, old2 = w2, x = test::normal_matrix(g, 5, 4);
  const auto old_b1 = b1;
  const zp::smoothing s = zp::equalize(w1.view(), b1, w2.view());
  REQUIRE(s.factors == std::vector<float>{1, 2, 4, 8, 16, 32});
  for (std::size_t i = 0; i < 5; ++i) {
    for (std::size_t j = 0; j < 3; ++j) {
      double m = 0;
      REQUIRE(two_layers(w1, b1, w2, x, i, j, &m) == two_layers(old1, old_b1, old2, x, i, j, &m));
    }
  }
}

TEST_CASE("equalize helps where one scale serves channels of different size") {
  const auto seed = test::seed(153);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  matrix w1 = test::normal_matrix(g, 32, 64), w2 = test::normal_matrix(g, 16, 32);
  for (std::size_t h = 0; h < 32; ++h) {
    for (std::size_t k = 0; k < 64; ++k) w1(h, k) *= h % 2 == 0 ? 30.0f : 1.0f;
  }
  const double before = relative_row_error(w1) + relative_row_error(w2.transposed());
  (void)zp::equalize(w1.view(), {}, w2.view());
  REQUIRE(relative_row_error(w1) + relative_row_error(w2.transposed()) < 0.2 * before);
}

TEST_CASE("equalize on odd weights and wrong shapes") {
  matrix w1(2, 3), w2(4, 2);
  std::vector<float> b1{1, 2};
  const zp::smoothing zero = zp::equalize(w1.view(), b1, w2.view());
  REQUIRE(zero.dead == 2);
  REQUIRE(b1 == std::vector<float>{1, 2});
  for (std::size_t k = 0; k < 3; ++k) w1(0, k) = 1e38f, w1(1, k) = 1e-38f;
  for (std::size_t j = 0; j < 4; ++j) w2(j, 0) = 1e-38f, w2(j, 1) = 1e38f;
  REQUIRE(zp::equalize(w1.view(), b1, w2.view()).bounded == 2);
  REQUIRE(w1(0, 0) == 1e38f / 1e4f);
  matrix none1(0, 3), none2(4, 0);
  REQUIRE(zp::equalize(none1.view(), {}, none2.view()).factors.empty());
  REQUIRE(test::error_of([&] { (void)zp::equalize(w1.view(), {}, none2.view()); }) ==
          "equalize: 2 outputs with 0 bias values before 0 inputs");
  std::vector<float> three(3);
  REQUIRE(test::error_of([&] { (void)zp::equalize(w1.view(), three, w2.view()); }) ==
          "equalize: 2 outputs with 3 bias values before 2 inputs");
}
