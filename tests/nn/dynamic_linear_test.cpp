// dynamic_linear against its formula in 64-bit integers: the same bits for every layout, scheme,
// kernel and executor.
#include <nn/reference.hpp>

#include <zeropoint/nn/dynamic_linear.hpp>

using test::matrix;
namespace zp = zeropoint;

namespace {

struct shape {
  std::size_t m, in, out;
};
const shape shapes[] = {{1, 1, 1},   {1, 64, 16}, {2, 7, 3},    {5, 65, 17},  {17, 130, 33},
                        {33, 31, 2}, {3, 257, 5}, {4, 768, 48}, {64, 96, 100}};

matrix expected(const matrix& x, const matrix& w, const std::vector<float>& bias,
                const zp::dynamic_linear_options& o, bool weights_per_tensor) {
  const auto xq =
      test::code_in_blocks(x, o.tokens.is_per_token() ? 1 : x.rows, x.cols, o.activations);
  const auto wq = test::code_in_blocks(w, weights_per_tensor ? w.rows : 1, w.cols, o.weights);
  return test::integer_product(xq, x.rows, wq, w.rows, bias);
}

}  // namespace

TEST_CASE("dynamic_linear equals its integer formula bit for bit") {
  const auto seed = test::seed(11);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  for (const shape& s : shapes) {
    const matrix x = test::normal_matrix(g, s.m, s.in, 3), w = test::normal_matrix(g, s.out, s.in);
    const auto bias = test::normal_vector(g, s.out);
    for (const bool per_token : {false, true}) {
      for (const bool per_tensor : {false, true}) {
        for (const zp::scheme& activations :
             {zp::symmetric, zp::symmetric_full, zp::affine, zp::symmetric.as_unsigned(),
              zp::affine.as_unsigned(), zp::symmetric.with_bits(5)}) {
          for (const zp::scheme& weights :
               {zp::symmetric, zp::symmetric_full, zp::affine, zp::symmetric.with_bits(4)}) {
            zp::dynamic_linear_options o;
            if (!per_token) o.tokens = zp::per_tensor;
            if (per_tensor) o.granularity = zp::per_tensor;
            o.activations = activations, o.weights = weights;
            CAPTURE(s.m, s.in, s.out, per_token, per_tensor, activations.qmin(), activations.qmax(),
                    activations.is_symmetric(), weights.qmin());
            const zp::dynamic_linear layer(zp::linear_weight{w.view()}, bias, o);
            REQUIRE(test::same_bits(test::apply(layer, x), expected(x, w, bias, o, per_tensor)));
          }
        }
      }
    }
  }
}

TEST_CASE("dynamic_linear gives the same bits for both layouts, every kernel and executor") {
  const auto seed = test::seed(12);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  for (const shape& s : shapes) {
    const matrix x = test::normal_matrix(g, s.m, s.in), w = test::normal_matrix(g, s.out, s.in);
    const matrix wt = w.transposed();
    const auto bias = test::normal_vector(g, s.out);
    for (const zp::scheme& scheme : {zp::symmetric, zp::affine}) {
      for (const bool per_token : {false, true}) {
        zp::dynamic_linear_options o{.activations = scheme, .weights = scheme};
        if (!per_token) o.tokens = zp::per_tensor;
        const matrix y = expected(x, w, bias, o, false);
        for (const zp::kernels::kernel* kernel : test::kernels_here()) {
          CAPTURE(s.m, s.in, s.out, scheme.is_symmetric(), per_token, kernel->name);
          o.kernel = kernel;
          const zp::dynamic_linear rows(zp::linear_weight{w.view()}, bias, o);
          const zp::dynamic_linear columns(zp::conv1d_weight{wt.view()}, bias, o);
          REQUIRE((&rows.kernel() == kernel || &rows.kernel() == kernel->if_certified));
          REQUIRE(test::same_bits(test::apply(rows, x), y));
          REQUIRE(test::same_bits(test::apply(columns, x), y));
          REQUIRE(test::same_bits(test::apply(rows, x, test::backwards{}), y));
          for (std::size_t n = 1; n <= 4; ++n) {
            REQUIRE(test::same_bits(test::apply(rows, x, test::threads{n}), y));
          }
          REQUIRE(test::same_bits(test::simulate(rows, x), test::simulate(columns, x)));
        }
      }
    }
  }
}

