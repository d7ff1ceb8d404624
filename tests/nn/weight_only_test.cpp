// weight_only_linear: bit for bit the sum that its header defines, close to the exact product of
// the dequantized weights, and blind to layout, kernel and executor.
#include <nn/reference.hpp>

#include <zeropoint/nn/weight_only.hpp>

#include "support/memory.hpp"

using test::matrix;
namespace zp = zeropoint;

namespace {

struct shape {
  std::size_t m, in, out;
};
const shape shapes[] = {{1, 1, 1},    {1, 128, 16},   {2, 7, 3},    {5, 129, 17},  {3, 300, 5},
                        {4, 256, 48}, {260, 130, 33}, {7, 33, 100}, {1, 301, 309}, {1, 39, 64}};

/// The definition: per segment, which ends with its group and at multiples of 128, one chain of fused
/// multiply-adds; the scales of segments times those in another; then the bias.
matrix product(const matrix& x, const zp::quantized_weight& q, const std::vector<float>& bias) {
  matrix y(x.rows, q.out());
  for (std::size_t i = 0; i < x.rows; ++i) {
    for (std::size_t j = 0; j < q.out(); ++j) {
      float total = 0;
      for (std::size_t k = 0; k < x.cols;) {
        const std::size_t group = q.group_size();
        const std::size_t end = std::min({x.cols, (k / 128 + 1) * 128, (k / group + 1) * group});
        const zp::params p = q.params_at(j, k);
        float acc = 0;
        for (; k < end; ++k) {
          acc = std::fma(x(i, k), static_cast<float>(q.code(j, k) - p.zero_point), acc);
        }
        total = std::fma(p.scale, acc, total);
      }
      y(i, j) = total + (bias.empty() ? 0.0f : bias[j]);
    }
  }
  return y;
}

}  // namespace

TEST_CASE("weight_only_linear equals its definition bit for bit") {
  const auto seed = test::seed(31);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  for (const shape& s : shapes) {
    const matrix x = test::normal_matrix(g, s.m, s.in, 3), w = test::normal_matrix(g, s.out, s.in);
    const matrix wt = w.transposed();
    const auto bias = test::normal_vector(g, s.out);
    for (const zp::weight_granularity granularity :
         {zp::weight_granularity(zp::per_tensor), zp::weight_granularity(zp::per_output_channel),
          zp::weight_granularity(zp::per_group{32}),
          zp::weight_granularity(zp::per_group{50}),  // crosses the blocks, ragged at the end
          zp::weight_granularity(zp::per_group{1}), zp::weight_granularity(zp::per_group{1000})}) {
      for (const zp::scheme& scheme : {zp::symmetric, zp::symmetric_full, zp::affine,
                                       zp::symmetric.with_bits(4), zp::affine.with_bits(2)}) {
        const zp::quantized_weight q(zp::linear_weight{w.view()}, granularity, scheme);
        CAPTURE(s.m, s.in, s.out, q.group_size(), scheme.qmin(), scheme.is_symmetric());
        const matrix y = product(x, q, bias);
        for (const zp::kernels::kernel* kernel : test::kernels_here()) {
          CAPTURE(kernel->name);
          const zp::weight_only_options o{
              .granularity = granularity, .weights = scheme, .kernel = kernel};
          const zp::weight_only_linear rows(zp::linear_weight{w.view()}, bias, o);
          const zp::weight_only_linear columns(zp::conv1d_weight{wt.view()}, bias, o);
          REQUIRE(test::same_bits(test::apply(rows, x), y));
          REQUIRE(test::same_bits(test::apply(columns, x), y));
        }
      }
    }
  }
}

TEST_CASE("weight_only_linear: codes of 2 to 4 bits in groups, scales of float and of float16") {
  const auto seed = test::seed(35);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  for (const shape& s :
       {shape{1, 256, 64}, shape{1, 301, 309}, shape{3, 97, 150}, shape{1, 5, 16}}) {
    const matrix x = test::normal_matrix(g, s.m, s.in, 3), w = test::normal_matrix(g, s.out, s.in);
    const auto bias = test::normal_vector(g, s.out);
    for (const std::size_t group : {8u, 24u, 32u, 64u, 128u, 200u}) {
      for (const int bits : {2, 3, 4}) {
        for (const zp::scheme& kind : {zp::symmetric, zp::symmetric_full, zp::affine}) {
          for (const bool half : {false, true}) {
            const zp::linear_weight weight{w.view()};
            const auto scheme = kind.with_bits(bits);
            const auto q =
                half ? zp::quantized_weight::with_half_scales(weight, zp::per_group{group}, scheme)
                     : zp::quantized_weight(weight, zp::per_group{group}, scheme);
            CAPTURE(s.m, s.in, s.out, group, bits, scheme.is_symmetric(), half);
            const matrix y = product(x, q, bias);
            REQUIRE(zp::nibble_panels::fits(q));
            for (const zp::kernels::kernel* kernel : test::kernels_here()) {
              CAPTURE(kernel->name);
              const zp::weight_only_linear layer(q, bias, *kernel);
              REQUIRE(test::same_bits(test::apply(layer, x), y));
            }
            const zp::weight_only_linear layer(q, bias);
            std::size_t wrong = 0;
            for (std::size_t j = 0; j < s.out; ++j) {
              for (std::size_t k = 0; k < s.in; ++k) {
                wrong += layer.weight_code(j, k) != q.code(j, k) ? 1u : 0u;
                wrong += layer.weight_params(j, k) != q.params_at(j, k) ? 1u : 0u;
              }
            }
            REQUIRE(wrong == 0);
          }
        }
      }
    }
  }
}

