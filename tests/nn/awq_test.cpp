// awq against a plain loop over samples, scales and shares, and for what it promises of every layer.
#include <nn/weight_problem.hpp>

#include <zeropoint/nn/awq.hpp>
#include <zeropoint/nn/scaled_linear.hpp>

using test::matrix;
namespace zp = zeropoint;

namespace {

/// s of the formula, and columns of w times s.
std::vector<float> plain_factors(const matrix& x, double r) {
  std::vector<double> m(x.cols);
  double most = 0;
  for (std::size_t k = 0; k < x.cols; ++k) {
    for (std::size_t i = 0; i < x.rows; ++i) m[k] += std::fabs(x(i, k));
    m[k] /= static_cast<double>(x.rows);
    most = std::max(most, m[k]);
  }
  double low = 1e300, high = 0;
  std::vector<double> s(x.cols);
  for (std::size_t k = 0; k < x.cols; ++k) {
    if (m[k] == 0) continue;
    s[k] = std::pow(std::max(m[k] / most, 1e-4), r);
    low = std::min(low, s[k]), high = std::max(high, s[k]);
  }
  std::vector<float> factors;
  for (const double v : s) {
    factors.push_back(v == 0 ? 1.0f : static_cast<float>(v / std::sqrt(low * high)));
  }
  return factors;
}
matrix times(const matrix& w, const std::vector<float>& factors) {
  matrix scaled(w.rows, w.cols);
  for (std::size_t j = 0; j < w.rows; ++j) {
    for (std::size_t k = 0; k < w.cols; ++k) scaled(j, k) = w(j, k) * factors[k];
  }
  return scaled;
}
/// Values of codes of w diag(s), divided by s.
std::vector<double> unscaled(std::vector<double> values, const std::vector<float>& factors) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] /= static_cast<double>(factors[i % factors.size()]);
  }
  return values;
}
std::vector<double> coded_values(const test::coded& c) {
  std::vector<double> v;
  for (std::size_t i = 0; i < c.code.size(); ++i) {
    const auto steps = static_cast<float>(c.code[i] - c.by[i].zero_point);
    v.push_back(static_cast<double>(c.by[i].scale * steps));
  }
  return v;
}

matrix block_of(const matrix& m, std::size_t rows, std::size_t row, std::size_t first,
                std::size_t size) {
  matrix b(rows, size);
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t k = 0; k < size; ++k) b(i, k) = m(row + i, first + k);
  }
  return b;
}

}  // namespace

TEST_CASE("the scale search finds the best ratio of its grid") {
  const auto seed = test::seed(191);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  for (const std::size_t in : {1u, 24u, 70u}) {
    for (const zp::scheme& s : {zp::affine.with_bits(3), zp::symmetric.with_bits(4)}) {
      CAPTURE(in, s.bits);
      matrix x = test::correlated_matrix(g, 60, in, 0.3f, 20), w = test::normal_matrix(g, 8, in);
      for (std::size_t i = 0; in > 9 && i < x.rows; ++i) x(i, 9) = 0;
      const zp::awq_scale found =
          zp::awq_search_scale(std::vector<zp::linear_weight>{{w.view()}}, test::gram_of(x),
                               {.weights = s, .granularity = zp::per_group{16}});
      double best = 0, best_ratio = 0;
      for (int step = 0; step < 20; ++step) {
        const auto factors = plain_factors(x, step / 20.0);
        const auto codes = test::code_in_blocks(times(w, factors), 1, 16, s);
        const double error = test::output_error(x, w, unscaled(coded_values(codes), factors));
        if (step == 0) REQUIRE(found.nearest_error == Approx(error).epsilon(1e-9));
        if (step == 0 || error < best) best = error, best_ratio = step / 20.0;
      }
      REQUIRE(found.ratio == best_ratio);
      REQUIRE(found.error == Approx(best).epsilon(1e-9));
      REQUIRE(found.factors == plain_factors(x, best_ratio));
      if (in > 9) REQUIRE(found.factors[9] == 1);
      if (in > 1) REQUIRE(found.error < found.nearest_error);
    }
  }
}

