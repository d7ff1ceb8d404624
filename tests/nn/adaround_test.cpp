// adaround against every choice of up and down on tiny layers, and for what it promises of every
// layer.
#include <nn/weight_problem.hpp>

#include <zeropoint/nn/adaround.hpp>

using test::matrix;
namespace zp = zeropoint;

namespace {

zp::quantized_matrix<std::int8_t> nearest(const matrix& w, const zp::adaround_options& o) {
  return o.granularity.visit([&](const auto& granularity) {
    return zp::quantize<std::int8_t>(zp::linear_weight{w.view()}, granularity, o.weights,
                                     zp::serial{}, zp::no_statistics);
  });
}

/// w / scale + zero_point.
double position(const matrix& w, const zp::quantized_matrix<std::int8_t>& q, std::size_t j,
                std::size_t k) {
  const zp::params p = q.params_at(j, k);
  return static_cast<double>(w(j, k)) / static_cast<double>(p.scale) + p.zero_point;
}

/// The smallest output error over all choices of the code below or above each weight [1, in].
double best_of_up_and_down(const matrix& x, const matrix& w, zp::quantized_matrix<std::int8_t> q) {
  double best = std::numeric_limits<double>::infinity();
  for (std::size_t choice = 0; choice < std::size_t{1} << w.cols; ++choice) {
    for (std::size_t k = 0; k < w.cols; ++k) {
      const double code = std::floor(position(w, q, 0, k)) + static_cast<double>(choice >> k & 1);
      q.values()(0, k) = static_cast<std::int8_t>(
          std::min<double>(std::max<double>(code, q.scheme().qmin()), q.scheme().qmax()));
    }
    best = std::min(best, test::output_error(x, w, test::values_of(q)));
  }
  return best;
}

}  // namespace

TEST_CASE("adaround on tiny layers comes close to the best choice of up and down") {
  const auto seed = test::seed(211);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  double total = 0, best_total = 0, nearest_total = 0;
  int best = 0;
  for (int problem = 0; problem < 100; ++problem) {
    CAPTURE(problem);
    const matrix x = test::correlated_matrix(g, 40, 8), w = test::normal_matrix(g, 1, 8);
    const zp::adaround_options o{.weights = zp::affine.with_bits(3)};
    const auto result = zp::adaround(zp::linear_weight{w.view()}, test::gram_of(x), o);
    const double optimum = best_of_up_and_down(x, w, nearest(w, o));
    REQUIRE(result.error >= optimum * (1 - 1e-9));
    REQUIRE(result.error <= result.nearest_error);
    REQUIRE(result.error == Approx(test::output_error(x, w, test::values_of(result.codes))));
    total += result.error, best_total += optimum, nearest_total += result.nearest_error;
    best += result.error <= optimum * (1 + 1e-9) ? 1 : 0;
  }
  CAPTURE(total, best_total, nearest_total, best);
  REQUIRE(total < 1.5 * best_total);
  REQUIRE(total < 0.6 * nearest_total);
  REQUIRE(best > 40);
}

