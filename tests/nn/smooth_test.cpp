// SmoothQuant: the formula against a plain loop, the function preserved, traps avoided, and the
// search against trying every alpha from outside.
#include <nn/reference.hpp>

#include <zeropoint/nn/smooth.hpp>

using test::matrix;
namespace zp = zeropoint;

namespace {

std::vector<float> absmax_of_columns(const matrix& x) {
  zp::column_absmax seen(x.cols);
  seen.observe(x.view());
  return {seen.maxima().begin(), seen.maxima().end()};
}

/// Activations with a few channels far larger than the others.
matrix with_outlier_channels(test::generator& g, std::size_t rows, std::size_t cols, float far) {
  matrix x = test::normal_matrix(g, rows, cols);
  for (std::size_t i = 0; i < rows; ++i) x(i, 3) *= far, x(i, cols / 2) *= far / 2;
  return x;
}

/// A norm's output gain[j] * n(i, j) + bias[j].
matrix normed(const matrix& n, const std::vector<float>& gain, const std::vector<float>& bias) {
  matrix x(n.rows, n.cols);
  for (std::size_t i = 0; i < n.rows; ++i) {
    for (std::size_t j = 0; j < n.cols; ++j) x(i, j) = std::fma(gain[j], n(i, j), bias[j]);
  }
  return x;
}

}  // namespace

TEST_CASE("smoothing_factors is its formula") {
  const auto seed = test::seed(112);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  std::vector<float> x(50), w(50);
  for (float& v : x) v = std::exp(test::uniform(g, -8, 8));
  for (float& v : w) v = std::exp(test::uniform(g, -4, 4));
  for (const double alpha : {0.0, 0.25, 0.5, 0.8, 1.0}) {
    const zp::smoothing s = zp::smoothing_factors(x, w, {.alpha = alpha});
    REQUIRE(s.dead == 0);
    REQUIRE(s.bounded == 0);
    for (std::size_t j = 0; j < 50; ++j) {
      const long double exact = std::exp(
          static_cast<long double>(alpha) * std::log(static_cast<long double>(x[j])) -
          (1 - static_cast<long double>(alpha)) * std::log(static_cast<long double>(w[j])));
      REQUIRE(static_cast<double>(s.factors[j]) ==
              Approx(static_cast<double>(exact)).epsilon(1e-7));
    }
  }
  // Equal difficulty at alpha 1/2: both sides end at sqrt(x * w).
  const zp::smoothing half = zp::smoothing_factors(x, w);
  for (std::size_t j = 0; j < 50; ++j) {
    REQUIRE(x[j] / half.factors[j] == Approx(w[j] * half.factors[j]).epsilon(1e-6));
  }
}

TEST_CASE("dead channels keep factor 1, wild factors are bounded, both are counted") {
  const std::vector<float> x{0, 4, 0, 1e30f, 1e-30f, 9}, w{4, 0, 0, 1, 1, 4};
  const zp::smoothing s = zp::smoothing_factors(x, w);
  REQUIRE(s.factors == std::vector<float>{1, 1, 1, 1e4f, 1e-4f, 1.5f});
  REQUIRE(s.dead == 3);
  REQUIRE(s.bounded == 2);
  const zp::smoothing tight = zp::smoothing_factors(x, w, {.smallest = 1, .largest = 1.25f});
  REQUIRE(tight.factors == std::vector<float>{1, 1, 1, 1.25f, 1, 1.25f});
  REQUIRE(tight.bounded == 3);
  const std::vector<float> denormal{std::numeric_limits<float>::denorm_min()}, one{1},
      most{std::numeric_limits<float>::max()};
  REQUIRE(zp::smoothing_factors(denormal, most, {.alpha = 1}).factors[0] == 1e-4f);
  REQUIRE(zp::smoothing_factors(most, denormal, {.alpha = 0}).factors[0] == 1e4f);
  REQUIRE(zp::smoothing_factors({}, {}).factors.empty());

  const std::vector<float> bad{std::nanf("")}, negative{-1};
  const auto text = [](const auto& a, const auto& b, const zp::smoothing_options& o = {}) {
    return test::error_of([&] { (void)zp::smoothing_factors(a, b, o); });
  };
  REQUIRE(test::contains(text(x, one), "6 channels of activations, 1 inputs"));
  REQUIRE(test::contains(text(one, bad), "channel 0 has ranges 1 and nan"));
  REQUIRE(test::contains(text(negative, one), "ranges -1 and 1"));
  REQUIRE(test::contains(text(one, one, {.alpha = 1.5}), "alpha 1.5"));
  REQUIRE(test::contains(text(one, one, {.alpha = std::nan("")}), "alpha"));
  REQUIRE(test::contains(text(one, one, {.smallest = 2, .largest = 1}), "bounds 2 .. 1"));
}

