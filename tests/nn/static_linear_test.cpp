// static_linear: its integer formula bit for bit, and counts that equal a naive recount.
#include <nn/reference.hpp>

#include <zeropoint/nn/static_linear.hpp>

using test::matrix;
namespace zp = zeropoint;

namespace {

/// Value by value, from the definition: the rounded code lies outside the grid.
zp::activation_counts recount(const matrix& x, const zp::params& p) {
  zp::activation_counts c;
  for (std::size_t i = 0; i < x.rows; ++i) {
    for (std::size_t k = 0; k < x.cols; ++k) {
      const float v = x(i, k);
      ++c.count;
      if (std::isnan(v)) {
        ++c.nan;
      } else if (std::isinf(v)) {
        ++c.infinite;
      } else {
        const double code = std::nearbyint(static_cast<double>(v / p.scale)) + p.zero_point;
        if (code < p.qmin) {
          ++c.clipped_low;
          c.max_excess = std::max(c.max_excess, p.representable().min - v);
        }
        if (code > p.qmax) {
          ++c.clipped_high;
          c.max_excess = std::max(c.max_excess, v - p.representable().max);
        }
      }
    }
  }
  return c;
}

const zp::scheme schemes[] = {zp::symmetric,
                              zp::symmetric_full,
                              zp::affine,
                              zp::affine.as_unsigned(),
                              zp::symmetric.as_unsigned(),
                              zp::symmetric.with_bits(7),
                              zp::affine.with_bits(4)};

}  // namespace

TEST_CASE("static_linear equals its integer formula and counts exactly") {
  const auto seed = test::seed(41);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  for (const std::size_t m : {1u, 5u, 67u}) {
    for (const std::size_t in : {1u, 63u, 64u, 200u}) {
      const matrix w = test::normal_matrix(g, 21, in), wt = w.transposed();
      matrix x = test::normal_matrix(g, m, in);
      x(0, in / 2) = std::numeric_limits<float>::quiet_NaN();
      x(m - 1, in - 1) = 77;  // far outside every range below
      if (in > 2) x(m / 2, 1) = -std::numeric_limits<float>::infinity();
      const auto bias = test::normal_vector(g, 21);
      for (const zp::value_range range :
           {zp::value_range{-2, 2}, zp::value_range{-0.25f, 1.5f}, zp::value_range{0.5f, 3}}) {
        for (const zp::scheme& s : schemes) {
          const zp::params p = zp::fit(range, s);
          const auto xq = test::code_by(x, std::vector<zp::params>(m * in, p));
          const matrix y =
              test::integer_product(xq, m, test::code_in_blocks(w, 1, in, zp::symmetric), 21, bias);
          const zp::activation_counts counts = recount(x, p);
          for (const zp::kernels::kernel* kernel : test::kernels_here()) {
            CAPTURE(m, in, range.min, range.max, s.qmin(), s.is_symmetric(), kernel->name);
            const zp::static_linear_options o{.activations = s, .kernel = kernel};
            zp::static_linear rows(zp::linear_weight{w.view()}, bias, range, o);
            const zp::static_linear columns(zp::conv1d_weight{wt.view()}, bias, range, o);
            REQUIRE(rows.activation_params() == p);
            REQUIRE(test::same_bits(test::apply(rows, x), y));
            REQUIRE(test::same_bits(test::apply(columns, x), y));
            REQUIRE(rows.counts() == counts);
            REQUIRE(rows.counts().clipped() > 0);
            REQUIRE(test::same_bits(test::apply(rows, x, test::threads{3}), y));
            REQUIRE(rows.counts().count == 2 * counts.count);
            REQUIRE(rows.counts().clipped_high == 2 * counts.clipped_high);
            REQUIRE(rows.counts().max_excess == counts.max_excess);
            rows.reset_counts();
            REQUIRE(rows.counts() == zp::activation_counts{});
          }
        }
      }
    }
  }
}

