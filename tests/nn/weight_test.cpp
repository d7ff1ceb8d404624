// quantized_weight from codes that are ready: every layer is the one that floats would have made,
// and codes that no layer can use are refused.
#include <nn/reference.hpp>

using test::matrix;
namespace zp = zeropoint;

namespace {

template <class Granularity>
zp::quantized_weight ready(const matrix& w, Granularity granularity, const zp::scheme& s) {
  auto [codes, damage] = zp::quantize<std::int8_t>(zp::linear_weight{w.view()}, granularity, s);
  return {std::move(codes), damage};
}

/// Whether the layer gives every code and its params back.
template <class Layer>
bool shows(const Layer& layer, const zp::quantized_weight& w) {
  bool same = layer.weights() == w.kind();
  for (std::size_t j = 0; j < w.out(); ++j) {
    for (std::size_t k = 0; k < w.in(); ++k) {
      same = same && layer.weight_code(j, k) == w.code(j, k) &&
             layer.weight_params(j, k) == w.params_at(j, k);
    }
  }
  return same;
}

}  // namespace

TEST_CASE("layers from codes equal the layers from floats bit for bit") {
  const auto seed = test::seed(131);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  for (const std::size_t in : {1u, 33u, 200u}) {
    const matrix x = test::normal_matrix(g, 5, in), w = test::normal_matrix(g, 19, in);
    const auto bias = test::normal_vector(g, w.rows);
    for (const zp::scheme& s : {zp::symmetric, zp::affine, zp::affine.with_bits(3)}) {
      CAPTURE(in, s.bits, s.is_symmetric());
      const auto check = [&](const auto& granularity) {
        const zp::weight_granularity named = granularity;
        const zp::quantized_weight codes = ready(w, granularity, s);
        const zp::weight_only_linear a(codes, bias),
            b(zp::linear_weight{w.view()}, bias, {.granularity = named, .weights = s});
        REQUIRE(test::same_bits(test::apply(a, x), test::apply(b, x)));
        REQUIRE(a.weight_statistics() == b.weight_statistics());
        REQUIRE(a.stored_bytes() == b.stored_bytes());
        REQUIRE(shows(a, codes));
        if (named.is_grouped()) return;
        const zp::dynamic_linear c(codes, bias),
            d(zp::linear_weight{w.view()}, bias, {.granularity = named, .weights = s});
        REQUIRE(test::same_bits(test::apply(c, x), test::apply(d, x)));
        REQUIRE(shows(c, codes));
        const zp::static_linear e(codes, bias, {-2, 2}),
            f(zp::linear_weight{w.view()}, bias, {-2, 2}, {.granularity = named, .weights = s});
        REQUIRE(test::same_bits(test::apply(e, x), test::apply(f, x)));
      };
      check(zp::per_tensor);
      check(zp::per_output_channel);
      check(zp::per_group{32});
    }
  }
}

TEST_CASE("integer layers refuse codes in groups, and a group of all inputs is none") {
  const matrix w(3, 64, 0.5f);
  const zp::quantized_weight groups = ready(w, zp::per_group{32}, zp::symmetric);
  REQUIRE(groups.is_grouped());
  REQUIRE(test::contains(test::error_of([&] { zp::dynamic_linear{groups}; }), "groups"));
  REQUIRE(test::contains(test::error_of([&] {
                           zp::static_linear(groups, {}, {-1, 1});
                         }),
                         "groups"));
  const zp::quantized_weight whole = ready(w, zp::per_group{64}, zp::symmetric);
  REQUIRE_FALSE(whole.is_grouped());
  REQUIRE(zp::dynamic_linear(whole).out() == 3);
}

TEST_CASE("quantized_weight refuses codes it could not stand for") {
  const matrix w(4, 6, 0.25f);
  auto [codes, damage] = zp::quantize<std::int8_t>(w.view(), zp::per_row, zp::symmetric);
  const auto refusal = [](const auto& c, const auto& d) {
    return test::error_of([&] { zp::quantized_weight(c, d); });
  };
  REQUIRE(refusal(codes, damage).empty());
  REQUIRE(test::contains(refusal(codes, zp::quantization_statistics{}),
                         "statistics of 0 weights for codes of 4 x 6"));
  auto outside = codes;
  outside.values()(2, 5) = -128;
  REQUIRE(test::contains(refusal(outside, damage), "code -128 of output 2, expected -127 .. 127"));
  const auto columns = zp::quantize<std::int8_t>(w.view(), zp::per_column, zp::symmetric);
  REQUIRE(test::contains(refusal(columns.matrix, columns.statistics), "in blocks of 4 x 1"));
  const zp::quantized_weight none(zp::quantized_matrix<std::int8_t>{}, {});
  REQUIRE((none.out() == 0 && none.in() == 0));
}
