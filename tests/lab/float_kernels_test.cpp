// The compiled variants of the float kernels against doubles and, bit for bit, against each other. The
// products are in float_products_test.cpp.
#include "support/test.hpp"

#include <lab/models/float_kernels.hpp>

#include <cstring>

namespace {

using lab::float_kernels;

std::vector<float> normals(std::size_t n, test::generator& g) {
  std::vector<float> x(n);
  for (float& v : x) v = test::normal(g);
  return x;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

/// Runs f(kernels) for every variant and checks that all results have the same bits; returns one.
template <class F>
std::vector<float> same_everywhere(F&& f) {
  const auto all = lab::runnable_float_kernels();
  const std::vector<float> first = f(*all.front());
  for (const float_kernels* k : all) {
    INFO(k->name);
    CHECK(same_bits(f(*k), first));
  }
  return first;
}

}  // namespace

TEST_CASE("The baseline can always run, and the best is first") {
  const auto all = lab::runnable_float_kernels();
  REQUIRE(!all.empty());
  CHECK(std::string(all.back()->name) == "baseline");
}

TEST_CASE("LayerNorm has the same bits everywhere and the right values") {
  test::generator g(test::seed(12));
  for (const std::size_t cols : {1u, 15u, 16u, 17u, 20u, 256u, 1001u}) {
    INFO(cols);
    const std::size_t rows = 7;  // four at a time, and the rest
    const auto x = normals(rows * cols, g), gain = normals(cols, g), bias = normals(cols, g);
    const auto y = same_everywhere([&](const float_kernels& k) {
      std::vector<float> out(rows * cols);
      k.layer_norm(rows, cols, x.data(), cols, gain.data(), bias.data(), 1e-5f, out.data(), cols);
      return out;
    });
    for (std::size_t i = 0; i < rows; ++i) {
      double mean = 0, variance = 0;
      for (std::size_t j = 0; j < cols; ++j) mean += static_cast<double>(x[i * cols + j]);
      mean /= static_cast<double>(cols);
      for (std::size_t j = 0; j < cols; ++j) {
        variance += std::pow(static_cast<double>(x[i * cols + j]) - mean, 2);
      }
      variance /= static_cast<double>(cols);
      for (std::size_t j = 0; j < cols; ++j) {
        const double expected = (static_cast<double>(x[i * cols + j]) - mean) /
                                    std::sqrt(variance + 1e-5) * static_cast<double>(gain[j]) +
                                static_cast<double>(bias[j]);
        REQUIRE(std::fabs(static_cast<double>(y[i * cols + j]) - expected) < 4e-6);
      }
    }
    const auto bare = same_everywhere([&](const float_kernels& k) {
      std::vector<float> out = x;  // in place, without gain and bias
      k.layer_norm(rows, cols, out.data(), cols, nullptr, nullptr, 1e-5f, out.data(), cols);
      return out;
    });
    CHECK(std::fabs(bare[0] * gain[0] + bias[0] - y[0]) < 1e-5f);
  }
}

TEST_CASE("Rows and elements that are taken together have the bits of each alone") {
  test::generator g(test::seed(15));
  for (const float_kernels* k : lab::runnable_float_kernels()) {
    for (const std::size_t cols : {1u, 16u, 37u, 768u}) {
      INFO(k->name << ", " << cols << " columns");
      const std::size_t rows = 11;
      const auto x = normals(rows * cols, g), gain = normals(cols, g), bias = normals(cols, g);
      std::vector<float> together(rows * cols), alone(rows * cols);
      const auto norm = [&](std::size_t first, std::size_t count, std::vector<float>& y) {
        k->layer_norm(count, cols, x.data() + first * cols, cols, gain.data(), bias.data(), 1e-5f,
                      y.data() + first * cols, cols);
      };
      norm(0, rows, together);
      for (std::size_t i = 0; i < rows; ++i) norm(i, 1, alone);
      CHECK(same_bits(together, alone));
      for (const auto activation : {k->gelu_tanh, k->silu}) {
        together = alone = x;
        activation(together.size(), together.data());
        for (float& v : alone) activation(1, &v);
        CHECK(same_bits(together, alone));
      }
    }
  }
}

TEST_CASE("RMSNorm has the same bits everywhere and the right values") {
  const bool in_place = GENERATE(false, true);
  test::generator g(test::seed(13));
  for (const std::size_t cols : {1u, 15u, 16u, 17u, 20u, 576u, 1001u}) {
    INFO(cols);
    const std::size_t rows = 3;
    const auto x = normals(rows * cols, g), gain = normals(cols, g);
    const auto y = same_everywhere([&](const float_kernels& k) {
      std::vector<float> out = x;
      k.rms_norm(rows, cols, in_place ? out.data() : x.data(), cols, gain.data(), 1e-5f, out.data(),
                 cols);
      return out;
    });
    for (std::size_t i = 0; i < rows; ++i) {
      double square = 0;
      for (std::size_t j = 0; j < cols; ++j) {
        square += std::pow(static_cast<double>(x[i * cols + j]), 2) / static_cast<double>(cols);
      }
      for (std::size_t j = 0; j < cols; ++j) {
        const double expected = static_cast<double>(x[i * cols + j]) / std::sqrt(square + 1e-5) *
                                static_cast<double>(gain[j]);
        REQUIRE(std::fabs(static_cast<double>(y[i * cols + j]) - expected) < 4e-6);
      }
    }
  }
}

TEST_CASE("SiLU and the product of two rows: the formula, the same bits everywhere") {
  std::vector<float> x = {0.0f, -0.0f, 1.0f, -1.0f, 20.0f, -20.0f, -87.0f, -100.0f, 100.0f, -3e38f};
  test::generator g(test::seed(14));
  for (std::size_t i = 0; i < 100; ++i) x.push_back(4 * test::normal(g));
  const auto y = same_everywhere([&](const float_kernels& k) {
    std::vector<float> out = x;
    k.silu(out.size(), out.data());
    return out;
  });
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double v = static_cast<double>(x[i]), expected = v / (1 + std::exp(-v));
    INFO(x[i]);
    CHECK(std::fabs(static_cast<double>(y[i]) - expected) <= 1e-6 * std::fabs(expected) + 1e-35);
  }
  const auto product = same_everywhere([&](const float_kernels& k) {
    std::vector<float> out = x;
    k.scale_by(out.size(), y.data(), out.data());
    return out;
  });
  for (std::size_t i = 0; i < x.size(); ++i) CHECK(product[i] == x[i] * y[i]);
}

