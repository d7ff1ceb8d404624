// The float products of every variant: near the sums in double, and bit for bit what the formula in
// float_products_vectors.hpp says, whatever the shape, between pages that must not be touched.
#include "support/guarded.hpp"
#include "support/test.hpp"

#include <lab/models/float_kernels.hpp>
#include <lab/models/linear.hpp>

#include <algorithm>
#include <array>
#include <vector>

namespace {

using lab::float_kernels;

/// A matrix of normals with a gap behind every row but the last; `front` as in test::guarded.
struct matrix {
  matrix(std::size_t rows, std::size_t cols, std::size_t gap, bool front, test::generator& g)
      : stride(cols + gap), memory(rows == 0 ? 0 : rows * stride - gap, front) {
    for (std::size_t i = 0; i < rows; ++i) {
      for (std::size_t j = 0; j < cols; ++j) memory[i * stride + j] = test::normal(g);
    }
  }
  float& operator()(std::size_t i, std::size_t j) const { return memory[i * stride + j]; }
  std::size_t stride;
  test::guarded<float> memory;
};

/// Element by element in ascending k: a sum per 256, and the sum of those.
float chain(std::size_t k, const float* a, const float* b, std::size_t b_step) {
  float total = 0;
  for (std::size_t first = 0; first < k; first += 256) {
    float sum = 0;
    for (std::size_t p = first; p < std::min(k, first + 256); ++p) {
      sum = std::fma(a[p], b[p * b_step], sum);
    }
    total = first == 0 ? sum : total + sum;
  }
  return total;
}

/// b is [n, k] for multiply_nt, [k, n] for multiply_nn. The gaps of c stay as they were.
void check_elements(std::size_t m, std::size_t n, std::size_t k, const matrix& a, const matrix& b,
                    bool transposed, const float* bias, const matrix& c) {
  const float gap = -7;
  for (std::size_t i = 0; i < m; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      const float* column = transposed ? &b(j, 0) : &b(0, j);
      const std::size_t step = transposed ? 1 : b.stride;
      const float expected = chain(k, &a(i, 0), column, step);
      REQUIRE(c(i, j) == (bias == nullptr ? expected : expected + bias[j]));
    }
    for (std::size_t j = n; i + 1 < m && j < c.stride; ++j) REQUIRE(c(i, j) == gap);
  }
}

void fill(const matrix& c, std::size_t rows, std::size_t cols) {
  for (std::size_t i = 0; i < rows; ++i) {
    std::fill_n(&c(i, 0), i + 1 < rows ? c.stride : cols, -7.0f);
  }
}

void check_shape(std::size_t m, std::size_t n, std::size_t k, bool front, test::generator& g) {
  const matrix a(m, k, 3, front, g), rows(n, k, 5, front, g), columns(k, n, 1, front, g);
  const matrix c(m, n, 2, front, g), bias(1, n, 0, front, g);
  for (const float_kernels* f : lab::runnable_float_kernels()) {
    INFO(f->name << " " << m << " x " << n << " x " << k << (front ? ", front" : ", back"));
    fill(c, m, n);
    f->multiply_nt(m, n, k, a.memory.data(), a.stride, rows.memory.data(), rows.stride,
                   bias.memory.data(), c.memory.data(), c.stride);
    check_elements(m, n, k, a, rows, true, bias.memory.data(), c);
    fill(c, m, n);
    f->multiply_nn(m, n, k, a.memory.data(), a.stride, columns.memory.data(), columns.stride,
                   c.memory.data(), c.stride);
    check_elements(m, n, k, a, columns, false, nullptr, c);
  }
}

}  // namespace

TEST_CASE("An element of a product is one chain of sums, whatever surrounds it") {
  const std::uint64_t seed = test::seed(71);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  const bool front = GENERATE(false, true);
  for (const std::size_t m : {1u, 2u, 6u, 7u, 14u, 15u, 29u, 43u}) {
    for (const std::size_t n : {1u, 3u, 8u, 16u, 17u, 31u, 32u, 33u, 130u}) {
      for (const std::size_t k : {0u, 1u, 5u, 16u, 37u, 256u, 257u, 600u}) {
        check_shape(m, n, k, front, g);
      }
    }
  }
  check_shape(2, 259, 17, front, g);  // a second block of columns
  check_shape(16, 530, 300, front, g);
}

