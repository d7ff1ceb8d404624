// Bias correction: over the rows the means were taken of, no output is off on average.
#include <nn/reference.hpp>

#include <zeropoint/nn/bias_correction.hpp>
#include <zeropoint/nn/static_linear.hpp>
#include <zeropoint/nn/weight_only.hpp>

using test::matrix;
namespace zp = zeropoint;

namespace {

/// mean over rows of layer(x) - (x W^T + bias), for every output; the product is in double.
template <class Layer>
std::vector<double> mean_errors(const Layer& layer, const matrix& x, const matrix& w,
                                const std::vector<float>& bias) {
  const matrix y = test::apply(layer, x);
  std::vector<double> errors(w.rows, 0.0);
  for (std::size_t j = 0; j < w.rows; ++j) {
    for (std::size_t i = 0; i < x.rows; ++i) {
      double exact = static_cast<double>(bias[j]);
      for (std::size_t k = 0; k < w.cols; ++k) {
        exact += static_cast<double>(x(i, k)) * static_cast<double>(w(j, k));
      }
      errors[j] += (static_cast<double>(y(i, j)) - exact) / static_cast<double>(x.rows);
    }
  }
  return errors;
}
double largest(const std::vector<double>& v) {
  double most = 0;
  for (const double e : v) most = std::max(most, std::fabs(e));
  return most;
}
std::vector<double> means_of(const matrix& x) {
  zp::column_mean m(x.cols);
  m.observe(x.view());
  return m.means();
}
/// As after a ReLU: positive, so that their mean is not 0.
matrix positive(test::generator& g, std::size_t rows, std::size_t cols) {
  matrix x = test::normal_matrix(g, rows, cols);
  for (float& v : x.values) v = std::fabs(v);
  return x;
}

}  // namespace

TEST_CASE("corrected_bias is its formula, in both layouts") {
  const auto seed = test::seed(161);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  const matrix w = test::normal_matrix(g, 9, 30), wt = w.transposed(), x = positive(g, 20, 30);
  const auto bias = test::normal_vector(g, 9);
  const auto mean = means_of(x);
  const zp::scheme s = zp::affine.with_bits(3);
  const zp::linear_weight rows{w.view()};
  const zp::conv1d_weight columns{wt.view()};
  const zp::quantized_weight q(rows, zp::per_group{8}, s), qt(columns, zp::per_group{8}, s);
  const auto corrected = zp::corrected_bias(rows, q, bias, mean);
  REQUIRE(corrected == zp::corrected_bias(columns, qt, bias, mean));
  const auto without = zp::corrected_bias(rows, q, {}, mean);
  for (std::size_t j = 0; j < 9; ++j) {
    double shift = 0;  // (Wq - W) E[x]
    for (std::size_t k = 0; k < 30; ++k) {
      const zp::params p = q.params_at(j, k);
      const double back =
          static_cast<double>(p.scale * static_cast<float>(q.code(j, k) - p.zero_point));
      shift += (back - static_cast<double>(w(j, k))) * mean[k];
    }
    REQUIRE(static_cast<double>(corrected[j]) ==
            Approx(static_cast<double>(bias[j]) - shift).epsilon(1e-6));
    REQUIRE(static_cast<double>(without[j]) == Approx(-shift).epsilon(1e-6));
  }
}

TEST_CASE("a corrected weight-only layer has no mean error on its calibration rows") {
  const auto seed = test::seed(162);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  const matrix w = test::normal_matrix(g, 24, 64), x = positive(g, 200, 64);
  const auto bias = test::normal_vector(g, 24);
  const zp::linear_weight weight{w.view()};
  for (const int bits : {8, 4, 3, 2}) {
    const zp::quantized_weight q(weight, zp::per_output_channel, zp::symmetric.with_bits(bits));
    const auto before = mean_errors(zp::weight_only_linear(q, bias), x, w, bias);
    const zp::weight_only_linear corrected(q, zp::corrected_bias(weight, q, bias, means_of(x)));
    CAPTURE(bits);
    // What is left is rounding of floats: 64 products of about 1.
    REQUIRE(largest(mean_errors(corrected, x, w, bias)) < 1e-5);
    REQUIRE(largest(before) > 300 * 1e-5);
  }
}