TEST_CASE("the clip search finds the best share of every block") {
  const auto seed = test::seed(192);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  const std::size_t in = 37, group = 16;
  const matrix x = test::correlated_matrix(g, 50, in), w = test::normal_matrix(g, 6, in);
  const zp::gram_matrix gram = test::gram_of(x);
  for (const zp::scheme& s : {zp::affine.with_bits(3), zp::symmetric.with_bits(3)}) {
    const zp::awq_options o{.weights = s, .granularity = zp::per_group{group}, .ratios = 1};
    const auto result = zp::awq(zp::linear_weight{w.view()}, gram, o);
    REQUIRE(result.scale.factors == std::vector<float>(in, 1.0f));
    int clipped = 0;
    for (std::size_t j = 0; j < w.rows; ++j) {
      const matrix row = block_of(w, 1, j, 0, in);
      std::vector<double> values, nearest;
      std::vector<float> shares;
      for (std::size_t k = 0; k < in; k += group) {
        const std::size_t size = std::min(group, in - k);
        const matrix block = block_of(w, 1, j, k, size), samples = block_of(x, x.rows, 0, k, size);
        const auto range = zp::detail::finite_range(block.view().row(0), s.kind);
        double best = 0;
        float best_share = 0;
        std::vector<double> best_values;
        for (int step = 0; step < 10; ++step) {
          const float share = static_cast<float>(20 - step) / 20;
          const zp::params p = zp::fit({range.min * share, range.max * share}, s);
          const auto v = coded_values(test::code_by(block, std::vector<zp::params>(size, p)));
          const double error = test::output_error(samples, block, v);
          if (step == 0) nearest.insert(nearest.end(), v.begin(), v.end());
          if (step == 0 || error < best) best = error, best_share = share, best_values = v;
        }
        shares.push_back(best_share);
        values.insert(values.end(), best_values.begin(), best_values.end());
      }
      const bool helps = test::output_error(x, row, values) <= test::output_error(x, row, nearest);
      const auto got = test::values_of(result.codes);
      for (std::size_t k = 0; k < in; ++k) {
        CAPTURE(j, k, helps);
        REQUIRE(got[j * in + k] == (helps ? values : nearest)[k]);
        REQUIRE(result.shares[j * 3 + k / group] == (helps ? shares[k / group] : 1.0f));
        clipped += result.shares[j * 3 + k / group] != 1.0f ? 1 : 0;
      }
    }
    REQUIRE(clipped > 0);
  }
}

TEST_CASE("awq is never worse than round-to-nearest, and its layer has the error it reports") {
  const auto seed = test::seed(193);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  for (const float loud : {1.0f, 10.0f, 100.0f}) {
    for (const int bits : {2, 3, 4, 8}) {
      for (const zp::weight_granularity& granularity :
           {zp::weight_granularity(zp::per_output_channel),
            zp::weight_granularity(zp::per_group{32})}) {
        CAPTURE(loud, bits, granularity.is_grouped());
        const matrix x = test::correlated_matrix(g, 80, 72, 0.5f, loud);
        const matrix w = test::normal_matrix(g, 40, 72);
        const auto result =
            zp::awq(zp::linear_weight{w.view()}, test::gram_of(x),
                    {.weights = zp::affine.with_bits(bits), .granularity = granularity});
        REQUIRE(result.scale.error <= result.scale.nearest_error);
        REQUIRE(result.error <= result.scale.error);
        if (loud > 1) REQUIRE(result.error < 0.8 * result.scale.nearest_error);
        const double error =
            test::output_error(x, w, unscaled(test::values_of(result.codes), result.scale.factors));
        REQUIRE(result.error == Approx(error).epsilon(1e-9));

        const zp::scaled_linear layer(
            zp::weight_only_linear(zp::quantized_weight(result.codes, result.statistics)),
            result.scale.factors);
        const matrix y = test::simulate(layer, x);
        double seen = 0;
        for (std::size_t i = 0; i < x.rows; ++i) {
          for (std::size_t j = 0; j < w.rows; ++j) {
            double exact = 0;
            for (std::size_t k = 0; k < x.cols; ++k) {
              exact += static_cast<double>(x(i, k)) * static_cast<double>(w(j, k));
            }
            seen += (exact - static_cast<double>(y(i, j))) * (exact - static_cast<double>(y(i, j)));
          }
        }
        REQUIRE(seen == Approx(result.error).epsilon(1e-3));
      }
    }
  }
}

