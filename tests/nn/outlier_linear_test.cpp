// outlier_linear: the integer formula for most columns, plain float sums of the original weights for
// the outliers, the same bits for every layout, kernel and executor.
#include <nn/reference.hpp>
#include <support/memory.hpp>

#include <zeropoint/nn/dynamic_linear.hpp>
#include <zeropoint/nn/outlier_linear.hpp>
#include <zeropoint/nn/parity.hpp>

using test::matrix;
namespace zp = zeropoint;

namespace {

std::vector<std::size_t> outlier_columns(const matrix& x, float threshold) {
  std::vector<std::size_t> columns;
  for (std::size_t k = 0; k < x.cols; ++k) {
    bool is_outlier = false;
    for (std::size_t i = 0; i < x.rows; ++i) is_outlier |= !(std::fabs(x(i, k)) < threshold);
    if (is_outlier) columns.push_back(k);
  }
  return columns;
}

/// y of the definition: chains of 128 fused multiply-adds, then those sums, then the int8 part.
matrix expected(const matrix& x, const matrix& w, const std::vector<float>& bias,
                const zp::outlier_linear_options& o) {
  const auto columns = outlier_columns(x, o.threshold);
  matrix rest = x;
  for (const std::size_t k : columns) {
    for (std::size_t i = 0; i < x.rows; ++i) rest(i, k) = 0;
  }
  const auto xq = test::code_in_blocks(rest, 1, x.cols, o.activations);
  const auto wq = test::code_in_blocks(w, 1, w.cols, o.weights);
  matrix y = test::integer_product(xq, x.rows, wq, w.rows, bias);
  for (std::size_t i = 0; i < x.rows && !columns.empty(); ++i) {
    for (std::size_t j = 0; j < w.rows; ++j) {
      float total = 0;
      for (std::size_t first = 0; first < columns.size(); first += 128) {
        float sum = 0;
        for (std::size_t c = first; c < std::min(first + 128, columns.size()); ++c) {
          sum = std::fma(x(i, columns[c]), w(j, columns[c]), sum);
        }
        total += sum;
      }
      y(i, j) += total;
    }
  }
  return y;
}

matrix with_outliers(test::generator& g, std::size_t rows, std::size_t cols, unsigned rarity) {
  matrix x = test::normal_matrix(g, rows, cols);
  for (std::size_t k = 0; k < cols; ++k) {
    if (g() % rarity == 0) x(g() % rows, k) = 6 + 40 * std::fabs(test::normal(g));
  }
  return x;
}

}  // namespace

TEST_CASE("outlier_linear equals its formula bit for bit") {
  const auto seed = test::seed(121);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  for (const std::size_t m : {1u, 3u, 33u}) {
    for (const std::size_t in : {1u, 64u, 300u}) {
      for (const unsigned rarity : {1u, 2u, 20u}) {  // 1: all columns are outliers
        const matrix x = with_outliers(g, m, in, rarity), w = test::normal_matrix(g, 37, in);
        const matrix wt = w.transposed();
        const auto bias = test::normal_vector(g, 37);
        for (const zp::scheme& s : {zp::symmetric, zp::affine}) {
          for (const zp::kernels::kernel* kernel : test::kernels_here()) {
            CAPTURE(m, in, rarity, s.is_symmetric(), kernel->name);
            const zp::outlier_linear_options o{.activations = s, .weights = s, .kernel = kernel};
            const matrix y = expected(x, w, bias, o);
            const zp::outlier_linear rows(zp::linear_weight{w.view()}, bias, o);
            const zp::outlier_linear columns(zp::conv1d_weight{wt.view()}, bias, o);
            REQUIRE(test::same_bits(test::apply(rows, x), y));
            REQUIRE(test::same_bits(test::apply(columns, x), y));
            REQUIRE(test::same_bits(test::apply(rows, x, test::backwards{}), y));
            for (std::size_t n = 2; n <= 4; ++n) {
              REQUIRE(test::same_bits(test::apply(rows, x, test::threads{n}), y));
            }
            REQUIRE(rows.outliers().calls == 5);
            REQUIRE(rows.outliers().columns == 5 * outlier_columns(x, 6).size());
          }
        }
      }
    }
  }
}

TEST_CASE("without outliers outlier_linear is dynamic_linear") {
  const auto seed = test::seed(122);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  matrix x = test::normal_matrix(g, 20, 130);
  x(3, 7) = std::nextafter(9.0f, 0.0f);
  const matrix w = test::normal_matrix(g, 50, 130);
  const auto bias = test::normal_vector(g, 50);
  zp::outlier_linear layer(zp::linear_weight{w.view()}, bias, {.threshold = 9});
  const zp::dynamic_linear plain(zp::linear_weight{w.view()}, bias);
  REQUIRE(test::same_bits(test::apply(layer, x), test::apply(plain, x)));
  REQUIRE(layer.outliers() == zp::outlier_counts{1, 0, 0});
  REQUIRE(layer.counts() == plain.counts());
  x(3, 7) = -9;  // at the threshold: an outlier
  REQUIRE(!test::same_bits(test::apply(layer, x), test::apply(plain, x)));
  REQUIRE(layer.outliers() == zp::outlier_counts{2, 1, 1});
  layer.reset_outliers();
  REQUIRE(layer.outliers() == zp::outlier_counts{});
}

