// The parity check must pass every honest layer, close to its tolerance or not, and must name
// exactly the layer in which a fault is planted.
#include <nn/reference.hpp>

#include <zeropoint/nn/parity.hpp>

using test::matrix;
namespace zp = zeropoint;

namespace {

/// A layer with one output column scaled by `factor`, as a wrong column scale would: the twin, which
/// belongs to the right scale, stays as it is.
template <class Layer>
struct wrong_column_scale {
  const Layer& layer;
  std::size_t column;
  float factor;

  [[nodiscard]] std::size_t out() const { return layer.out(); }
  [[nodiscard]] double rounding_units() const { return layer.rounding_units(); }
  template <class Executor>
  void operator()(zp::matrix_view<const float> x, zp::matrix_view<float> y,
                  const Executor& ex) const {
    layer(x, y, ex);
    for (std::size_t i = 0; i < y.rows(); ++i) y(i, column) *= factor;
  }
  template <class Executor>
  void simulate(zp::matrix_view<const float> x, const zp::simulated& twin,
                const Executor& ex) const {
    layer.simulate(x, twin, ex);
  }
};

}  // namespace

TEST_CASE("every layer agrees with its twin") {
  const auto seed = test::seed(51);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  zp::parity_checker all;
  std::size_t checks = 0;
  for (const std::size_t in : {1u, 5u, 64u, 300u, 1024u}) {
    for (const float sigma : {1.0f, 1e-20f, 1e15f}) {
      const matrix x = test::normal_matrix(g, 12, in, sigma), w = test::normal_matrix(g, 19, in);
      const auto bias = test::normal_vector(g, 19);
      for (const zp::scheme& a : {zp::symmetric, zp::affine, zp::affine.as_unsigned()}) {
        for (const zp::scheme& s : {zp::symmetric, zp::affine, zp::symmetric.with_bits(3)}) {
          CAPTURE(in, sigma, a.qmin(), s.qmin());
          const zp::linear_weight weight{w.view()};
          const zp::weight_only_linear w8(weight, bias, {.weights = s});
          const zp::weight_only_linear grouped(weight, bias,
                                               {.granularity = zp::per_group{32}, .weights = s});
          const zp::dynamic_linear token(weight, bias, {.activations = a, .weights = s});
          const zp::dynamic_linear tensor(
              weight, bias, {.tokens = zp::per_tensor, .activations = a, .weights = s});
          const zp::static_linear fixed(weight, bias, {-2 * sigma, sigma},
                                        {.activations = a, .weights = s});
          REQUIRE(all.check("w8", w8, x.view()));
          REQUIRE(all.check("grouped", grouped, x.view()));
          REQUIRE(all.check("token", token, x.view()));
          REQUIRE(all.check("tensor", tensor, x.view()));
          REQUIRE(all.check("fixed", fixed, x.view(), test::threads{2}));
          checks += 5;
        }
      }
    }
  }
  REQUIRE(all.agrees());
  REQUIRE(all.layers() == checks);
  // The tolerance is a bound, not a blanket: some element of some layer uses a good part of it.
  REQUIRE(all.report().used > 0.2);
  REQUIRE(all.report().used <= 1);
}

TEST_CASE("parity names exactly the layer with the wrong column scale, and the first element") {
  const auto seed = test::seed(52);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  const std::size_t width = 96;
  std::vector<zp::dynamic_linear> layers;
  for (int l = 0; l < 5; ++l) {
    const matrix w = test::normal_matrix(g, width, width, 0.1f);
    layers.emplace_back(zp::linear_weight{w.view()}, test::normal_vector(g, width));
  }
  for (std::size_t faulty = 0; faulty < layers.size(); ++faulty) {
    zp::parity_checker checker;
    matrix x = test::normal_matrix(g, 10, width);
    for (std::size_t l = 0; l < layers.size(); ++l) {
      const std::string name = "layer." + std::to_string(l);
      matrix y(10, width);
      if (l == faulty) {
        const wrong_column_scale<zp::dynamic_linear> wrong{layers[l], 31, 1.001f};
        REQUIRE(!checker.check(name, wrong, x.view()));
        wrong(x.view(), y.view(), zp::serial{});
      } else {
        REQUIRE(checker.check(name, layers[l], x.view()));
        layers[l](x.view(), y.view());
      }
      x = y;  // the fault travels on, and later layers still agree with their twins
    }
    REQUIRE(!checker.agrees());
    REQUIRE(checker.layers() == 5);
    const zp::parity_report& r = checker.report();
    REQUIRE(r.layer == "layer." + std::to_string(faulty));
    REQUIRE(r.row == 0);
    REQUIRE(r.col == 31);
    REQUIRE(std::fabs(r.integer - r.simulated) > r.tolerance);
    REQUIRE(r.used > 1);
  }
}

TEST_CASE("parity sees small faults in every kind of layer") {
  const auto seed = test::seed(53);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  const matrix x = test::normal_matrix(g, 8, 256), w = test::normal_matrix(g, 32, 256);
  const zp::linear_weight weight{w.view()};
  const zp::weight_only_linear w8(weight);
  const zp::dynamic_linear dynamic(weight);
  const zp::static_linear fixed(weight, {}, {-3, 3});
  const auto is_caught = [&](const auto& layer, float factor) {
    const wrong_column_scale<std::decay_t<decltype(layer)>> wrong{layer, 5, factor};
    const auto report = zp::compare_with_twin("x", wrong, x.view());
    return !report.agrees && report.col == 5;
  };
  REQUIRE(is_caught(dynamic, 1 + 0x1p-14f));
  REQUIRE(is_caught(fixed, 1 + 0x1p-14f));
  REQUIRE(is_caught(w8, 1 + 0x1p-10f));
  REQUIRE(is_caught(w8, std::numeric_limits<float>::quiet_NaN()));
  REQUIRE(is_caught(w8, std::numeric_limits<float>::infinity()));
  REQUIRE(!is_caught(dynamic, 1));
}

TEST_CASE("parity: NaN agrees with NaN, an empty batch agrees") {
  const auto seed = test::seed(54);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  matrix x = test::normal_matrix(g, 3, 20);
  const matrix w = test::normal_matrix(g, 4, 20);
  x(1, 2) = std::numeric_limits<float>::quiet_NaN();
  const zp::weight_only_linear w8(zp::linear_weight{w.view()});
  const zp::dynamic_linear dynamic(zp::linear_weight{w.view()});
  REQUIRE(zp::compare_with_twin("w8", w8, x.view()).agrees);
  REQUIRE(zp::compare_with_twin("dynamic", dynamic, x.view()).agrees);
  const auto empty = zp::compare_with_twin("none", dynamic, matrix(0, 20).view());
  REQUIRE(empty.agrees);
  REQUIRE(empty.layer == "none");

  matrix y(3, 4), magnitude(2, 4);
  REQUIRE(test::contains(test::error_of([&] {
                           w8.simulate(x.view(), zp::simulated{y.view(), magnitude.view()});
                         }),
                         "magnitude is 2 x 4, expected 3 x 4"));
}