TEST_CASE("folding into the norm and the weights preserves the function to rounding") {
  const auto seed = test::seed(113);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  const std::size_t in = 96;
  const matrix n = test::normal_matrix(g, 12, in);
  auto gain = test::normal_vector(g, in), bias = test::normal_vector(g, in);
  gain[3] = 60, gain[70] = 0, bias[70] = 0;  // one outlier, one dead channel
  matrix q = test::normal_matrix(g, 30, in), k = test::normal_matrix(g, 17, in);
  const matrix x = normed(n, gain, bias), q_before = q, k_before = k;

  const std::vector<zp::linear_weight> weights{{q.view()}, {k.view()}};
  const zp::smoothing s = zp::smoothing_factors(
      absmax_of_columns(x), zp::input_absmax(std::span<const zp::linear_weight>(weights)));
  REQUIRE(s.dead == 1);
  REQUIRE(s.factors[70] == 1);
  REQUIRE(s.factors[3] > 3);
  zp::divide_channels(std::span<float>(gain), s.factors);
  zp::divide_channels(std::span<float>(bias), s.factors);
  zp::multiply_channels(q.view(), zp::axis::columns, s.factors);
  zp::multiply_channels(k.view(), zp::axis::columns, s.factors);
  const matrix y = normed(n, gain, bias);
  for (const auto& [before, after] : {std::pair(&q_before, &q), std::pair(&k_before, &k)}) {
    for (std::size_t i = 0; i < x.rows; ++i) {
      for (std::size_t j = 0; j < before->rows; ++j) {
        double a = 0, b = 0, magnitude = 0;
        for (std::size_t c = 0; c < in; ++c) {
          const double gn = static_cast<double>(gain[c]) * static_cast<double>(n(i, c));
          a += static_cast<double>(x(i, c)) * static_cast<double>((*before)(j, c));
          b += static_cast<double>(y(i, c)) * static_cast<double>((*after)(j, c));
          magnitude += (std::fabs(gn) + std::fabs(static_cast<double>(bias[c]))) *
                       std::fabs(static_cast<double>((*after)(j, c)));
        }
        // gain / s, bias / s, w * s and both norms round: five times half an ulp.
        REQUIRE(std::fabs(a - b) <= 5 * 0x1p-24 * 1.001 * magnitude);
      }
    }
  }
}