TEST_CASE("static_linear gives the same bits and counts on 1 to 4 threads") {
  const auto seed = test::seed(42);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  const matrix x = test::normal_matrix(g, 500, 160), w = test::normal_matrix(g, 70, 160);
  zp::static_linear layer(zp::linear_weight{w.view()}, {}, {-1, 2},
                          {.activations = zp::affine, .weights = zp::affine});
  const matrix y = test::apply(layer, x);
  const zp::activation_counts counts = layer.counts();
  REQUIRE(counts.clipped_low > 10000);
  REQUIRE(counts.clipped_high > 1000);
  REQUIRE(counts.outside_fraction() == static_cast<double>(counts.clipped()) / 80000.0);
  for (std::size_t n = 1; n <= 4; ++n) {
    layer.reset_counts();
    REQUIRE(test::same_bits(test::apply(layer, x, test::threads{n}), y));
    REQUIRE(layer.counts() == counts);
  }
  layer.reset_counts();
  REQUIRE(test::same_bits(test::apply(layer, x, test::backwards{}), y));
  REQUIRE(layer.counts() == counts);
}

TEST_CASE("calls of one static_linear at the same time lose no count") {
  const auto seed = test::seed(43);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  const matrix x = test::normal_matrix(g, 8, 64), w = test::normal_matrix(g, 16, 64);
  const zp::static_linear layer(zp::linear_weight{w.view()}, {}, {-1, 1});
  const matrix y = test::apply(layer, x);
  const zp::static_linear copy = layer;  // takes the counts along, then counts for itself
  const std::uint64_t once = layer.counts().clipped();
  bool same = true;
  test::threads{4}(4, [&](std::size_t) {
    for (int call = 0; call < 50; ++call) {
      matrix mine(8, 16);
      layer(x.view(), mine.view());
      if (!test::same_bits(mine, y)) same = false;
    }
  });
  REQUIRE(same);
  REQUIRE(layer.counts().count == 201 * 8 * 64);
  REQUIRE(layer.counts().clipped() == 201 * once);
  REQUIRE(copy.counts().clipped() == once);
}

TEST_CASE("static_linear: the edge of the grid") {
  // Range +-127, scale 1: 127.49999 rounds to 127 and is not clipped, 127.5 rounds to 128 and is.
  const matrix w(1, 4, 1);
  matrix x(1, 4);
  const float values[4] = {127.49999f, 127.5f, -127.5f, -127.49999f};
  std::copy(values, values + 4, &x(0, 0));
  const zp::static_linear layer(zp::linear_weight{w.view()}, {}, {-127, 127});
  REQUIRE(layer.activation_params().scale == 1);
  REQUIRE(test::apply(layer, x)(0, 0) == 0);
  REQUIRE(layer.counts().clipped_low == 1);
  REQUIRE(layer.counts().clipped_high == 1);
  REQUIRE(layer.counts().max_excess == 0.5f);
}

TEST_CASE("static_linear refuses ranges that are none") {
  const matrix w(2, 3, 1);
  constexpr float infinity = std::numeric_limits<float>::infinity();
  for (const zp::value_range range :
       {zp::value_range{-1, infinity}, zp::value_range{2, 1}, zp::value_range{std::nanf(""), 1}}) {
    REQUIRE(test::contains(
        test::error_of([&] { zp::static_linear(zp::linear_weight{w.view()}, {}, range); }),
        "finite"));
  }
  const zp::static_linear zero(zp::linear_weight{w.view()}, {}, {0, 0});
  REQUIRE(zero.activation_params().scale == 1);
  REQUIRE(test::apply(zero, matrix(0, 3)).rows == 0);
  REQUIRE(test::apply(zero, matrix(2, 3))(1, 1) == 0);
}