TEST_CASE("dynamic_linear is exact at the corners of int8") {
  // Weights of exactly -128 steps (symmetric_full of {-128, 127}) against activations likewise.
  const std::size_t in = 515, out = 18;
  matrix w(out, in), x(6, in);
  for (std::size_t j = 0; j < out; ++j) {
    for (std::size_t k = 0; k < in; ++k) {
      w(j, k) = j == 0 ? -128.0f : j == 1 ? 127.0f : (k + j) % 2 == 0 ? -128.0f : 127.0f;
    }
    w(j, 0) = -128.0f, w(j, 1) = 127.0f;
  }
  for (std::size_t i = 0; i < x.rows; ++i) {
    for (std::size_t k = 0; k < in; ++k) {
      x(i, k) = i == 0 ? -128.0f : i == 1 ? 127.0f : (k + i) % 2 == 0 ? -128.0f : 127.0f;
    }
    x(i, 0) = -128.0f, x(i, 1) = 127.0f;
  }
  for (const zp::kernels::kernel* kernel : test::kernels_here()) {
    CAPTURE(kernel->name);
    const zp::dynamic_linear_options o{
        .activations = zp::symmetric_full, .weights = zp::symmetric_full, .kernel = kernel};
    const zp::dynamic_linear layer(zp::linear_weight{w.view()}, {}, o);
    const matrix y = test::apply(layer, x);
    for (std::size_t i = 0; i < x.rows; ++i) {
      for (std::size_t j = 0; j < out; ++j) {
        double sum = 0;  // the scales are 1, so the layer computes the real product
        for (std::size_t k = 0; k < in; ++k) {
          sum += static_cast<double>(x(i, k)) * static_cast<double>(w(j, k));
        }
        REQUIRE(static_cast<double>(y(i, j)) == sum);
      }
    }
  }
}

TEST_CASE("7-bit activations bring any int8 weights a certificate, and the same integers") {
  const auto seed = test::seed(14);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  for (const auto* kernel : zp::kernels::all()) {
    if (!zp::kernels::runs_here(*kernel) || kernel->if_certified == nullptr) continue;
    for (const shape& s : shapes) {
      const matrix x = test::normal_matrix(g, s.m, s.in, 3);
      matrix w = test::normal_matrix(g, s.out, s.in);
      std::fill(w.values.begin(), w.values.begin() + static_cast<std::ptrdiff_t>(s.in), -1.0f);
      for (const zp::scheme& weights : {zp::symmetric, zp::symmetric_full, zp::affine}) {
        for (const zp::scheme& activations :
             {zp::symmetric, zp::symmetric_full, zp::affine, zp::symmetric.as_unsigned(),
              zp::affine.as_unsigned()}) {
          zp::dynamic_linear_options o;
          o.kernel = kernel, o.weights = weights, o.activations = activations.with_bits(7);
          const zp::dynamic_linear narrow(zp::linear_weight{w.view()}, {}, o);
          CAPTURE(kernel->name, s.m, s.in, s.out, weights.qmin(), o.activations.qmin(),
                  o.activations.qmax());
          REQUIRE(&narrow.kernel() == kernel->if_certified);
          REQUIRE(test::same_bits(test::apply(narrow, x), expected(x, w, {}, o, false)));
          o.activations = activations;
          const zp::dynamic_linear wide(zp::linear_weight{w.view()}, {}, o);
          if (s.in > 1) REQUIRE(&wide.kernel() == kernel);
        }
      }
    }
  }
}

TEST_CASE("per token a row does not depend on its batch mates, per tensor it does") {
  const auto seed = test::seed(13);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  const matrix w = test::normal_matrix(g, 24, 70);
  matrix x = test::normal_matrix(g, 9, 70);
  x(8, 3) = 400;  // an outlier in the last row
  const zp::dynamic_linear per_token(zp::linear_weight{w.view()});
  const zp::dynamic_linear per_tensor(zp::linear_weight{w.view()}, {}, {.tokens = zp::per_tensor});
  const matrix together = test::apply(per_token, x), mixed = test::apply(per_tensor, x);
  bool any_differs = false;
  for (std::size_t i = 0; i < x.rows; ++i) {
    matrix row(1, x.cols);
    for (std::size_t k = 0; k < x.cols; ++k) row(0, k) = x(i, k);
    const matrix alone = test::apply(per_token, row), alone_mixed = test::apply(per_tensor, row);
    for (std::size_t j = 0; j < w.rows; ++j) {
      REQUIRE(alone(0, j) == together(i, j));
      any_differs = any_differs || alone_mixed(0, j) != mixed(i, j);
    }
  }
  REQUIRE(any_differs);
}