TEST_CASE("weight_only_linear: tasks allocate nothing, however many rows") {
  if (test::allocator_keeps_memory) return;
  const auto seed = test::seed(39);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  const matrix w = test::normal_matrix(g, 130, 96);
  for (const zp::scheme& s : {zp::symmetric, zp::symmetric.with_bits(4)}) {
    zp::weight_only_options o;
    o.weights = s;
    const zp::weight_only_linear layer(zp::linear_weight{w.view()}, {}, o);
    for (const std::size_t rows : {1u, 3u, 128u, 129u, 192u, 193u, 500u}) {
      const matrix x = test::normal_matrix(g, rows, 96);
      matrix y(rows, 130);
      const std::size_t before = test::allocations();
      layer(x.view(), y.view());
      const std::size_t made = test::allocations() - before;
      CAPTURE(rows);
      REQUIRE(made == 0);
    }
  }
}

TEST_CASE("weight_only_linear: threads share few rows and few outputs") {
  const auto seed = test::seed(40);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  for (const auto& [rows, out] : {std::pair{384u, 64u}, {128u, 768u}, {13u, 7u}, {5u, 16u}}) {
    const matrix w = test::normal_matrix(g, out, 40), x = test::normal_matrix(g, rows, 40);
    const zp::weight_only_linear layer(zp::linear_weight{w.view()});
    const matrix y = test::apply(layer, x);
    for (const std::size_t threads : {2u, 3u, 16u, 64u}) {
      CAPTURE(rows, out, threads);
      REQUIRE(test::same_bits(test::apply(layer, x, test::threads{threads}), y));
    }
  }
}

TEST_CASE("weight_only_linear gives the same bits on 1 to 4 threads and in any order") {
  const auto seed = test::seed(32);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  const matrix x = test::normal_matrix(g, 600, 150), w = test::normal_matrix(g, 310, 150);
  for (const zp::weight_only_options& o :
       {zp::weight_only_options{},
        zp::weight_only_options{zp::per_group{32}, zp::affine.with_bits(4)}}) {
    const zp::weight_only_linear layer(zp::linear_weight{w.view()}, {}, o);
    const matrix y = test::apply(layer, x);
    REQUIRE(test::same_bits(test::apply(layer, x, test::backwards{}), y));
    for (std::size_t n = 1; n <= 4; ++n) {
      REQUIRE(test::same_bits(test::apply(layer, x, test::threads{n}), y));
    }
    for (const std::size_t i : {0u, 311u, 312u, 599u}) {  // a row does not depend on the others
      matrix row(1, x.cols);
      for (std::size_t k = 0; k < x.cols; ++k) row(0, k) = x(i, k);
      const matrix alone = test::apply(layer, row);
      REQUIRE(test::same_bits(test::apply(layer, row, test::threads{3}), alone));
      for (std::size_t j = 0; j < w.rows; ++j) REQUIRE(alone(0, j) == y(i, j));
    }
  }
}

TEST_CASE("weight_only_linear: the twin is the double product of the dequantized weights") {
  const auto seed = test::seed(33);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  const matrix x = test::normal_matrix(g, 9, 301), w = test::normal_matrix(g, 37, 301);
  const auto bias = test::normal_vector(g, 37);
  for (const zp::scheme& scheme : {zp::symmetric, zp::affine}) {
    const zp::weight_only_linear layer(zp::linear_weight{w.view()}, bias,
                                       {.granularity = zp::per_group{64}, .weights = scheme});
    const auto wq = test::code_in_blocks(w, 1, 64, scheme);
    const matrix y = test::apply(layer, x), twin = test::simulate(layer, x);
    for (std::size_t i = 0; i < x.rows; ++i) {
      for (std::size_t j = 0; j < w.rows; ++j) {
        double sum = 0, magnitude = std::fabs(bias[j]);
        for (std::size_t k = 0; k < x.cols; ++k) {
          const float weight = wq.by[j * w.cols + k].scale * static_cast<float>(wq.steps(j, k));
          const double product = static_cast<double>(x(i, k)) * static_cast<double>(weight);
          sum += product;
          magnitude += std::fabs(product);
        }
        const double exact = sum + static_cast<double>(bias[j]);
        REQUIRE(twin(i, j) == static_cast<float>(exact));
        REQUIRE(std::fabs(static_cast<double>(y(i, j)) - exact) <=
                layer.rounding_units() * 0x1p-24 * magnitude);
      }
    }
  }
}

