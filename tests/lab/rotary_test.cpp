// Rotary positions: angles in double, lengths that stay, and scores that depend on distances alone.
#include <lab/models/rotary.hpp>

#include "support/test.hpp"

#include <cmath>

namespace {

lab::model_config heads_of(std::size_t width) {
  lab::model_config c;
  c.head_width = width;
  c.rope_theta = 10000;
  return c;
}

/// x, one row of heads, at position p.
std::vector<float> at_position(const lab::model_config& c, std::vector<float> x, std::size_t p) {
  std::vector<float> table(c.head_width);
  lab::rotary_table(c, p, {table.data(), 1, c.head_width});
  lab::rotate({table.data(), 1, c.head_width}, {x.data(), 1, x.size()});
  return x;
}

double dot(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  }
  return sum;
}

}  // namespace

TEST_CASE("Pair j of a head is (j, j + d/2), turned by p theta^(-2j/d)") {
  const auto c = heads_of(6);
  test::generator g(test::seed(71));
  std::vector<float> x(12);
  for (float& v : x) v = test::normal(g);
  for (const std::size_t p : {0u, 1u, 2u, 100u}) {
    const auto y = at_position(c, x, p);
    for (std::size_t head : {0u, 6u}) {
      for (std::size_t j = 0; j < 3; ++j) {
        const double angle =
            static_cast<double>(p) * std::pow(10000.0, -2.0 * static_cast<double>(j) / 6.0);
        const double a = static_cast<double>(x[head + j]), b = static_cast<double>(x[head + j + 3]);
        INFO("position " << p << ", pair " << j);
        CHECK(std::fabs(static_cast<double>(y[head + j]) -
                        (a * std::cos(angle) - b * std::sin(angle))) < 1e-5);
        CHECK(std::fabs(static_cast<double>(y[head + j + 3]) -
                        (b * std::cos(angle) + a * std::sin(angle))) < 1e-5);
      }
    }
  }
  CHECK(at_position(c, x, 0) == x);
}

TEST_CASE("The score of a query and a key depends on their distance alone") {
  const auto c = heads_of(16);
  test::generator g(test::seed(72));
  std::vector<float> q(16), k(16);
  for (float& v : q) v = test::normal(g);
  for (float& v : k) v = test::normal(g);
  const double near = dot(at_position(c, q, 5), at_position(c, k, 2));
  CHECK(std::fabs(near - dot(at_position(c, q, 205), at_position(c, k, 202))) < 1e-3);
  CHECK(std::fabs(near - dot(at_position(c, q, 6), at_position(c, k, 2))) > 1e-2);
}

TEST_CASE("A table from any first position holds the rows of the whole one") {
  const auto c = heads_of(10);
  std::vector<float> whole(50 * 10), part(7 * 10);
  lab::rotary_table(c, 0, {whole.data(), 50, 10});
  lab::rotary_table(c, 40, {part.data(), 7, 10});
  CHECK(std::equal(part.begin(), part.end(), whole.begin() + 400));
}