TEST_CASE("with the mean of quantized activations, a static layer that clips has none either") {
  const auto seed = test::seed(163);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  const matrix w = test::normal_matrix(g, 24, 64), x = positive(g, 200, 64);
  const auto bias = test::normal_vector(g, 24);
  const zp::linear_weight weight{w.view()};
  const zp::quantized_weight q(weight, zp::per_output_channel, zp::symmetric.with_bits(4));
  const zp::value_range range{0, 1.5f};  // clips one value in seven, all on one side
  const zp::static_linear_options o{.activations = zp::affine};
  const zp::static_linear plain(q, bias, range, o);
  matrix quantized = x;
  for (std::size_t i = 0; i < x.rows; ++i) {
    for (std::size_t k = 0; k < x.cols; ++k) {
      const zp::params p = plain.activation_params();
      quantized(i, k) = zp::dequantize(zp::quantize(x(i, k), p), p);
    }
  }
  const auto only_weights = zp::corrected_bias(weight, q, bias, means_of(x));
  const auto both = zp::corrected_bias(weight, q, bias, means_of(x), means_of(quantized));
  REQUIRE(largest(mean_errors(plain, x, w, bias)) > 0.1);
  REQUIRE(largest(mean_errors(zp::static_linear(q, only_weights, range, o), x, w, bias)) > 0.1);
  REQUIRE(largest(mean_errors(zp::static_linear(q, both, range, o), x, w, bias)) < 1e-5);
}

TEST_CASE("column_mean: by hand, split and merged, odd rows") {
  matrix x(4, 2);
  x(0, 0) = 1, x(1, 0) = 3, x(0, 1) = -1, x(1, 1) = 0.5f;
  x(2, 0) = std::nanf(""), x(2, 1) = 100;
  x(3, 0) = std::numeric_limits<float>::infinity();
  zp::column_mean all(2), first(2), second(2);
  all.observe(x.view());
  REQUIRE(all.means() == std::vector<double>{2, -0.25});
  REQUIRE(all.rows() == 2);
  REQUIRE(all.skipped() == 2);
  first.observe(x.view().rows_from(0, 1));
  second.observe(x.view().rows_from(1, 3));
  zp::column_mean merged = first;
  merged.merge(second);
  REQUIRE(merged == all);
  first.observe(x.view().rows_from(1, 3));
  REQUIRE(first == all);

  zp::column_mean huge(1);
  matrix big(3, 1, std::numeric_limits<float>::max());
  huge.observe(big.view());
  REQUIRE(huge.means()[0] == static_cast<double>(std::numeric_limits<float>::max()));
  const zp::column_mean nothing(2);
  REQUIRE(test::contains(test::error_of([&] { (void)nothing.means(); }), "no finite row among 0"));
  REQUIRE(test::error_of([&] { all.observe(big.view()); }) == "column_mean: 1 columns, expected 2");
  REQUIRE(test::contains(test::error_of([&] { all.merge(huge); }), "2 with 1"));
}

TEST_CASE("corrected_bias refuses what does not match") {
  const matrix w(3, 4, 1), other(3, 5, 1);
  const zp::linear_weight weight{w.view()};
  const zp::quantized_weight q(weight, zp::per_output_channel, zp::symmetric);
  const std::vector<double> mean(4), long_mean(5);
  const std::vector<float> bias(2);
  REQUIRE(test::contains(test::error_of([&] {
                           (void)zp::corrected_bias(zp::linear_weight{other.view()}, q, {}, mean);
                         }),
                         "codes of 3 x 4 for a weight of 3 x 5"));
  REQUIRE(test::contains(test::error_of([&] { (void)zp::corrected_bias(weight, q, bias, mean); }),
                         "2 bias values, expected 0 or 3"));
  REQUIRE(test::contains(
      test::error_of([&] { (void)zp::corrected_bias(weight, q, {}, mean, long_mean); }),
      "means of 4 and 5 channels, expected 4"));
}