TEST_CASE("search_alpha finds what trying every alpha from outside finds") {
  const auto seed = test::seed(114);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  const std::size_t in = 64;
  const matrix x = with_outlier_channels(g, 40, in, 60);
  const matrix a = test::normal_matrix(g, 24, in), b = test::normal_matrix(g, 9, in);
  const auto range = absmax_of_columns(x);
  const std::vector<zp::linear_weight> weights{{a.view()}, {b.view()}};
  const zp::alpha_search found =
      zp::search_alpha(x.view(), range, std::span<const zp::linear_weight>(weights), 10);
  REQUIRE(found.errors.size() == 11);

  const auto w_range = zp::input_absmax(std::span<const zp::linear_weight>(weights));
  const auto error_with = [&](const std::vector<float>& factors) {
    matrix xs = x;
    zp::divide_channels(xs.view(), zp::axis::columns, factors);
    float most = 0;
    for (const float r : absmax_of_columns(xs)) most = std::max(most, r);
    double error = 0, signal = 0;
    for (const matrix* w : {&a, &b}) {
      matrix ws = *w;
      zp::multiply_channels(ws.view(), zp::axis::columns, factors);
      const auto xq = test::code_by(
          xs, std::vector<zp::params>(x.rows * in, zp::fit({-most, most}, zp::symmetric)));
      const matrix y = test::integer_product(
          xq, x.rows, test::code_in_blocks(ws, 1, in, zp::symmetric), w->rows, {});
      for (std::size_t i = 0; i < x.rows; ++i) {
        for (std::size_t j = 0; j < w->rows; ++j) {
          double exact = 0;
          for (std::size_t c = 0; c < in; ++c) {
            exact += static_cast<double>(x(i, c)) * static_cast<double>((*w)(j, c));
          }
          error += (exact - static_cast<double>(y(i, j))) * (exact - static_cast<double>(y(i, j)));
          signal += exact * exact;
        }
      }
    }
    return error / signal;
  };
  double least = std::numeric_limits<double>::infinity(), best = -1;
  for (int i = 0; i <= 10; ++i) {
    const double alpha = i / 10.0;
    const double e = error_with(zp::smoothing_factors(range, w_range, {.alpha = alpha}).factors);
    REQUIRE(found.errors[static_cast<std::size_t>(i)] == Approx(e).epsilon(1e-5));
    if (e < least) least = e, best = alpha;
  }
  REQUIRE(found.alpha == best);
  REQUIRE(found.error == found.errors[static_cast<std::size_t>(std::lround(best * 10))]);
  REQUIRE(found.best.factors == zp::smoothing_factors(range, w_range, {.alpha = best}).factors);
  REQUIRE(found.unsmoothed_error == Approx(error_with(std::vector<float>(in, 1.0f))).epsilon(1e-5));
  REQUIRE(found.error < 0.1 * found.unsmoothed_error);  // ten times less error energy

  // The other layout and other executors: the same bits.
  const matrix at = a.transposed(), bt = b.transposed();
  const std::vector<zp::conv1d_weight> columns{{at.view()}, {bt.view()}};
  const auto other = zp::search_alpha(x.view(), range, std::span<const zp::conv1d_weight>(columns),
                                      10, test::threads{3});
  REQUIRE(other.errors == found.errors);
}

TEST_CASE("search_alpha on odd samples") {
  const matrix w(4, 8, 1), zero(3, 8);
  const std::vector<zp::linear_weight> weights{{w.view()}};
  const std::span<const zp::linear_weight> all(weights);
  const std::vector<float> none(8, 0.0f), ones(8, 1.0f);
  const auto nothing = zp::search_alpha(zero.view(), none, all, 2);
  REQUIRE(nothing.error == 0);
  REQUIRE(nothing.alpha == 0);
  REQUIRE(nothing.best.dead == 8);
  matrix bad = zero;
  bad(1, 2) = std::nanf("");
  const auto text = [&](const matrix& x, const std::vector<float>& r, int steps) {
    return test::error_of([&] { (void)zp::search_alpha(x.view(), r, all, steps); });
  };
  REQUIRE(test::contains(text(bad, ones, 2), "sample 1 of 3"));
  REQUIRE(test::contains(text(zero, ones, 0), "3 samples and 0 steps"));
  REQUIRE(test::contains(text(matrix(0, 8), ones, 2), "0 samples"));
  REQUIRE(test::contains(text(matrix(3, 7), ones, 2), "samples of 7 channels, 8 ranges"));
  const std::vector<float> nine(9, 1.0f);
  REQUIRE(
      test::contains(text(matrix(3, 9), nine, 2), "samples of 9 channels, weights of 8 inputs"));
}
