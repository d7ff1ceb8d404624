// int8_attention against its formulas in 64-bit integers, bit for bit, and near attention in double.
#include <nn/reference.hpp>

#include <zeropoint/nn/attention.hpp>

using test::matrix;
namespace zp = zeropoint;

namespace {

constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();
constexpr float infinity = std::numeric_limits<float>::infinity();

struct shape {
  std::size_t queries, tokens, width;
};
const shape shapes[] = {{1, 1, 1},     {1, 40, 8},   {3, 5, 7},   {17, 17, 64},
                        {64, 130, 32}, {5, 300, 65}, {33, 97, 80}};

zp::kv_cache cached(const matrix& k, const matrix& v) {
  zp::kv_cache cache(k.cols);
  cache.append(k.view(), v.view());
  return cache;
}

template <class Executor = zp::serial>
matrix scores_of(const zp::int8_attention& a, const matrix& q, const Executor& ex = {}) {
  matrix s(q.rows, a.tokens(), -7.25e30f);
  a.scores(q.view(), s.view(), ex);
  return s;
}
template <class Executor = zp::serial>
matrix mixed(const zp::int8_attention& a, const matrix& p, const Executor& ex = {}) {
  matrix y(p.rows, a.width(), -7.25e30f);
  a.mix(p.view(), y.view(), ex);
  return y;
}

/// Softmax of each row over its first `first` + i + 1 tokens, in double.
matrix softmax(const matrix& scores, std::size_t first, double scale) {
  matrix p(scores.rows, scores.cols);
  for (std::size_t i = 0; i < p.rows; ++i) {
    const std::size_t seen = std::min(first + i + 1, p.cols);
    double most = -1e300, sum = 0;
    for (std::size_t j = 0; j < seen; ++j) {
      most = std::max(most, scale * static_cast<double>(scores(i, j)));
    }
    const auto power = [&](std::size_t j) {
      return std::exp(scale * static_cast<double>(scores(i, j)) - most);
    };
    for (std::size_t j = 0; j < seen; ++j) sum += power(j);
    for (std::size_t j = 0; j < seen; ++j) p(i, j) = static_cast<float>(power(j) / sum);
  }
  return p;
}

matrix expected_scores(const matrix& q, const matrix& k) {
  return test::integer_product(test::code_in_blocks(q, 1, q.cols, zp::symmetric), q.rows,
                               test::code_in_blocks(k, 1, k.cols, zp::symmetric), k.rows, {});
}

matrix expected_mixture(const matrix& p, const matrix& v) {
  const auto vq = test::code_in_blocks(v, 1, v.cols, zp::symmetric);
  matrix w(p.rows, p.cols), y(p.rows, v.cols);
  for (std::size_t i = 0; i < p.rows; ++i) {
    for (std::size_t j = 0; j < p.cols; ++j) w(i, j) = p(i, j) * vq.by[j * v.cols].scale;
  }
  const auto wq = test::code_in_blocks(w, 1, p.cols, zp::affine.as_unsigned());
  for (std::size_t i = 0; i < p.rows; ++i) {
    for (std::size_t c = 0; c < v.cols; ++c) {
      std::int64_t sum = 0;
      for (std::size_t j = 0; j < p.cols; ++j) sum += wq.steps(i, j) * vq.steps(j, c);
      y(i, c) = std::fma(static_cast<float>(sum), wq.by[i * p.cols].scale, 0.0f);
    }
  }
  return y;
}

}  // namespace

TEST_CASE("Scores and mixture equal their integer formulas for every kernel and executor") {
  const auto seed = test::seed(51);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  for (const shape& s : shapes) {
    const matrix q = test::normal_matrix(g, s.queries, s.width, 2),
                 k = test::normal_matrix(g, s.tokens, s.width),
                 v = test::normal_matrix(g, s.tokens, s.width, 3);
    const zp::kv_cache cache = cached(k, v);
    const matrix scores = expected_scores(q, k);
    const matrix p = softmax(scores, s.tokens - std::min(s.tokens, s.queries), 0.3);
    const matrix y = expected_mixture(p, v);
    for (const zp::kernels::kernel* kernel : test::kernels_here()) {
      CAPTURE(s.queries, s.tokens, s.width, kernel->name);
      const zp::int8_attention attention(cache, *kernel);
      REQUIRE(test::same_bits(scores_of(attention, q), scores));
      REQUIRE(test::same_bits(scores_of(attention, q, test::backwards{}), scores));
      REQUIRE(test::same_bits(scores_of(attention, q, test::threads{3}), scores));
      REQUIRE(test::same_bits(mixed(attention, p), y));
      REQUIRE(test::same_bits(mixed(attention, p, test::backwards{}), y));
      REQUIRE(test::same_bits(mixed(attention, p, test::threads{3}), y));
    }
  }
}