TEST_CASE("outlier_linear by hand: the original weight of the outlier, the scale of the rest") {
  // Row scale 127 / 127 = 1 because 1000 does not count; the int8 code of the weight -0.3 is 0.
  matrix w(1, 4), x(1, 4);
  const float weights[4] = {127, -0.3f, 64, 10}, values[4] = {127, 1000, -3, 0};
  std::copy(weights, weights + 4, &w(0, 0));
  std::copy(values, values + 4, &x(0, 0));
  const std::vector<float> bias{0.5f};
  const zp::outlier_linear layer(zp::linear_weight{w.view()}, bias, {.threshold = 200});
  REQUIRE(test::apply(layer, x)(0, 0) == 127 * 127 - 3 * 64 + 0.5f - 300);
  REQUIRE(layer.counts().count == 4);
  REQUIRE(layer.counts().clipped() == 0);
  REQUIRE(layer.in() == 4);
  // One byte a weight and four more, one scale.
  REQUIRE(layer.stored_bytes() == 4 + 4 * 4 + 4);
  REQUIRE(layer.weight_bytes() >= 4 + 16 * 4 * 4);
}

TEST_CASE("outliers cost outlier_linear almost nothing") {
  const auto seed = test::seed(123);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  matrix x = test::normal_matrix(g, 30, 256);
  for (std::size_t i = 0; i < x.rows; ++i) x(i, 17) = 80 * test::normal(g);
  const matrix w = test::normal_matrix(g, 40, 256);
  const auto error = [&](const auto& layer) {
    const matrix y = test::apply(layer, x);
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
  };
  const zp::linear_weight weight{w.view()};
  REQUIRE(error(zp::outlier_linear(weight)) < 0.05 * error(zp::dynamic_linear(weight)));
}

TEST_CASE("outlier_linear agrees with its twin") {
  const auto seed = test::seed(124);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  zp::parity_checker all;
  for (const std::size_t in : {1u, 70u, 400u}) {
    for (const unsigned rarity : {1u, 3u, 1000000u}) {
      const matrix x = with_outliers(g, 9, in, rarity), w = test::normal_matrix(g, 23, in);
      const auto bias = test::normal_vector(g, 23);
      const zp::outlier_linear layer(zp::linear_weight{w.view()}, bias);
      CAPTURE(in, rarity);
      REQUIRE(all.check("outlier", layer, x.view(), test::threads{2}));
    }
  }
  REQUIRE(all.report().used > 0.01);
}

TEST_CASE("outlier_linear: NaN and infinities propagate in their rows, and no further") {
  const matrix w(3, 5, 1);
  matrix x(4, 5, 0.5f);
  x(1, 2) = std::numeric_limits<float>::infinity();
  x(2, 4) = std::nanf("");
  x(3, 0) = 1e38f;
  const zp::outlier_linear layer(zp::linear_weight{w.view()});
  const matrix y = test::apply(layer, x);
  REQUIRE(y(0, 0) == Approx(2.5).epsilon(0.01));
  REQUIRE(y(1, 1) == std::numeric_limits<float>::infinity());
  REQUIRE(std::isnan(y(2, 2)));
  REQUIRE(y(3, 0) == 1e38f);
  REQUIRE(layer.outliers() == zp::outlier_counts{1, 3, 3});
  REQUIRE(layer.counts().nan == 0);
  REQUIRE(zp::parity_checker().check("odd", layer, x.view()));

  const zp::outlier_linear never(zp::linear_weight{w.view()}, {},
                                 {.threshold = std::numeric_limits<float>::infinity()});
  (void)test::apply(never, x);
  REQUIRE(never.outliers().values == 2);
  REQUIRE(test::apply(layer, matrix(0, 5)).rows == 0);
  const matrix nothing(0, 5);
  const zp::outlier_linear none(zp::linear_weight{nothing.view()});
  REQUIRE(test::apply(none, x).cols == 0);
  for (const float bad : {0.0f, -1.0f, std::nanf("")}) {
    REQUIRE(test::contains(test::error_of([&] {
                             zp::outlier_linear(zp::linear_weight{w.view()}, {},
                                                {.threshold = bad});
                           }),
                           "expected above 0"));
  }
}

TEST_CASE("One row asks the heap for nothing, outliers or not") {
  if (test::allocator_keeps_memory) return;
  test::generator g(test::seed(127));
  const std::size_t in = 3072, out = 40;
  const matrix w = test::normal_matrix(g, out, in);
  const zp::outlier_linear layer(zp::linear_weight{w.view()});
  for (const unsigned rarity : {3u, 100u, 1000000u}) {
    const matrix x = with_outliers(g, 1, in, rarity);
    matrix y(1, out);
    layer(x.view(), y.view());
    const std::size_t before = test::allocations();
    layer(x.view(), y.view());
    const std::size_t made = test::allocations() - before;
    INFO(outlier_columns(x, 6).size() << " outliers");
    CHECK(made == 0);
  }
}
