// What the tests of all observers share: batches of awkward values, and the checks every observer has
// to pass.
#pragma once

#include <zeropoint/math/observer.hpp>

#include <algorithm>

#include "math/reference.hpp"

namespace test {

namespace zp = zeropoint;

inline constexpr float inf = std::numeric_limits<float>::infinity();
inline const float nan_value = std::numeric_limits<float>::quiet_NaN();

inline std::vector<float> finite(const std::vector<float>& x) {
  std::vector<float> f;
  for (float v : x) {
    if (std::isfinite(v)) f.push_back(v);
  }
  return f;
}

/// Batches of very different size and magnitude, with everything strange in them.
inline std::vector<std::vector<float>> batches(generator& g) {
  std::vector<std::vector<float>> all;
  for (int i = 0; i < 12; ++i) {
    std::vector<float> x(g() % 700);
    const float scale = std::ldexp(1.0f, static_cast<int>(g() % 30) - 15);
    for (float& v : x) v = normal(g) * scale;
    if (!x.empty() && i % 3 == 0) x[g() % x.size()] = nan_value;
    if (!x.empty() && i % 4 == 0) x[g() % x.size()] = -inf;
    if (i == 5) std::fill(x.begin(), x.end(), 0.0f);
    if (i == 6) std::fill(x.begin(), x.end(), std::numeric_limits<float>::denorm_min());
    all.push_back(std::move(x));
  }
  return all;
}

/// One observer over all, in order; in reverse; element by element; merged halves, both ways: equal.
template <class Make>
void check_order(Make make) {
  generator g(seed(81));
  INFO(seed_text(seed(81)));
  for (int round = 0; round < 10; ++round) {
    auto all = batches(g);
    auto forward = make(), backward = make(), single = make(), left = make(), right = make();
    for (const auto& x : all) forward.observe(std::span<const float>(x));
    for (std::size_t i = 0; i < all.size(); ++i) {
      auto& half = i < 5 ? left : right;
      half.observe(std::span<const float>(all[i]));
      for (const float& v : all[i]) single.observe(std::span<const float>(&v, 1));
    }
    std::reverse(all.begin(), all.end());
    for (const auto& x : all) backward.observe(std::span<const float>(x));
    auto left_right = left, right_left = right;
    left_right.merge(right);
    right_left.merge(left);
    REQUIRE(forward == backward);
    REQUIRE(forward == single);
    REQUIRE(forward == left_right);
    REQUIRE(forward == right_left);
    auto with_nothing = forward, nothing = make();
    with_nothing.merge(nothing);
    nothing.merge(forward);
    REQUIRE(with_nothing == forward);
    REQUIRE(nothing == forward);
  }
}

template <class Observer>
void check_nothing(Observer o) {
  REQUIRE_THROWS_AS(o.range(), zp::error);
  o.observe(std::span<const float>());
  REQUIRE_THROWS_AS(o.range(), zp::error);
  const std::vector<float> bad{nan_value, inf, -inf};
  o.observe(std::span<const float>(bad));
  REQUIRE(o.non_finite() == 3);
  REQUIRE(o.count() == 0);
  REQUIRE_THROWS_AS(o.range(), zp::error);
  const std::vector<float> good{nan_value, 0.0f};
  o.observe(std::span<const float>(good));
  REQUIRE(o.non_finite() == 4);
  REQUIRE(o.count() == 1);
  REQUIRE(o.range() == zp::value_range{0, 0});
}

}  // namespace test