TEST_CASE("adaround rounds down or up, never worse than to nearest, much better if correlated") {
  const auto seed = test::seed(212);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  for (const std::size_t in : {33u, 70u}) {
    const matrix x = test::correlated_matrix(g, 150, in, 0.9f), w = test::normal_matrix(g, 35, in);
    const zp::gram_matrix gram = test::gram_of(x);
    for (const int bits : {2, 4, 8}) {
      for (const zp::weight_granularity& granularity :
           {zp::weight_granularity(zp::per_output_channel),
            zp::weight_granularity(zp::per_group{32}), zp::weight_granularity(zp::per_tensor)}) {
        CAPTURE(in, bits, granularity.is_grouped());
        const zp::adaround_options o{
            .weights = zp::symmetric.with_bits(bits), .granularity = granularity, .steps = 300};
        const auto result = zp::adaround(zp::linear_weight{w.view()}, gram, o);
        const auto start = nearest(w, o);
        REQUIRE(result.codes.table() == start.table());
        for (std::size_t j = 0; j < w.rows; ++j) {
          for (std::size_t k = 0; k < in; ++k) {
            const double code = result.codes.values()(j, k);
            REQUIRE(std::fabs(code - position(w, start, j, k)) <= 1 + 1e-5);
          }
        }
        const auto errors = zp::output_errors(zp::linear_weight{w.view()}, result.codes, gram);
        const auto before = zp::output_errors(zp::linear_weight{w.view()}, start, gram);
        for (std::size_t j = 0; j < w.rows; ++j) REQUIRE(errors[j] <= before[j]);
        // Where the result is not round-to-nearest, no weight alone should have gone the other way.
        for (std::size_t k = 0; k < in; ++k) {
          auto other = result.codes;
          for (std::size_t j = 0; j < w.rows; ++j) {
            std::int8_t& code = other.values()(j, k);
            const int step = code > position(w, start, j, k) ? -1 : 1;
            if (code + step >= o.weights.qmin() && code + step <= o.weights.qmax()) {
              code = static_cast<std::int8_t>(code + step);
            }
          }
          const auto changed = zp::output_errors(zp::linear_weight{w.view()}, other, gram);
          for (std::size_t j = 0; j < w.rows; ++j) {
            if (errors[j] < before[j]) REQUIRE(changed[j] >= errors[j] - 1e-9 * before[j]);
          }
        }
        REQUIRE(result.error < 0.7 * result.nearest_error);
        REQUIRE(result.statistics == zp::measure(w.view(), result.codes));
      }
    }
  }
}

TEST_CASE("adaround gives the same codes on any executor") {
  test::generator g(213);
  const matrix x = test::correlated_matrix(g, 60, 40), w = test::normal_matrix(g, 70, 40);
  const zp::gram_matrix gram = test::gram_of(x);
  const zp::adaround_options o{.steps = 50};
  const auto one = zp::adaround(zp::linear_weight{w.view()}, gram, o);
  const auto many = zp::adaround(zp::linear_weight{w.view()}, gram, o, test::threads{3});
  REQUIRE(test::same_codes(one.codes, many.codes));
  REQUIRE(one.error == many.error);
}

TEST_CASE("adaround on odd numbers") {
  test::generator g(214);
  matrix x = test::normal_matrix(g, 30, 12), w = test::normal_matrix(g, 4, 12);
  const zp::adaround_options quick{.weights = zp::affine.with_bits(4), .steps = 40};
  const auto finite = [&] {
    const auto r = zp::adaround(zp::linear_weight{w.view()}, test::gram_of(x), quick);
    REQUIRE(std::isfinite(r.error));
    REQUIRE(r.error <= r.nearest_error);
  };
  for (const float scale : {0.0f, 1e-44f, 1e-30f, 1e38f}) {
    CAPTURE(scale);
    for (std::size_t k = 0; k < 12; ++k) w(2, k) = k == 5 ? -scale : scale;
    finite();
    for (std::size_t i = 0; i < x.rows; ++i) x(i, 3) = scale;
    finite();
  }
  const auto asleep =
      zp::adaround(zp::linear_weight{w.view()}, test::gram_of(matrix(3, 12)), quick);
  REQUIRE((asleep.error == 0 && asleep.nearest_error == 0));
  REQUIRE(test::same_codes(asleep.codes, nearest(w, quick)));

  const zp::gram_matrix gram = test::gram_of(x);
  const auto refusal = [&](const matrix& weight, const zp::adaround_options& o) {
    return test::error_of([&] { (void)zp::adaround(zp::linear_weight{weight.view()}, gram, o); });
  };
  REQUIRE(refusal(matrix(0, 12), quick).empty());
  REQUIRE(test::contains(refusal(matrix(2, 11), quick), "weights with 11 inputs"));
  REQUIRE(test::contains(refusal(matrix(1, 12, std::nanf("")), quick), "weight nan in output 0"));
  REQUIRE(test::contains(refusal(w, {.steps = 0}), "0 steps"));
  REQUIRE(test::contains(refusal(w, {.warm_up = 1.5}), "warm-up 1.5"));
  REQUIRE(test::contains(refusal(w, {.lambda = -1}), "lambda -1"));
  REQUIRE(test::contains(refusal(w, {.rate = 0}), "rate 0"));
  REQUIRE(test::contains(refusal(w, {.b_start = 1, .b_end = 2}), "b from 1 to 2"));
}
