// scaled_linear: the layer's result for x / s, bit for bit, and a twin that agrees.
#include <nn/reference.hpp>

#include <zeropoint/nn/scaled_linear.hpp>

using test::matrix;
namespace zp = zeropoint;

namespace {

template <class Layer>
void check(const Layer& layer, const matrix& x, const std::vector<float>& factors) {
  const zp::scaled_linear<Layer> scaled(layer, factors);
  matrix divided(x.rows, x.cols);
  for (std::size_t i = 0; i < x.rows; ++i) {
    for (std::size_t k = 0; k < x.cols; ++k) divided(i, k) = x(i, k) / factors[k];
  }
  const matrix y = test::apply(scaled, x);
  REQUIRE(test::same_bits(y, test::apply(layer, divided)));
  REQUIRE(test::same_bits(y, test::apply(scaled, x, test::threads{3})));
  REQUIRE(test::same_bits(test::simulate(scaled, x), test::simulate(layer, divided)));
  REQUIRE(zp::compare_with_twin("scaled", scaled, x.view()).agrees);
  REQUIRE(scaled.stored_bytes() == layer.stored_bytes() + 4 * x.cols);
}

}  // namespace

TEST_CASE("scaled_linear divides what goes into any layer") {
  const auto seed = test::seed(181);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  const matrix x = test::normal_matrix(g, 9, 50), w = test::normal_matrix(g, 20, 50);
  std::vector<float> factors(50);
  for (float& f : factors) f = std::exp(test::normal(g));
  const zp::linear_weight weight{w.view()};
  check(zp::weight_only_linear(weight), x, factors);
  check(zp::dynamic_linear(weight), x, factors);
  check(zp::static_linear(weight, {}, {-3, 3}), x, factors);
  REQUIRE(
      test::apply(zp::scaled_linear(zp::weight_only_linear(weight), factors), matrix(0, 50)).rows ==
      0);
}

TEST_CASE("scaled_linear refuses factors that are no scale") {
  const matrix w(2, 3, 1.0f);
  const zp::weight_only_linear layer(zp::linear_weight{w.view()});
  const auto refusal = [&](std::vector<float> factors) {
    return test::error_of([&] { zp::scaled_linear(layer, factors); });
  };
  REQUIRE(refusal({1, 2, 3}).empty());
  REQUIRE(test::contains(refusal({1, 2}), "2 factors, the layer has 3 inputs"));
  REQUIRE(test::contains(refusal({1, 0, 1}), "factor 0"));
  REQUIRE(test::contains(refusal({1, -2, 1}), "factor -2"));
  REQUIRE(test::contains(refusal({1, std::nanf(""), 1}), "factor nan"));
  REQUIRE(test::contains(refusal({1, 1, std::numeric_limits<float>::infinity()}), "factor inf"));
  const zp::scaled_linear scaled(layer, std::vector<float>{1, 1, 1});
  matrix x(1, 4), y(1, 2);
  REQUIRE(test::contains(test::error_of([&] { scaled(x.view(), y.view()); }),
                         "x has 4 columns, the layer has 3 inputs"));
}