TEST_CASE("Products stay within the rounding of their sums") {
  const std::uint64_t seed = test::seed(11);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  for (const std::size_t m : {1u, 2u, 33u}) {
    for (const std::size_t k : {1u, 5u, 256u, 1000u, 5000u}) {
      const std::size_t n = 53;
      const matrix a(m, k, 0, false, g), b(n, k, 0, false, g), bias(1, n, 0, false, g);
      const matrix c(m, n, 0, false, g);
      for (const float_kernels* f : lab::runnable_float_kernels()) {
        INFO(f->name << " " << m << " x " << n << " x " << k);
        f->multiply_nt(m, n, k, a.memory.data(), k, b.memory.data(), k, bias.memory.data(),
                       c.memory.data(), n);
        for (std::size_t i = 0; i < m; ++i) {
          for (std::size_t j = 0; j < n; ++j) {
            double sum = static_cast<double>(bias(0, j)), magnitude = std::fabs(sum);
            for (std::size_t p = 0; p < k; ++p) {
              const double t = static_cast<double>(a(i, p)) * static_cast<double>(b(j, p));
              sum += t;
              magnitude += std::fabs(t);
            }
            // A term is rounded with each sum that it is in.
            const std::size_t roundings = std::min<std::size_t>(k, 256) + k / 256 + 1;
            const double allowed = static_cast<double>(roundings) * 0x1p-24 * 1.001 * magnitude;
            REQUIRE(std::fabs(static_cast<double>(c(i, j)) - sum) <= allowed);
          }
        }
      }
    }
  }
}

TEST_CASE("A multiply-add is rounded once, ties and infinities included") {
  // One term on top of another: c = fma(a1, b1, a0 * 1), where a0 is any float, and products that end in
  // or beside the middle between two floats are as frequent as others.
  const float inf = std::numeric_limits<float>::infinity(), max = 0x1.fffffep127f;
  std::vector<std::array<float, 3>> terms = {{1, 0x1p-24f, 1},
                                             {0x1.000002p0f, 0x1p-24f, 1},
                                             {0x1.000002p0f, 0x1p-12f, 0x1p-12f},
                                             {1, -0x1p-25f, 1},
                                             {0x1p-140f, 0x1p-70f, 1},
                                             {0x1p-149f, 0x1p-75f, 0x1p-75f},
                                             {0x1p-148f, -0.5f, 0x1p-149f},
                                             {max, max, 1},
                                             {-max, max, 2},
                                             {max, 0x1p103f, 1},
                                             {max, 0x1.fffffep102f, 1},
                                             {inf, 1, 1},
                                             {1, -inf, 1},
                                             {-1, 1, 1},
                                             {0, -1, 0}};
  test::generator g(test::seed(76));
  for (int i = 0; i < 200000; ++i) {
    const auto few =
        [&](int bits) {  // of one sign or the other, with so many significant bits at most
          const auto digits = static_cast<double>(g() >> (64 - bits)) * (g() % 2 == 0 ? 1 : -1);
          return static_cast<float>(std::ldexp(digits, -static_cast<int>(g() % 30)));
        };
    terms.push_back(
        {few(24), few(1 + static_cast<int>(g() % 23)), few(1 + static_cast<int>(g() % 23))});
    terms.push_back({test::normal(g), test::normal(g), test::normal(g)});
  }
  std::size_t other = 0;  // where two roundings would have been seen
  for (const auto& [c, a, b] : terms) {
    const float expected = std::fma(a, b, c);
    const volatile float product = a * b;
    if (std::isfinite(expected) && product + c != expected) ++other;
    const float row[] = {c, a}, column[] = {1, b};
    for (const float_kernels* f : lab::runnable_float_kernels()) {
      float y[2] = {};
      f->multiply_nt(1, 1, 2, row, 2, column, 2, nullptr, y, 1);
      INFO(f->name << ": fma(" << a << ", " << b << ", " << c << ") = " << expected << ", not "
                   << y[0]);
      REQUIRE((y[0] == expected || (std::isnan(y[0]) && std::isnan(expected))));
    }
  }
  CHECK(other > terms.size() / 10);
}

TEST_CASE("Attention of many queries has the bits of each of them alone") {
  test::generator g(test::seed(72));
  const auto [tokens, rows] = GENERATE(table<std::size_t, std::size_t>({{2, 2},
                                                                        {3, 2},
                                                                        {15, 15},
                                                                        {33, 29},
                                                                        {255, 13},
                                                                        {256, 14},
                                                                        {257, 15},
                                                                        {280, 43},
                                                                        {300, 300},
                                                                        {530, 17}}));
  for (const std::size_t d : {1u, 20u, 64u, 300u}) {
    const matrix k(tokens, d, 4, false, g), v(tokens, d, 4, false, g), q(rows, d, 1, false, g);
    const matrix mixed(rows, d, 3, false, g);
    const float scale = 1.5f / std::sqrt(static_cast<float>(d));
    std::vector<float> expected(rows * d);
    for (std::size_t i = 0; i < rows; ++i) {
      const float_kernels& f = *lab::runnable_float_kernels().front();
      const std::size_t n = tokens - rows + i + 1;
      std::vector<float> weights(n);
      f.multiply_nt(1, n, d, &q(i, 0), d, &k(0, 0), k.stride, nullptr, weights.data(), n);
      f.causal_softmax(1, n, n - 1, scale, weights.data(), n);
      f.multiply_nn(1, d, n, weights.data(), n, &v(0, 0), v.stride, expected.data() + i * d, d);
    }
    for (const float_kernels* f : lab::runnable_float_kernels()) {
      INFO(f->name << ": " << rows << " of " << tokens << " tokens, width " << d);
      const test::guarded<float> keys(f->packed_size(tokens, d)), values(f->packed_size(d, tokens)),
          scratch(f->attention_scratch(tokens));
      f->pack_nt(tokens, d, &k(0, 0), k.stride, keys.data());
      f->pack_nn(d, tokens, &v(0, 0), v.stride, values.data());
      // What another head left behind must not matter.
      std::fill_n(scratch.data(), f->attention_scratch(tokens),
                  std::numeric_limits<float>::quiet_NaN());
      fill(mixed, rows, d);
      f->causal_attention(rows, d, tokens, scale, &q(0, 0), q.stride, keys.data(), values.data(),
                          scratch.data(), &mixed(0, 0), mixed.stride);
      for (std::size_t i = 0; i < rows; ++i) {
        for (std::size_t j = 0; j < d; ++j) REQUIRE(mixed(i, j) == expected[i * d + j]);
        for (std::size_t j = d; i + 1 < rows && j < mixed.stride; ++j) REQUIRE(mixed(i, j) == -7);
      }
    }
  }
}

