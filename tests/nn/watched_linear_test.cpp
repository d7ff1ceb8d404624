// watched_linear is static_linear while its calibration holds, and dynamic_linear after it does not.
#include <nn/reference.hpp>

#include <zeropoint/nn/dynamic_linear.hpp>
#include <zeropoint/nn/parity.hpp>
#include <zeropoint/nn/watched_linear.hpp>

#include <atomic>

using test::matrix;
namespace zp = zeropoint;

namespace {

constexpr zp::value_range calibrated{-5, 5};  // all of calm() lies inside

struct fixture {
  std::uint64_t seed = test::seed(141);
  test::generator g{seed};
  matrix w = test::normal_matrix(g, 20, 64);
  std::vector<float> bias = test::normal_vector(g, 20);
  zp::linear_weight weight{w.view()};
  matrix calm() {
    matrix m = test::normal_matrix(g, 16, 64);
    for (float& v : m.values) v = std::clamp(v, -4.9f, 4.9f);
    return m;
  }
  matrix shifted() { return test::normal_matrix(g, 16, 64, 4); }
};

}  // namespace

TEST_CASE("watched_linear stays static on the data it was calibrated for") {
  fixture f;
  INFO(test::seed_text(f.seed));
  const zp::watched_linear layer(f.weight, f.bias, calibrated, {.limit = 0.001, .window = 4096});
  const zp::static_linear plain(f.weight, f.bias, calibrated);
  for (int call = 0; call < 40; ++call) {
    const matrix x = f.calm();
    REQUIRE(test::same_bits(test::apply(layer, x), test::apply(plain, x)));
  }
  REQUIRE(!layer.demoted());
  REQUIRE(layer.counts() == plain.counts());
  REQUIRE(layer.static_activations() == 40 * 1024);
  REQUIRE(layer.window().count == 4096);
  REQUIRE(layer.status() == "static: 0 of 4096 outside -5 .. 5, limit 0.1 %");
  REQUIRE(layer.weight_bytes() == plain.weight_bytes());  // no second copy of the weights
}

TEST_CASE("watched_linear demotes itself on shifted data and then is dynamic_linear") {
  fixture f;
  INFO(test::seed_text(f.seed));
  const zp::watched_linear layer(f.weight, f.bias, calibrated, {.limit = 0.02, .window = 4096});
  const zp::static_linear fixed(f.weight, f.bias, calibrated);
  const zp::dynamic_linear dynamic(f.weight, f.bias);
  std::uint64_t outside = 0;
  // A window is 4 calls. The first is calm; the second has 3 calm calls and then a bad one, whose
  // fifth of clipped values is a twentieth of the window.
  for (int call = 0; call < 8; ++call) {
    const matrix x = call < 7 ? f.calm() : f.shifted();
    const matrix y = test::apply(layer, x);
    REQUIRE(layer.demoted() == (call == 7));
    if (call < 7) {
      REQUIRE(test::same_bits(y, test::apply(fixed, x)));
    } else {  // computed again
      for (std::size_t i = 0; i < x.rows; ++i) {
        for (std::size_t k = 0; k < x.cols; ++k) outside += std::fabs(x(i, k)) > 5 * 127.5f / 127;
      }
      REQUIRE(test::same_bits(y, test::apply(dynamic, x)));
    }
  }
  REQUIRE(layer.static_activations() == 8192);
  REQUIRE(layer.window().count == 4096);
  REQUIRE(layer.window().clipped() == outside);
  REQUIRE(layer.status() == "scale per token since activation 8192: " + std::to_string(outside) +
                                " of 4096 outside -5 .. 5, limit 2 %");
  REQUIRE(layer.counts().count == 9 * 1024);
  for (int call = 0; call < 5; ++call) {  // for good, and nothing is watched any more
    const matrix x = call % 2 == 0 ? f.calm() : f.shifted();
    const matrix y = test::apply(dynamic, x);
    REQUIRE(test::same_bits(test::apply(layer, x), y));
    REQUIRE(test::same_bits(test::apply(layer, x, test::threads{3}), y));
    REQUIRE(test::same_bits(test::simulate(layer, x), test::simulate(dynamic, x)));
  }
  REQUIRE(layer.static_activations() == 8192);
  REQUIRE(zp::parity_checker().check("demoted", layer, f.calm().view()));
}

