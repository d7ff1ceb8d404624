// gptq against the paper's update with an explicit inverse, against all codes of tiny layers, and
// for what it promises of every layer.
#include <nn/weight_problem.hpp>

#include <zeropoint/nn/gptq.hpp>

using test::matrix;
namespace zp = zeropoint;

namespace {

/// The paper (OBQ in a fixed order): after input j, w -= (w_j - q_j) / Hinv_jj * Hinv_j,: and
/// Hinv -= Hinv_:,j Hinv_j,: / Hinv_jj. Grids are those of `codes`, or fitted to a group's weights
/// when its first input comes up.
void literal_gptq(const matrix& w, std::vector<double> h, const std::vector<std::size_t>& order,
                  bool fits, zp::quantized_matrix<std::int8_t>& codes) {
  const std::size_t n = w.cols;
  std::vector<double> inverse(n * n);  // Gauss-Jordan; h is positive definite
  for (std::size_t i = 0; i < n; ++i) inverse[i * n + i] = 1;
  for (std::size_t i = 0; i < n; ++i) {
    const double pivot = h[i * n + i];
    for (std::size_t k = 0; k < n; ++k) h[i * n + k] /= pivot, inverse[i * n + k] /= pivot;
    for (std::size_t r = 0; r < n; ++r) {
      const double factor = h[r * n + i];
      for (std::size_t k = 0; k < n && r != i; ++k) {
        h[r * n + k] -= factor * h[i * n + k], inverse[r * n + k] -= factor * inverse[i * n + k];
      }
    }
  }
  std::vector<double> now(w.rows * n);
  for (std::size_t r = 0; r < w.rows; ++r) {
    for (std::size_t k = 0; k < n; ++k) now[r * n + k] = static_cast<double>(w(r, k));
  }
  const std::size_t group = codes.block().cols;
  for (const std::size_t j : order) {
    for (std::size_t r = 0; r < w.rows; ++r) {
      if (fits && j % group == 0) {
        std::vector<float> values;
        for (std::size_t k = j; k < std::min(n, j + group); ++k) {
          values.push_back(static_cast<float>(now[r * n + k]));
        }
        codes.table().set(codes.table().index(r, j), test::fit_to(values, codes.scheme()));
      }
      const zp::params p = codes.params_at(r, j);
      const auto q = test::code_of(static_cast<float>(now[r * n + j]), p);
      codes.values()(r, j) = static_cast<std::int8_t>(q);
      const double value = static_cast<double>(p.scale * static_cast<float>(q - p.zero_point));
      const double e = (now[r * n + j] - value) / inverse[j * n + j];
      for (std::size_t k = 0; k < n; ++k) now[r * n + k] -= e * inverse[j * n + k];
    }
    const std::vector<double> row(inverse.begin() + static_cast<std::ptrdiff_t>(j * n),
                                  inverse.begin() + static_cast<std::ptrdiff_t>((j + 1) * n));
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t k = 0; k < n; ++k) inverse[i * n + k] -= row[i] * row[k] / row[j];
    }
  }
}

std::vector<std::size_t> order_of(const zp::gram_matrix& g, bool act_order) {
  std::vector<std::size_t> order(g.in());
  for (std::size_t j = 0; j < g.in(); ++j) order[j] = j;
  if (act_order) {
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return g(a, a) > g(b, b); });
  }
  return order;
}

zp::quantized_matrix<std::int8_t> nearest(const matrix& w, const zp::gptq_options& o) {
  return o.granularity.visit([&](const auto& granularity) {
    return zp::quantize<std::int8_t>(zp::linear_weight{w.view()}, granularity, o.weights,
                                     zp::serial{}, zp::no_statistics);
  });
}

zp::quantized_matrix<std::int8_t> literal(const matrix& w, const zp::gram_matrix& g,
                                          const zp::gptq_options& o) {
  const std::size_t n = w.cols;
  double mean = 0;
  for (std::size_t j = 0; j < n; ++j) mean += g(j, j) / static_cast<double>(n);
  std::vector<double> h(n * n);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t k = 0; k < n; ++k) h[i * n + k] = g(i, k);
    if (g(i, i) == 0) h[i * n + i] = 1;
    h[i * n + i] += 0.01 * mean;
  }
  auto codes = nearest(w, o);
  literal_gptq(w, h, order_of(g, o.act_order),
               o.granularity.is_grouped() && !o.act_order && !o.static_groups, codes);
  return codes;
}

/// The same codes; grids fitted on the way come from sums in another order.
void require_same(const zp::quantized_matrix<std::int8_t>& a,
                  const zp::quantized_matrix<std::int8_t>& b) {
  for (std::size_t j = 0; j < a.rows(); ++j) {
    for (std::size_t k = 0; k < a.cols(); ++k) {
      CAPTURE(j, k);
      REQUIRE(static_cast<int>(a.values()(j, k)) == static_cast<int>(b.values()(j, k)));
      REQUIRE(a.params_at(j, k).zero_point == b.params_at(j, k).zero_point);
      REQUIRE(a.params_at(j, k).scale == Approx(b.params_at(j, k).scale).epsilon(1e-6));
    }
  }
}

}  // namespace