TEST_CASE("weight_only_linear propagates NaN and infinities, and only along their row") {
  const auto seed = test::seed(34);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  const matrix w = test::normal_matrix(g, 19, 40);
  matrix x = test::normal_matrix(g, 6, 40);
  const zp::weight_only_linear layer(zp::linear_weight{w.view()});
  const matrix clean = test::apply(layer, x);
  x(1, 39) = std::numeric_limits<float>::quiet_NaN();
  x(4, 0) = std::numeric_limits<float>::infinity();
  const matrix y = test::apply(layer, x);
  for (std::size_t j = 0; j < w.rows; ++j) {
    REQUIRE(std::isnan(y(1, j)));
    REQUIRE(!std::isfinite(y(4, j)));
    for (const std::size_t i : {0u, 2u, 3u, 5u}) REQUIRE(y(i, j) == clean(i, j));
  }
}

TEST_CASE("weight_only_linear accounts for its bytes and refuses wrong shapes") {
  test::generator g(test::seed(36));
  const matrix w(20, 100, 0.5f);
  const zp::weight_only_linear layer(zp::linear_weight{w.view()}, {},
                                     {.granularity = zp::per_group{32}});
  REQUIRE(layer.stored_bytes() == 20 * 100 + 20 * 4 * 4);
  REQUIRE(layer.weight_bytes() == 32 * 100 + 32 * 4 * 4);
  const auto affine = zp::weight_only_linear(
      zp::linear_weight{test::normal_matrix(g, 20, 100).view()}, {}, {.weights = zp::affine});
  REQUIRE(affine.weight_bytes() == 32 * 100 + 2 * 32 * 4);
  const zp::weight_only_linear three(zp::linear_weight{w.view()}, {},
                                     {.weights = zp::affine.with_bits(3)});
  REQUIRE(three.stored_bytes() == 20 * 38 + 20 * 4 + 20);
  REQUIRE(layer.weight_statistics().count == 2000);

  // Two codes per byte: 64 outputs x 256 inputs, 8 groups. 0.5 / 7 is no float16 number, 0.4375 / 7 is.
  const auto four = [](float value, const zp::scheme& s) {
    const matrix values(64, 256, value);
    return zp::weight_only_linear(zp::linear_weight{values.view()}, {},
                                  {.granularity = zp::per_group{32}, .weights = s.with_bits(4)});
  };
  REQUIRE(four(0.5f, zp::symmetric).weight_bytes() == 64 * 128 + 64 * 8 * 4);
  REQUIRE(four(0.4375f, zp::symmetric).weight_bytes() == 64 * 128 + 64 * 8 * 2);
  REQUIRE(four(0.9375f, zp::affine).weight_bytes() == 64 * 128 + 64 * 8 * (2 + 1));
  REQUIRE(test::apply(layer, matrix(0, 100)).rows == 0);
  const matrix nothing(2, 0);
  REQUIRE(
      test::apply(zp::weight_only_linear(zp::linear_weight{nothing.view()}), matrix(0, 0)).rows ==
      0);

  const matrix no_inputs(2, 0);
  const std::vector<float> bias{3, 4};
  const matrix constant =
      test::apply(zp::weight_only_linear(zp::linear_weight{no_inputs.view()}, bias), matrix(2, 0));
  REQUIRE((constant(0, 0) == 3 && constant(1, 1) == 4));

  matrix x(2, 99), y(2, 20);
  REQUIRE(test::contains(test::error_of([&] { layer(x.view(), y.view()); }),
                         "x has 99 columns, the layer has 100 inputs"));
  REQUIRE(test::contains(
      test::error_of([&] { zp::weight_only_linear(zp::linear_weight{w.view()}, bias); }),
      "2 bias values, expected 0 or 20"));
  REQUIRE(test::contains(test::error_of([&] {
                           zp::weight_only_linear(zp::linear_weight{w.view()}, {},
                                                  {.granularity = zp::per_group{0}});
                         }),
                         "size 0"));
}