TEST_CASE("Causal softmax sums to one, masks the future, has the same bits everywhere") {
  test::generator g(test::seed(13));
  for (const std::size_t cols : {1u, 16u, 33u, 200u}) {
    const std::size_t rows = std::min<std::size_t>(cols, 20), first = cols - rows;
    auto scores = normals(rows * cols, g);
    for (float& s : scores) s *= 20;
    const auto p = same_everywhere([&](const float_kernels& k) {
      std::vector<float> out = scores;
      k.causal_softmax(rows, cols, first, 0.5f, out.data(), cols);
      return out;
    });
    for (std::size_t i = 0; i < rows; ++i) {
      const std::size_t n = first + i + 1;
      double sum = 0;
      for (std::size_t j = 0; j < n; ++j)
        sum += std::exp(0.5 * static_cast<double>(scores[i * cols + j]));
      for (std::size_t j = 0; j < cols; ++j) {
        const double expected =
            j < n ? std::exp(0.5 * static_cast<double>(scores[i * cols + j])) / sum : 0;
        // The scaled scores differ by up to 80, which floats know to 4.8e-6.
        REQUIRE(std::fabs(static_cast<double>(p[i * cols + j]) - expected) <
                6e-6 * expected + 1e-37);
      }
    }
  }
}

TEST_CASE("GELU and ReLU") {
  std::vector<float> x;
  for (float v = -12; v <= 12; v += 0.01f) x.push_back(v);
  x.insert(x.end(), {0.0f, -0.0f, 1e30f, -1e30f, 1e-30f});
  const auto y = same_everywhere([&](const float_kernels& k) {
    std::vector<float> out = x;
    k.gelu_tanh(out.size(), out.data());
    return out;
  });
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double v = static_cast<double>(x[i]);
    const double expected =
        0.5 * v * (1 + std::tanh(0.7978845608028654 * (v + 0.044715 * v * v * v)));
    INFO(v);
    // Where the tail is below 1e-7 it is rounding of either side.
    REQUIRE(std::fabs(static_cast<double>(y[i]) - expected) <= 2e-6 * std::fabs(expected) + 1e-7);
  }
  const auto r = same_everywhere([&](const float_kernels& k) {
    std::vector<float> out = x;
    k.relu(out.size(), out.data());
    return out;
  });
  for (std::size_t i = 0; i < x.size(); ++i) REQUIRE(r[i] == std::max(x[i], 0.0f));
  for (const float_kernels* k : lab::runnable_float_kernels()) {
    float nan[2] = {std::numeric_limits<float>::quiet_NaN(),
                    std::numeric_limits<float>::quiet_NaN()};
    k->gelu_tanh(1, nan);
    k->relu(1, nan + 1);
    CHECK(std::isnan(nan[0]));
    CHECK(std::isnan(nan[1]));
  }
}