TEST_CASE("gptq gives the codes of the paper's formula") {
  const auto seed = test::seed(171);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  const zp::weight_granularity granularities[] = {zp::per_tensor, zp::per_output_channel,
                                                  zp::per_group{8}, zp::per_group{50},
                                                  zp::per_group{1}};
  for (const std::size_t in : {1u, 7u, 64u, 65u, 150u}) {
    matrix x = test::correlated_matrix(g, 200, in), w = test::normal_matrix(g, 35, in);
    for (std::size_t i = 0; in > 7 && i < x.rows; ++i) x(i, 5) = 0;  // a dead input
    const zp::gram_matrix gram = test::gram_of(x);
    for (const zp::scheme& s : {zp::affine.with_bits(2), zp::symmetric.with_bits(4)}) {
      for (const auto& granularity : granularities) {
        for (const bool act_order : {false, true}) {
          for (const bool static_groups : {false, true}) {
            CAPTURE(in, s.bits, act_order, static_groups, granularity.is_grouped());
            const zp::gptq_options o{.weights = s,
                                     .granularity = granularity,
                                     .act_order = act_order,
                                     .static_groups = static_groups,
                                     .keep_nearest_if_better = false};
            const auto result = zp::gptq(zp::linear_weight{w.view()}, gram, o);
            require_same(result.codes, literal(w, gram, o));
            REQUIRE(result.report.damping == 0.01);
            REQUIRE(result.report.dead_inputs == (in > 7 ? 1 : 0));
            REQUIRE(result.report.error ==
                    Approx(test::output_error(x, w, test::values_of(result.codes))).epsilon(1e-9));
            REQUIRE(result.report.nearest_error ==
                    Approx(test::output_error(x, w, test::values_of(nearest(w, o)))).epsilon(1e-9));
            REQUIRE(result.statistics == zp::measure(w.view(), result.codes));
          }
        }
      }
    }
  }
}

TEST_CASE("gptq on tiny layers lies between the best codes and round-to-nearest") {
  const auto seed = test::seed(172);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  int better = 0, worse = 0, best = 0;
  double total = 0, nearest_total = 0;
  for (int problem = 0; problem < 300; ++problem) {
    CAPTURE(problem);
    const matrix x = test::correlated_matrix(g, 20, 4), w = test::normal_matrix(g, 1, 4);
    const zp::gram_matrix gram = test::gram_of(x);
    zp::gptq_options o{.weights = zp::affine.with_bits(2)};
    const auto safe = zp::gptq(zp::linear_weight{w.view()}, gram, o).report;
    o.keep_nearest_if_better = false;
    const auto plain = zp::gptq(zp::linear_weight{w.view()}, gram, o).report;
    const double optimum = test::best_error(x, w, nearest(w, o));
    REQUIRE(plain.error >= optimum * (1 - 1e-9));
    REQUIRE(safe.error == std::min(plain.error, plain.nearest_error));
    REQUIRE(safe.kept_nearest == (plain.nearest_error < plain.error ? 1 : 0));
    better += plain.error < plain.nearest_error ? 1 : 0;
    worse += plain.error > plain.nearest_error ? 1 : 0;
    best += safe.error <= optimum * (1 + 1e-9) ? 1 : 0;
    total += plain.error, nearest_total += plain.nearest_error;
  }
  // With four inputs there is little to make up for, and two bits clip what would: most are equal.
  CAPTURE(better, worse, best, total, nearest_total);
  REQUIRE(better > 2 * worse);
  REQUIRE(best > 60);
  REQUIRE(total < 0.9 * nearest_total);
}

TEST_CASE("gptq is never worse than round-to-nearest, and much better where inputs correlate") {
  const auto seed = test::seed(173);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  for (const std::size_t in : {40u, 96u, 200u}) {
    const matrix x = test::correlated_matrix(g, 300, in, 0.9f), w = test::normal_matrix(g, 40, in);
    const zp::gram_matrix gram = test::gram_of(x);
    for (const int bits : {2, 3, 4, 8}) {
      for (const bool act_order : {false, true}) {
        CAPTURE(in, bits, act_order);
        const auto& [codes, statistics, report] = zp::gptq(zp::linear_weight{w.view()}, gram,
                                                           {.weights = zp::affine.with_bits(bits),
                                                            .granularity = zp::per_group{32},
                                                            .act_order = act_order});
        REQUIRE(report.error < 0.7 * report.nearest_error);
        const auto errors = zp::output_errors(zp::linear_weight{w.view()}, codes, gram);
        const auto before = zp::output_errors(
            zp::linear_weight{w.view()},
            nearest(w, {.weights = zp::affine.with_bits(bits), .granularity = zp::per_group{32}}),
            gram);
        for (std::size_t j = 0; j < w.rows; ++j) REQUIRE(errors[j] <= before[j]);
      }
    }
  }
}

