// int4_linear against its formula: integer sums of groups in 64 bits, then the float steps one by
// one. The same bits for every layout, scheme, kernel and executor.
#include <nn/reference.hpp>

#include <zeropoint/nn/int4_linear.hpp>

using test::matrix;
namespace zp = zeropoint;

namespace {

struct shape {
  std::size_t m, in, out, group;
};
const shape shapes[] = {{1, 1, 1, 32},    {1, 64, 16, 32},  {2, 33, 3, 32},   {5, 130, 33, 64},
                        {7, 256, 31, 32}, {13, 96, 65, 96}, {3, 300, 5, 128}, {6, 2048, 40, 32}};

matrix expected(const matrix& x, const zp::quantized_weight& w, const std::vector<float>& bias) {
  const auto xq = zp::quantize<std::int8_t>(x.view(), zp::per_token, zp::symmetric).matrix;
  matrix y(x.rows, w.out());
  for (std::size_t i = 0; i < x.rows; ++i) {
    for (std::size_t j = 0; j < w.out(); ++j) {
      float total = 0;
      for (std::size_t first = 0; first < x.cols; first += w.group_size()) {
        const zp::params p = w.params_at(j, first);
        std::int64_t sum = 0;
        for (std::size_t k = first; k < std::min(x.cols, first + w.group_size()); ++k) {
          sum += std::int64_t{xq.values()(i, k)} * (w.code(j, k) - p.zero_point);
        }
        total = std::fma(static_cast<float>(sum), p.scale, total);
      }
      y(i, j) = std::fma(total, xq.scales()[i], bias.empty() ? 0.0f : bias[j]);
    }
  }
  return y;
}

const zp::scheme schemes[] = {zp::symmetric.with_bits(4), zp::symmetric_full.with_bits(4),
                              zp::affine.with_bits(4), zp::symmetric.with_bits(3),
                              zp::affine.with_bits(2)};

}  // namespace

TEST_CASE("int4_linear equals its formula bit for bit") {
  const auto seed = test::seed(41);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  for (const shape& s : shapes) {
    const matrix x = test::normal_matrix(g, s.m, s.in, 3), w = test::normal_matrix(g, s.out, s.in);
    const matrix wt = w.transposed();
    const auto bias = test::normal_vector(g, s.out);
    for (const zp::scheme& scheme : schemes) {
      for (const bool half : {false, true}) {
        zp::int4_linear_options o{
            .granularity = zp::per_group{s.group}, .weights = scheme, .half_scales = half};
        const zp::linear_weight rows{w.view()};
        const zp::quantized_weight q =
            half ? zp::quantized_weight::with_half_scales(rows, o.granularity, scheme)
                 : zp::quantized_weight(rows, o.granularity, scheme);
        const matrix y = expected(x, q, bias);
        for (const zp::kernels::kernel* kernel : test::kernels_here()) {
          CAPTURE(s.m, s.in, s.out, s.group, scheme.qmin(), scheme.is_symmetric(), half,
                  kernel->name);
          o.kernel = kernel;
          const zp::int4_linear layer(rows, bias, o);
          REQUIRE(&layer.kernel() == kernel);
          REQUIRE(test::same_bits(test::apply(layer, x), y));
          REQUIRE(test::same_bits(test::apply(zp::int4_linear(q, bias, o), x), y));
          REQUIRE(test::same_bits(
              test::apply(zp::int4_linear(zp::conv1d_weight{wt.view()}, bias, o), x), y));
          REQUIRE(test::same_bits(test::apply(layer, x, test::backwards{}), y));
          REQUIRE(test::same_bits(test::apply(layer, x, test::threads{3}), y));
        }
      }
    }
  }
}

TEST_CASE("int4_linear keeps its codes and params as they were") {
  const auto seed = test::seed(42);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  const matrix w = test::normal_matrix(g, 37, 150);
  for (const zp::scheme& scheme : schemes) {
    const auto q = zp::quantized_weight(zp::linear_weight{w.view()}, zp::per_group{64}, scheme);
    for (const zp::kernels::kernel* kernel : test::kernels_here()) {
      const zp::int4_linear layer(q, {}, {.kernel = kernel});
      for (std::size_t j = 0; j < 37; ++j) {
        for (std::size_t k = 0; k < 150; ++k) {
          REQUIRE(layer.weight_code(j, k) == q.code(j, k));
          REQUIRE(layer.weight_params(j, k) == q.params_at(j, k));
        }
      }
    }
  }
}

TEST_CASE("int4_linear is exact at the corners") {
  // Codes -8 and 7 (scale 1) against activations of -127 and 127 steps of scale 1, in one group.
  const std::size_t in = 4096, out = 33;
  matrix w(out, in), x(7, in);
  for (std::size_t j = 0; j < out; ++j) {
    for (std::size_t k = 0; k < in; ++k) w(j, k) = j == 0 || (k + j) % 2 == 0 ? -8.0f : 7.0f;
  }
  for (std::size_t i = 0; i < x.rows; ++i) {
    for (std::size_t k = 0; k < in; ++k) x(i, k) = i == 0 || (k + i) % 2 == 0 ? -127.0f : 127.0f;
  }
  for (const zp::kernels::kernel* kernel : test::kernels_here()) {
    CAPTURE(kernel->name);
    const zp::int4_linear layer(zp::linear_weight{w.view()}, {},
                                {.granularity = zp::per_output_channel,
                                 .weights = zp::symmetric_full.with_bits(4),
                                 .kernel = kernel});
    REQUIRE(layer.weight_params(1, 0).scale == 1);
    const matrix y = test::apply(layer, x);
    for (std::size_t i = 0; i < x.rows; ++i) {
      for (std::size_t j = 0; j < out; ++j) {
        double sum = 0;
        for (std::size_t k = 0; k < in; ++k) {
          sum += static_cast<double>(x(i, k)) * static_cast<double>(w(j, k));
        }
        REQUIRE(static_cast<double>(y(i, j)) == sum);
      }
    }
  }
}