TEST_CASE("The numbers behind loss and KL agree with doubles") {
  test::generator g(test::seed(14));
  for (const std::size_t v : {1u, 2u, 16u, 53u, 1024u, 1025u, 5003u}) {
    INFO(v);
    auto ref = normals(v, g), other = normals(v, g);
    for (std::size_t j = 0; j < v; ++j) {
      ref[j] *= 5;
      other[j] = ref[j] + 0.3f * other[j];
    }
    double sum = 0, other_sum = 0, kl = 0;
    for (std::size_t j = 0; j < v; ++j) {
      sum += std::exp(static_cast<double>(ref[j]));
      other_sum += std::exp(static_cast<double>(other[j]));
    }
    for (std::size_t j = 0; j < v; ++j) {
      const double p = std::exp(static_cast<double>(ref[j])) / sum,
                   q = std::exp(static_cast<double>(other[j])) / other_sum;
      kl += p * std::log(p / q);
    }
    std::vector<lab::row_numbers> first;
    for (const float_kernels* k : lab::runnable_float_kernels()) {
      std::vector<float> p(v);
      const auto r = k->reference_row(v, ref.data(), p.data());
      const auto q = k->compared_row(v, ref.data(), p.data(), other.data());
      const double r_lse = static_cast<double>(r.max) + std::log(r.sum);
      const double q_lse = static_cast<double>(q.max) + std::log(q.sum);
      CHECK(std::fabs(r_lse - std::log(sum)) < 3e-7);
      CHECK(std::fabs(q_lse - std::log(other_sum)) < 3e-7);
      CHECK(std::fabs(q.shift + q_lse - r_lse - kl) < 1e-6);
      CHECK(r.best ==
            static_cast<std::size_t>(std::max_element(ref.begin(), ref.end()) - ref.begin()));
      CHECK(q.best ==
            static_cast<std::size_t>(std::max_element(other.begin(), other.end()) - other.begin()));
      const auto self = k->compared_row(v, ref.data(), p.data(), ref.data());
      CHECK(self.shift == 0);
      CHECK(self.sum == r.sum);  // so that KL of a model with itself is exactly 0
      first.push_back(q);
      CHECK(q.sum == first[0].sum);
      CHECK(q.shift == first[0].shift);
    }
  }
}