TEST_CASE("weights that share an input share a scale, and given scales are used") {
  const auto seed = test::seed(194);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  const matrix x = test::correlated_matrix(g, 60, 40, 0.5f, 30);
  const matrix q = test::normal_matrix(g, 10, 40), k = test::normal_matrix(g, 14, 40, 3);
  const zp::gram_matrix gram = test::gram_of(x);
  const std::vector<zp::linear_weight> both{{q.view()}, {k.view()}};
  const zp::awq_scale shared = zp::awq_search_scale(both, gram);
  double error = 0;
  for (const zp::linear_weight& w : both) {
    const auto result = zp::awq(w, gram, shared, {.clips = 1});
    REQUIRE(result.shares == std::vector<float>(w.out(), 1.0f));
    error += result.error;
  }
  REQUIRE(shared.error == Approx(error).epsilon(1e-12));
  REQUIRE(shared.error < shared.nearest_error);
  REQUIRE(test::same_codes(zp::awq(both[0], gram).codes,
                           zp::awq(both[0], gram, {}, test::threads{3}).codes));
}

TEST_CASE("awq on odd numbers") {
  test::generator g(195);
  matrix x = test::normal_matrix(g, 30, 12), w = test::normal_matrix(g, 4, 12);
  const auto finite = [&] {
    const auto r = zp::awq(zp::linear_weight{w.view()}, test::gram_of(x));
    REQUIRE(std::isfinite(r.error));
    REQUIRE(r.error <= r.scale.nearest_error);
    for (const float s : r.scale.factors) REQUIRE((s >= 0.0099f && s <= 101.0f));
  };
  for (const float scale : {0.0f, 1e-44f, 1e-30f, 1e38f}) {
    CAPTURE(scale);
    for (std::size_t k = 0; k < 12; ++k) w(2, k) = k == 5 ? -scale : scale;
    finite();
    for (std::size_t i = 0; i < x.rows; ++i) x(i, 3) = scale;
    finite();
  }
  const zp::gram_matrix asleep = test::gram_of(matrix(3, 12));
  const auto dead = zp::awq(zp::linear_weight{w.view()}, asleep);
  REQUIRE(dead.scale.factors == std::vector<float>(12, 1.0f));
  REQUIRE((dead.error == 0 && dead.shares == std::vector<float>(4, 1.0f)));

  const zp::gram_matrix gram = test::gram_of(x);
  const auto refusal = [&](const matrix& weight, const zp::awq_options& o) {
    return test::error_of([&] { (void)zp::awq(zp::linear_weight{weight.view()}, gram, o); });
  };
  REQUIRE(refusal(matrix(0, 12), {}).empty());
  REQUIRE(test::contains(refusal(w, {.granularity = zp::per_tensor}), "one scale for all"));
  REQUIRE(test::contains(refusal(w, {.ratios = 0}), "0 ratios"));
  REQUIRE(test::contains(refusal(w, {.clips = 21}), "21 clips"));
  REQUIRE(test::contains(refusal(matrix(2, 11), {}), "weights with 11 inputs"));
  REQUIRE(test::contains(refusal(matrix(1, 12, std::nanf("")), {}), "weight nan in output 0"));
  zp::awq_scale negative;
  negative.factors.assign(12, -1.0f);
  REQUIRE(test::contains(
      test::error_of([&] { (void)zp::awq(zp::linear_weight{w.view()}, gram, negative); }),
      "factor -1"));
}