TEST_CASE("float16 scales cost next to nothing and save half a bit a weight") {
  const auto seed = test::seed(43);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  const matrix w = test::normal_matrix(g, 64, 1024, 0.02f);
  const zp::int4_linear half(zp::linear_weight{w.view()});
  const zp::int4_linear full(zp::linear_weight{w.view()}, {}, {.half_scales = false});
  REQUIRE(half.weight_bytes() == 64 * 1024 * 9 / 16);
  REQUIRE(full.weight_bytes() == 64 * 1024 * 10 / 16);
  REQUIRE(half.weight_statistics().clipped() == 0);
  const double lost = full.weight_statistics().sqnr_db() - half.weight_statistics().sqnr_db();
  REQUIRE(std::fabs(lost) < 0.01);
  // Weights of 1e-9 have scales below float16's smallest number, 2^-24: they become zeros.
  const matrix tiny(1, 32, 1e-9f), huge(1, 32, 1e6f);
  const zp::int4_linear lost_layer(zp::linear_weight{tiny.view()});
  REQUIRE(lost_layer.weight_params(0, 0).scale == 0x1p-24f);
  REQUIRE(lost_layer.weight_statistics().underflow == 32);
  REQUIRE(test::contains(test::error_of([&] { zp::int4_linear(zp::linear_weight{huge.view()}); }),
                         "exceeds float16's 65504"));
}

TEST_CASE("int4_linear stays within its rounding bound of the twin") {
  const auto seed = test::seed(44);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  for (const shape& s : shapes) {
    const matrix x = test::normal_matrix(g, s.m, s.in, 2), w = test::normal_matrix(g, s.out, s.in);
    const auto bias = test::normal_vector(g, s.out);
    const zp::int4_linear layer(
        zp::linear_weight{w.view()}, bias,
        {.granularity = zp::per_group{s.group}, .weights = zp::affine.with_bits(4)});
    matrix twin(s.m, s.out), magnitude(s.m, s.out);
    layer.simulate(x.view(), zp::simulated{twin.view(), magnitude.view()});
    const matrix y = test::apply(layer, x);
    for (std::size_t i = 0; i < s.m; ++i) {
      for (std::size_t j = 0; j < s.out; ++j) {
        const double difference = std::fabs(static_cast<double>(y(i, j)) - twin(i, j));
        CAPTURE(s.m, s.in, s.out, i, j);
        REQUIRE(difference <= layer.rounding_units() * 0x1p-24 * magnitude(i, j));
      }
    }
  }
}

TEST_CASE("int4_linear: NaN is zero, an infinity is the end of the grid, both are counted") {
  matrix w(1, 4, 1), x(1, 4);
  const float row[4] = {std::numeric_limits<float>::quiet_NaN(),
                        std::numeric_limits<float>::infinity(), 127, 1};
  std::copy(row, row + 4, &x(0, 0));
  const zp::int4_linear layer(zp::linear_weight{w.view()});
  const matrix y = test::apply(layer, x);
  REQUIRE(y(0, 0) == 255 * 7 * layer.weight_params(0, 0).scale);
  REQUIRE(layer.counts().count == 4);
  REQUIRE(layer.counts().nan == 1);
  REQUIRE(layer.counts().infinite == 1);
}

TEST_CASE("int4_linear accepts empty shapes and says what is wrong with others") {
  const std::vector<float> bias{1, 2, 3};
  const matrix w(3, 64, 1), no_inputs(3, 0), no_outputs(0, 64);
  REQUIRE(test::apply(zp::int4_linear(zp::linear_weight{w.view()}), matrix(0, 64)).rows == 0);
  const matrix y =
      test::apply(zp::int4_linear(zp::linear_weight{no_inputs.view()}, bias), matrix(2, 0));
  REQUIRE((y(0, 0) == 1 && y(1, 2) == 3));
  REQUIRE(test::apply(zp::int4_linear(zp::linear_weight{no_outputs.view()}), matrix(2, 64)).cols ==
          0);
  const auto text = [&](const zp::int4_linear_options& o) {
    return test::error_of([&] { zp::int4_linear(zp::linear_weight{w.view()}, {}, o); });
  };
  REQUIRE(test::contains(text({.granularity = zp::per_group{48}}),
                         "groups of 48 of 64 inputs, expected a multiple of 32 or one group"));
  REQUIRE(test::contains(text({.weights = zp::symmetric.with_bits(5)}), "-8 .. 7"));
  REQUIRE(
      test::contains(text({.weights = zp::affine.with_bits(4).as_unsigned()}), "signed scheme"));
}