TEST_CASE("int8 attention stays within its error bounds of attention in double") {
  const auto seed = test::seed(52);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  const std::size_t T = 90, d = 64;
  const matrix q = test::normal_matrix(g, T, d), k = test::normal_matrix(g, T, d),
               v = test::normal_matrix(g, T, d);
  const zp::kv_cache cache = cached(k, v);
  const zp::int8_attention attention(cache);
  const auto absmax = [](const matrix& m, std::size_t i) {
    return static_cast<double>(zp::elementwise::absmax(m.view().row(i)));
  };
  const matrix s = scores_of(attention, q);
  for (std::size_t i = 0; i < T; ++i) {
    for (std::size_t j = 0; j < T; ++j) {
      // Half a step of one operand times the other, and half a step of both.
      const double a = absmax(q, i) / 254, b = absmax(k, j) / 254;
      double exact = 0, bound = 0;
      for (std::size_t c = 0; c < d; ++c) {
        const double x = static_cast<double>(q(i, c)), y = static_cast<double>(k(j, c));
        exact += x * y;
        bound += a * std::fabs(y) + b * std::fabs(x) + a * b;
      }
      REQUIRE(std::fabs(static_cast<double>(s(i, j)) - exact) <= 1.0001 * bound);
    }
  }
  const matrix p = softmax(s, 0, 0.125), y = mixed(attention, p);
  for (std::size_t i = 0; i < T; ++i) {
    double step = 0;  // of the weights: what a row holds, times the scales of the values
    for (std::size_t j = 0; j <= i; ++j) {
      step = std::max(step, static_cast<double>(p(i, j)) * absmax(v, j) / 127 / 255);
    }
    for (std::size_t c = 0; c < d; ++c) {
      double exact = 0, bound = 0;
      for (std::size_t j = 0; j <= i; ++j) {
        const double probability = static_cast<double>(p(i, j));
        exact += probability * static_cast<double>(v(j, c));
        bound += probability * absmax(v, j) / 254 + step / 2 * 127;
      }
      REQUIRE(std::fabs(static_cast<double>(y(i, c)) - exact) <= 1.0001 * bound);
    }
  }
}

TEST_CASE("A row that spreads over thousands of tokens is not rounded to nothing") {
  const std::size_t T = 3000;
  const matrix k(T, 4, 1.0f);
  matrix v(T, 4, 2.0f);
  for (std::size_t j = 0; j < T; ++j) v(j, 1) = -0.5f;
  const zp::kv_cache cache = cached(k, v);
  const matrix p(1, T, 1.0f / 3000), y = mixed(zp::int8_attention(cache), p);
  REQUIRE(zp::quantize(p(0, 0), {1.0f / 255, 0, 0, 255}) == 0);  // what a fixed grid makes of it
  REQUIRE(y(0, 0) == Approx(2).epsilon(1e-5));
  REQUIRE(y(0, 1) == Approx(-32 * 2.0 / 127).epsilon(1e-5));  // -0.5 is -31.75 steps
}

TEST_CASE("Tokens that must not be seen change no bit, whatever they hold") {
  const auto seed = test::seed(53);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  const std::size_t T = 70, d = 16;
  const matrix q = test::normal_matrix(g, T, d);
  matrix k = test::normal_matrix(g, T, d), v = test::normal_matrix(g, T, d);
  const auto attend = [&] {
    const zp::kv_cache cache = cached(k, v);
    const zp::int8_attention attention(cache);
    return mixed(attention, softmax(scores_of(attention, q), 0, 0.25));
  };
  const matrix before = attend();
  for (const float odd : {3.0e4f, 1e38f, not_a_number, infinity}) {
    for (std::size_t c = 0; c < d; ++c) k(T - 1, c) = c == 0 ? odd : -1, v(T - 1, c) = odd;
    const matrix after = attend();
    for (std::size_t i = 0; i + 1 < T; ++i) {
      for (std::size_t c = 0; c < d; ++c) REQUIRE(before(i, c) == after(i, c));
    }
  }
}