TEST_CASE("static layers chained by codes equal static layers chained by floats") {
  const auto seed = test::seed(46);
  INFO(test::seed_text(seed));
  for (const zp::scheme& hidden : schemes) {
    test::generator g(seed);
    const matrix x = test::normal_matrix(g, 9, 33), w1 = test::normal_matrix(g, 50, 33),
                 w2 = test::normal_matrix(g, 17, 50);
    const std::vector<float> bias(50, 0.25f);
    const zp::static_linear fc1(zp::linear_weight{w1.view()}, bias, {-2, 2});
    zp::static_linear fc2(zp::linear_weight{w2.view()}, {}, {-3, 5}, {.activations = hidden});
    for (const auto f : {zp::activation_function::none, zp::activation_function::relu,
                         zp::activation_function::gelu_tanh}) {
      INFO("codes from " << hidden.qmin() << ", function " << static_cast<int>(f));
      std::vector<float> h(9 * 50), expected(9 * 17), found(9 * 17);
      const zp::matrix_view<float> middle(h.data(), 9, 50);
      fc1(x.view(), middle);
      zp::detail::activate(f, h.data(), 9, 50, 50);
      fc2.reset_counts();
      fc2(zp::matrix_view<const float>(middle), {expected.data(), 9, 17});
      const auto chain = [&]<class Q>(Q) {
        std::vector<Q> codes(9 * 50);
        const auto counts = fc1.to_codes(x.view(), fc2.activation_params(), f,
                                         zp::matrix_view<Q>(codes.data(), 9, 50));
        CHECK((counts == static_cast<const zp::range_counts&>(fc2.counts())));
        fc2.from_codes(zp::matrix_view<const Q>(codes.data(), 9, 50), {found.data(), 9, 17});
      };
      hidden.is_signed ? chain(std::int8_t{}) : chain(std::uint8_t{});
      CHECK(found == expected);
    }
    std::vector<float> y(9 * 17);
    const auto from = [&]<class Q>(Q) {
      const std::vector<Q> codes(9 * 50);
      fc2.from_codes(zp::matrix_view<const Q>(codes.data(), 9, 50), {y.data(), 9, 17});
    };
    if (hidden.is_signed) CHECK_THROWS_AS(from(std::uint8_t{}), zp::error);
    if (!hidden.is_signed) CHECK_THROWS_AS(from(std::int8_t{}), zp::error);
    std::vector<std::int8_t> narrow(9 * 49);
    CHECK_THROWS_AS(fc2.from_codes(zp::matrix_view<const std::int8_t>(narrow.data(), 9, 49),
                                   zp::matrix_view<float>()),
                    zp::error);
  }
}

namespace {

/// y [9, 17] stays as it was for a code just outside the layer's grid, and is written at its ends.
/// With 41 inputs and 9 rows the last code lies behind whole vectors and behind whole tiles.
template <class Q>
void require_grid(const zp::static_linear& layer) {
  const zp::params& p = layer.activation_params();
  std::vector<Q> codes(9 * 41, static_cast<Q>(p.zero_point));
  const std::vector<float> untouched(9 * 17, 7.0f);
  for (const std::size_t at : {0u, 41u, 9u * 41 - 1}) {
    for (const std::int32_t code : {p.qmin - 1, p.qmin, p.qmax, p.qmax + 1}) {
      if (code < std::numeric_limits<Q>::min()) continue;
      CAPTURE(at, code);
      codes[at] = static_cast<Q>(code);
      std::vector<float> y = untouched;
      const std::string message = test::error_of([&] {
        layer.from_codes(zp::matrix_view<const Q>(codes.data(), 9, 41), {y.data(), 9, 17});
      });
      const bool outside = code < p.qmin || code > p.qmax;
      REQUIRE(test::contains(message, "is outside") == outside);
      REQUIRE((y == untouched) == outside);
    }
    codes[at] = static_cast<Q>(p.zero_point);
  }
}

}  // namespace

TEST_CASE("static_linear refuses codes outside a grid of fewer than 8 bits with every kernel") {
  const matrix w(17, 41, 1);
  for (const zp::scheme& s : {zp::symmetric.with_bits(7), zp::affine.with_bits(4),
                              zp::affine.with_bits(7).as_unsigned()}) {
    for (const zp::kernels::kernel* kernel : test::kernels_here()) {
      CAPTURE(s.qmin(), s.qmax(), kernel->name);
      const zp::static_linear layer(zp::linear_weight{w.view()}, {}, {-1, 2},
                                    {.activations = s, .kernel = kernel});
      s.is_signed ? require_grid<std::int8_t>(layer) : require_grid<std::uint8_t>(layer);
    }
  }
}