TEST_CASE("NaN and infinity reach their row or column and nothing else") {
  const std::size_t m = GENERATE(as<std::size_t>(), 1, 4), n = 21, k = 19;
  test::generator g(test::seed(73));
  const matrix a(m, k, 0, false, g), b(n, k, 0, false, g), t(k, n, 0, false, g),
      c(m, n, 0, false, g);
  a(0, 18) = std::numeric_limits<float>::quiet_NaN();
  for (std::size_t i = 1; i < m; ++i) a(i, 3) = 1;
  b(20, 3) = t(3, 20) = std::numeric_limits<float>::infinity();
  for (const float_kernels* f : lab::runnable_float_kernels()) {
    for (const bool transposed : {true, false}) {
      INFO(f->name << (transposed ? " nt" : " nn"));
      if (transposed) {
        f->multiply_nt(m, n, k, a.memory.data(), k, b.memory.data(), k, nullptr, c.memory.data(),
                       n);
      } else {
        f->multiply_nn(m, n, k, a.memory.data(), k, t.memory.data(), n, c.memory.data(), n);
      }
      for (std::size_t j = 0; j < n; ++j) CHECK(std::isnan(c(0, j)));
      for (std::size_t i = 1; i < m; ++i) {
        for (std::size_t j = 0; j + 1 < n; ++j) CHECK(std::isfinite(c(i, j)));
        CHECK(c(i, 20) == std::numeric_limits<float>::infinity());
      }
    }
  }
}

TEST_CASE("Products of no rows or no columns write nothing") {
  test::generator g(test::seed(74));
  const matrix a(3, 5, 0, false, g), b(3, 5, 0, false, g), nothing(0, 0, 0, false, g);
  for (const float_kernels* f : lab::runnable_float_kernels()) {
    float* const c = nothing.memory.data();  // one element further the test ends
    f->multiply_nt(0, 3, 5, a.memory.data(), 5, b.memory.data(), 5, nullptr, c, 3);
    f->multiply_nn(0, 5, 3, a.memory.data(), 3, b.memory.data(), 5, c, 5);
    for (const std::size_t m : {1u, 3u}) {
      f->multiply_nt(m, 0, 5, a.memory.data(), 5, b.memory.data(), 5, nullptr, c, 0);
      f->multiply_nn(m, 0, 3, a.memory.data(), 3, b.memory.data(), 0, c, 0);
    }
  }
  float* const c = nothing.memory.data();
  for (const std::size_t threads : {1u, 4u}) {
    lab::multiply_on(threads, 0, b.memory.data(), nullptr, {a.memory.data(), 3, 5}, {c, 3, 0});
    lab::multiply_on(threads, 3, b.memory.data(), nullptr, {a.memory.data(), 0, 5}, {c, 0, 3});
  }
}

TEST_CASE("A layer gives the same bits on any number of threads and for any rows at a time") {
  test::generator g(test::seed(75));
  lab::dense d;
  d.out = 301, d.in = 70;
  for (std::size_t i = 0; i < d.out * d.in; ++i) d.weight.push_back(test::normal(g));
  for (std::size_t i = 0; i < d.out; ++i) d.bias.push_back(test::normal(g));
  const lab::float_linear layer(d);
  const std::size_t T = 31;
  std::vector<float> x(T * d.in), whole(T * d.out);
  for (float& v : x) v = test::normal(g);
  layer.apply({x.data(), T, d.in}, {whole.data(), T, d.out});
  for (const std::size_t threads : {1u, 2u, 3u, 8u}) {
    for (const std::size_t rows : {std::size_t{1}, std::size_t{14}, T}) {
      std::vector<float> y(T * d.out);
      for (std::size_t i = 0; i < T; i += rows) {
        const std::size_t count = std::min(rows, T - i);
        layer.apply_on(threads, {x.data() + i * d.in, count, d.in},
                       {y.data() + i * d.out, count, d.out});
      }
      INFO(threads << " threads, " << rows << " rows");
      CHECK(y == whole);
    }
  }
}