TEST_CASE("Odd queries, keys, values and probabilities have defined results") {
  matrix k(4, 2, 1.0f), v(4, 2, 127.0f), q(4, 2);
  const float queries[4][2] = {{0, 0}, {not_a_number, 127}, {infinity, 127}, {1e38f, 1e38f}};
  for (std::size_t i = 0; i < 4; ++i) std::copy(queries[i], queries[i] + 2, &q(i, 0));
  k(1, 0) = k(1, 1) = 0;
  k(2, 0) = not_a_number;
  v(1, 0) = v(1, 1) = 1e38f;
  const zp::kv_cache cache = cached(k, v);
  const zp::int8_attention attention(cache);
  const matrix s = scores_of(attention, q);
  for (std::size_t j = 0; j < 4; ++j) REQUIRE(s(0, j) == 0);
  const float unit = 127 * (1.0f / 127);  // the key 1 as 127 steps
  REQUIRE(s(1, 0) == 127 * unit);
  REQUIRE(s(1, 2) == 127 * unit);
  REQUIRE(s(2, 0) == 254 * unit);
  REQUIRE(s(3, 1) == 0);
  REQUIRE(s(3, 0) == Approx(2e38));

  matrix p(5, 4);
  p(0, 0) = 1;
  p(1, 1) = 1;                          // 1e38
  p(2, 0) = not_a_number, p(2, 3) = 1;  // NaN counts as 0
  p(3, 0) = -0.25f, p(3, 3) = 0.25f;    // not probabilities, but no reason to fail
  const matrix y = mixed(attention, p);
  REQUIRE(y(0, 0) == Approx(127).epsilon(1e-6));
  REQUIRE(y(1, 0) == Approx(1e38).epsilon(1e-6));
  REQUIRE(y(2, 0) == Approx(127).epsilon(1e-6));
  REQUIRE(std::fabs(y(3, 0)) <= 127 * 0.5f / 255);
  REQUIRE(y(4, 0) == 0);  // all zero
}

TEST_CASE("int8 attention says what is wrong with shapes, and accepts no queries") {
  const zp::kv_cache cache = cached(matrix(3, 4, 1.0f), matrix(3, 4, 1.0f));
  const zp::int8_attention attention(cache);
  REQUIRE(scores_of(attention, matrix(0, 4)).rows == 0);
  REQUIRE(mixed(attention, matrix(0, 3)).rows == 0);
  REQUIRE(test::contains(test::error_of([&] { mixed(attention, matrix(2, 4)); }),
                         "4 probabilities a row for 3 tokens"));
  REQUIRE(test::contains(test::error_of([&] { scores_of(attention, matrix(2, 5)); }),
                         "a has 5 columns, the packed weights have k = 4"));
  const zp::kv_cache nothing(4);
  REQUIRE(test::contains(test::error_of([&] { zp::int8_attention{nothing}; }),
                         "0 tokens of 4 values, expected at least 1 of each"));
}

TEST_CASE("One query over the cache as it lies has the bits of the packed one") {
  const auto seed = test::seed(57);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  for (const shape& s : shapes) {
    matrix q = test::normal_matrix(g, s.queries, s.width, 2), p(s.queries, s.tokens);
    const matrix k = test::normal_matrix(g, s.tokens, s.width),
                 v = test::normal_matrix(g, s.tokens, s.width, 3);
    for (std::size_t i = 0; i < s.queries; ++i) {
      for (std::size_t j = 0; j < s.tokens; ++j) {
        p(i, j) = g() % 3 == 0 ? 0 : std::exp(2 * test::normal(g));
      }
    }
    if (s.queries > 4) {
      q(1, 0) = not_a_number, q(2, s.width - 1) = -infinity, q(3, 0) = infinity;
      for (std::size_t c = 0; c < s.width; ++c) q(4, c) = 0;
      p(1, 0) = not_a_number, p(2, 0) = -1, p(3, s.tokens - 1) = -0.0f;  // -1: a zero point
      for (std::size_t j = 0; j < s.tokens; ++j) p(4, j) = 0;
    }
    const zp::kv_cache cache = cached(k, v);
    const zp::int8_attention packed(cache);
    const matrix scores = scores_of(packed, q), mixture = mixed(packed, p);
    for (std::size_t i = 0; i < s.queries; ++i) {
      INFO(s.queries << " queries, " << s.tokens << " tokens of " << s.width << ", query " << i);
      std::vector<float> one(s.tokens), y(s.width);
      zp::int8_scores(q.view().row(i), cache.keys, one);
      zp::int8_mixture(p.view().row(i), cache.values, y);
      CHECK(std::equal(one.begin(), one.end(), scores.view().row(i).begin()));
      CHECK(std::equal(y.begin(), y.end(), mixture.view().row(i).begin()));
    }
    std::vector<float> wrong(s.tokens + 1);
    CHECK_THROWS_AS(zp::int8_scores(q.view().row(0), cache.keys, wrong), zp::error);
    CHECK_THROWS_AS(zp::int8_mixture(wrong, cache.values, wrong), zp::error);
  }
}