TEST_CASE("gptq raises the damping until the condition is acceptable, and says so") {
  const auto seed = test::seed(174);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  const matrix x = test::normal_matrix(g, 1, 60), w = test::normal_matrix(g, 5, 60);
  const zp::gram_matrix gram = test::gram_of(x);  // rank one: the condition is 1 + 60 / damping
  const zp::linear_weight weight{w.view()};
  const auto plain = zp::gptq(weight, gram).report;
  REQUIRE(plain.damping == 0.01);
  REQUIRE(plain.condition == Approx(6001).epsilon(1e-6));
  const auto raised = zp::gptq(weight, gram, {.max_condition = 1000}).report;
  REQUIRE(raised.damping == Approx(0.1));
  REQUIRE(raised.condition == Approx(601).epsilon(1e-6));
  REQUIRE(zp::gptq(weight, gram, {.damping = 2}).report.condition == Approx(31).epsilon(1e-6));
  REQUIRE(test::contains(test::error_of([&] { (void)zp::gptq(weight, gram, {.damping = 1e-17}); }),
                         "with damping 1e-17 the matrix of 60 inputs from 1 rows is not positive"));
  REQUIRE(
      test::contains(test::error_of([&] { (void)zp::gptq(weight, gram, {.max_condition = 0.5}); }),
                     "expected at most 0.5"));
  REQUIRE(test::contains(test::error_of([&] { (void)zp::gptq(weight, gram, {.damping = -1}); }),
                         "damping -1"));
}

TEST_CASE("gptq gives the same codes on any executor") {
  test::generator g(175);
  const matrix x = test::correlated_matrix(g, 150, 130), w = test::normal_matrix(g, 100, 130);
  const zp::gram_matrix gram = test::gram_of(x);
  const zp::gptq_options o{.granularity = zp::per_group{48}};
  const auto one = zp::gptq(zp::linear_weight{w.view()}, gram, o);
  for (std::size_t n = 2; n <= 3; ++n) {
    const auto many = zp::gptq(zp::linear_weight{w.view()}, gram, o, test::threads{n});
    REQUIRE(test::same_codes(one.codes, many.codes));
    REQUIRE(one.report.error == many.report.error);
  }
  REQUIRE(test::same_codes(
      one.codes, zp::gptq(zp::linear_weight{w.view()}, gram, o, test::backwards{}).codes));
}

TEST_CASE("gptq leaves dead inputs at the nearest code, and needs a living row") {
  test::generator g(176);
  const matrix w = test::normal_matrix(g, 6, 20);
  matrix x(3, 20);
  const zp::linear_weight weight{w.view()};
  const auto asleep = zp::gptq(weight, test::gram_of(x));  // every input dead
  REQUIRE(test::same_codes(asleep.codes, nearest(w, {})));
  REQUIRE((asleep.report.dead_inputs == 20 && asleep.report.error == 0));

  x = test::normal_matrix(g, 30, 20);
  for (std::size_t i = 0; i < x.rows; ++i) x(i, 7) = 0;
  const auto one = zp::gptq(weight, test::gram_of(x));
  for (std::size_t j = 0; j < w.rows; ++j) {
    REQUIRE(one.codes.values()(j, 7) == nearest(w, {}).values()(j, 7));
  }
  REQUIRE(test::contains(test::error_of([&] { (void)zp::gptq(weight, zp::gram_matrix(20)); }),
                         "gptq: 0 finite rows"));
  REQUIRE(test::contains(test::error_of([&] { (void)zp::gptq(weight, zp::gram_matrix(21)); }),
                         "weights with 20 inputs, activations with 21"));
}

TEST_CASE("gptq on odd numbers") {
  test::generator g(177);
  matrix x = test::normal_matrix(g, 50, 12), w = test::normal_matrix(g, 4, 12);
  const auto finite = [&] {
    const auto r = zp::gptq(zp::linear_weight{w.view()}, test::gram_of(x));
    REQUIRE(std::isfinite(r.report.error));
    REQUIRE(r.report.error <= r.report.nearest_error);
    for (const float s : r.codes.scales()) REQUIRE(std::isfinite(s));
  };
  for (const float scale : {0.0f, 1e-44f, 1e-30f, 1e37f}) {
    CAPTURE(scale);
    for (std::size_t k = 0; k < 12; ++k) w(2, k) = k == 5 ? -scale : scale;
    finite();
    for (std::size_t i = 0; i < x.rows; ++i) x(i, 3) = scale;
    finite();
  }
  w(1, 1) = std::numeric_limits<float>::infinity();
  REQUIRE(test::contains(
      test::error_of([&] { (void)zp::gptq(zp::linear_weight{w.view()}, test::gram_of(x)); }),
      "weight inf in output 1"));
  const auto none = zp::gptq(zp::linear_weight{matrix(0, 12).view()}, test::gram_of(x));
  REQUIRE(none.codes.rows() == 0);
  zp::gram_matrix no_inputs(0);
  no_inputs.observe(matrix(1, 0).view());
  REQUIRE(zp::gptq(zp::linear_weight{matrix(3, 0).view()}, no_inputs).codes.rows() == 3);
  REQUIRE(test::contains(test::error_of([&] {
                           (void)zp::gptq(zp::linear_weight{matrix(3, 0).view()}, no_inputs,
                                          {.weights = zp::affine.as_unsigned()});
                         }),
                         "unsigned scheme"));
}