TEST_CASE("a window is judged when it is full, at the limit exactly, and every window anew") {
  const matrix w(2, 10, 1);
  const auto rows_with = [](std::size_t outside) {
    matrix x(1, 10, 0.5f);
    for (std::size_t k = 0; k < outside; ++k) x(0, k) = k % 2 == 0 ? 3.0f : -3.0f;
    return x;
  };
  const zp::watched_linear layer(zp::linear_weight{w.view()}, {}, {-1, 1},
                                 {.limit = 0.25, .window = 20});
  (void)test::apply(layer, rows_with(10));  // 10 of 10, but the window is not full
  REQUIRE(!layer.demoted());
  const zp::watched_linear copy = layer;  // takes its window along
  matrix nan = rows_with(0);
  nan(0, 1) = std::nanf("");  // not outside the grid
  (void)test::apply(layer, nan);
  REQUIRE(layer.demoted());  // 10 of 20
  REQUIRE(!copy.demoted());
  REQUIRE(copy.window().count == 10);

  const zp::watched_linear at_limit(zp::linear_weight{w.view()}, {}, {-1, 1},
                                    {.limit = 0.25, .window = 20});
  for (int window = 0; window < 10; ++window) {  // 5 of 20 each time: exactly the limit
    (void)test::apply(at_limit, rows_with(4));
    matrix x = rows_with(0);
    x(0, 3) = std::numeric_limits<float>::infinity();
    (void)test::apply(at_limit, x);
    REQUIRE(at_limit.window().outside() == 5);
  }
  REQUIRE(!at_limit.demoted());
  (void)test::apply(at_limit, rows_with(3));
  (void)test::apply(at_limit, rows_with(3));
  REQUIRE(at_limit.demoted());
  REQUIRE(at_limit.static_activations() == 220);
  REQUIRE(test::apply(at_limit, matrix(0, 10)).rows == 0);
}

TEST_CASE("watched_linear: layouts, codes that are ready, schemes, and twins before and after") {
  fixture f;
  INFO(test::seed_text(f.seed));
  const matrix wt = f.w.transposed();
  zp::parity_checker all;
  for (const zp::scheme& s : {zp::symmetric, zp::affine, zp::affine.as_unsigned()}) {
    const zp::static_linear_options o{.activations = s};
    const zp::watch_options watch{.limit = 0.01, .window = 1024};
    const zp::watched_linear rows(f.weight, f.bias, calibrated, watch, o);
    const zp::watched_linear columns(zp::conv1d_weight{wt.view()}, f.bias, calibrated, watch, o);
    const zp::watched_linear ready(
        zp::quantized_weight(f.weight, zp::per_output_channel, zp::symmetric), f.bias, calibrated,
        watch, o);
    for (const bool shift : {false, true, false}) {
      const matrix x = shift ? f.shifted() : f.calm();
      REQUIRE(all.check("rows", rows, x.view()));
      const matrix y = test::apply(columns, x);
      REQUIRE(test::same_bits(test::apply(ready, x), y));
      REQUIRE(rows.demoted() == columns.demoted());
    }
    REQUIRE(rows.demoted());
  }
}

TEST_CASE("many threads: one demotion, and no static result after it") {
  fixture f;
  INFO(test::seed_text(f.seed));
  const zp::watched_linear layer(f.weight, f.bias, calibrated, {.limit = 0.01, .window = 40000});
  const zp::static_linear fixed(f.weight, f.bias, calibrated);
  const zp::dynamic_linear dynamic(f.weight, f.bias);
  const matrix x = f.shifted(), before = test::apply(fixed, x), after = test::apply(dynamic, x);
  std::atomic<int> static_calls = 0, wrong = 0;
  test::threads{4}(4, [&](std::size_t) {
    bool was_dynamic = false;
    for (int call = 0; call < 30; ++call) {
      matrix y(16, 20);
      layer(x.view(), y.view());
      if (test::same_bits(y, before)) {
        ++static_calls;
        if (was_dynamic) ++wrong;
      } else if (test::same_bits(y, after)) {
        was_dynamic = true;
      } else {
        ++wrong;
      }
    }
  });
  REQUIRE(wrong == 0);
  REQUIRE(static_calls == 39);  // the 40th call of 1024 fills the window
  REQUIRE(layer.demoted());
  REQUIRE(layer.static_activations() == 40 * 1024);
}

TEST_CASE("watched_linear refuses limits and windows that make no sense") {
  const matrix w(2, 3, 1);
  const auto text = [&](const zp::watch_options& o) {
    return test::error_of([&] { zp::watched_linear(zp::linear_weight{w.view()}, {}, {-1, 1}, o); });
  };
  REQUIRE(text({.limit = -0.1}) == "watched_linear: limit -0.1, expected 0 to 1");
  REQUIRE(test::contains(text({.limit = std::nan("")}), "limit"));
  REQUIRE(text({.window = 0}) == "watched_linear: a window of 0 activations, expected at least 1");
}