TEST_CASE("dynamic_linear: NaN is zero, an infinity is the end of the grid, both are counted") {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  constexpr float infinity = std::numeric_limits<float>::infinity();
  matrix w(1, 4, 1), x(4, 4);
  const float rows[4][4] = {{nan, 127, 1, 2},
                            {infinity, 127, -1, 0},
                            {-infinity, nan, nan, infinity},  // nothing finite: scale 1
                            {0, 0, 0, 0}};
  for (std::size_t i = 0; i < 4; ++i) std::copy(rows[i], rows[i] + 4, &x(i, 0));
  const zp::dynamic_linear layer(zp::linear_weight{w.view()});
  const matrix y = test::apply(layer, x);
  const float unit = 127 * (1.0f / 127);  // the weight 1 as 127 steps
  REQUIRE(y(0, 0) == 130 * unit);
  REQUIRE(y(1, 0) == 253 * unit);
  REQUIRE(y(2, 0) == 0);  // -127 + 127
  REQUIRE(y(3, 0) == 0);
  const zp::activation_counts counts = layer.counts();
  REQUIRE(counts.count == 16);
  REQUIRE(counts.nan == 3);
  REQUIRE(counts.infinite == 3);
  REQUIRE(counts.clipped() == 0);
  REQUIRE(counts.max_excess == 0);
  REQUIRE(counts.outside() == 3);
}

TEST_CASE("dynamic_linear accepts empty shapes and says what is wrong with others") {
  const matrix w(3, 5, 1);
  const std::vector<float> bias{1, 2, 3};
  const zp::dynamic_linear layer(zp::linear_weight{w.view()}, bias);
  REQUIRE(test::apply(layer, matrix(0, 5)).rows == 0);
  REQUIRE(layer.counts() == zp::activation_counts{});

  const matrix no_inputs(3, 0);
  const zp::dynamic_linear constant(zp::linear_weight{no_inputs.view()}, bias);
  const matrix y = test::apply(constant, matrix(2, 0));
  REQUIRE((y(0, 0) == 1 && y(1, 2) == 3));
  const matrix no_outputs(0, 5);
  const zp::dynamic_linear nothing(zp::linear_weight{no_outputs.view()});
  REQUIRE(test::apply(nothing, matrix(2, 5)).cols == 0);

  matrix out(2, 3);
  const auto text = [&](const matrix& x, matrix& to) {
    return test::error_of([&] { layer(x.view(), to.view()); });
  };
  matrix x6(2, 6), x5(2, 5), out2(2, 2), out3(4, 3);
  REQUIRE(test::contains(text(x6, out), "x has 6 columns, the layer has 5 inputs"));
  REQUIRE(test::contains(text(x5, out2), "y has 2 columns, the layer has 3 outputs"));
  REQUIRE(test::contains(text(x5, out3), "x has 2 rows, y has 4"));
  const std::vector<float> long_bias(4);
  REQUIRE(test::contains(
      test::error_of([&] { zp::dynamic_linear(zp::linear_weight{w.view()}, long_bias); }),
      "4 bias values, expected 0 or 3"));
  REQUIRE(test::contains(test::error_of([&] {
                           zp::dynamic_linear(zp::linear_weight{w.view()}, {},
                                              {.granularity = zp::per_group{2}});
                         }),
                         "groups"));
  REQUIRE(test::contains(test::error_of([&] {
                           zp::dynamic_linear(zp::linear_weight{w.view()}, {},
                                              {.weights = zp::affine.as_unsigned()});
                         }),
                         "0 .. 255"));
  std::vector<float> shared(16);
  const zp::matrix_view<float> a(shared.data(), 2, 5), b(shared.data() + 9, 2, 3);
  REQUIRE(test::contains(test::error_of([&] { layer(a, b); }), "share memory"));
}

TEST_CASE("dynamic_linear refuses more inputs than 32-bit sums hold") {
  const auto attempt = [](std::size_t in, const zp::dynamic_linear_options& o) {
    const matrix w(1, in, 1, 0);
    return test::error_of([&] { zp::dynamic_linear(zp::linear_weight{w.view()}, {}, o); });
  };
  REQUIRE(attempt(131071, {}).empty());
  REQUIRE(test::contains(attempt(131072, {}), "131072 inputs, at most 131071"));
  REQUIRE(
      test::contains(attempt(65794, {.activations = zp::affine}), "65794 inputs, at most 65793"));
}

TEST_CASE("dynamic_linear accounts for its weights") {
  const auto seed = test::seed(14);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  const matrix w = test::normal_matrix(g, 40, 96);
  const zp::dynamic_linear layer(zp::linear_weight{w.view()});
  REQUIRE(layer.in() == 96);
  REQUIRE(layer.out() == 40);
  REQUIRE(layer.stored_bytes() == 40 * 96 + 40 * 4);
  REQUIRE(layer.weight_bytes() >= 40 * 96 + 2 * 40 * 4);
  REQUIRE(layer.weight_bytes() <= 64 * 96 + 2 * 64 * 4);
  REQUIRE(layer.weight_statistics().count == 40 * 96);
  REQUIRE(layer.weight_statistics().clipped() == 0);
  REQUIRE(layer.weight_statistics().sqnr_db() > 35);
  const zp::dynamic_linear four(zp::linear_weight{w.view()}, {},
                                {.weights = zp::affine.with_bits(4)});
  REQUIRE(four.stored_bytes() == 40 * 48 + 40 * 4 + 40);
}
