// mse_range and entropy_range against exhaustive searches written out as plain loops.
#include <zeropoint/math/range_search.hpp>

#include "math/observing.hpp"

namespace zp = zeropoint;

static_assert(zp::observer<zp::mse_range> && zp::observer<zp::entropy_range>);

namespace {

constexpr float largest_float = std::numeric_limits<float>::max();
constexpr float smallest_float = std::numeric_limits<float>::denorm_min();

/// Sum of |x - dequantize(quantize(x))|^p over the finite values, by the definitions in reference.hpp.
double cost_of(const std::vector<float>& x, const zp::params& p, double power) {
  double sum = 0;
  for (const float v : test::finite(x)) {
    const double rounded = static_cast<double>(p.scale) * (test::code(v, p) - p.zero_point);
    sum += std::pow(std::fabs(static_cast<double>(v) - rounded), power);
  }
  return sum;
}

struct candidate {
  zp::value_range range;
  double cost;
};

/// Ends shrunk to low / candidates and high / candidates, for an affine grid.
zp::value_range shrunk(const zp::value_range& seen, int low, int high, int candidates) {
  return {static_cast<float>(static_cast<double>(seen.min) * low / candidates),
          static_cast<float>(static_cast<double>(seen.max) * high / candidates)};
}
/// -m .. m with m = i / candidates of the largest |x|, within what was seen.
zp::value_range shrunk_bound(const zp::value_range& seen, int i, int candidates) {
  const double most = std::max(-static_cast<double>(seen.min), static_cast<double>(seen.max));
  const auto m = static_cast<float>(most * i / candidates);
  return {std::max(seen.min, -m), std::min(seen.max, m)};
}
/// Smallest and largest finite value, zero included.
zp::value_range seen_in(const std::vector<float>& x) {
  zp::min_max m;
  m.observe(std::span<const float>(x));
  return {std::min(m.range().min, 0.0f), std::max(m.range().max, 0.0f)};
}

/// The best of all candidates that shrink in one step.
candidate best_joint(const std::vector<float>& x, const zp::mse_options& o) {
  candidate best{{}, std::numeric_limits<double>::infinity()};
  for (int i = o.candidates; i >= 1; --i) {
    const zp::value_range r = o.grid.is_symmetric() ? shrunk_bound(seen_in(x), i, o.candidates)
                                                    : shrunk(seen_in(x), i, i, o.candidates);
    const double c = cost_of(x, zp::fit(r, o.grid), o.power);
    if (c < best.cost) best = {r, c};
  }
  return best;
}

/// Normal values, some of them far out, as activations are.
std::vector<float> with_outliers(test::generator& g, std::size_t n, float far) {
  std::vector<float> x(n);
  for (float& v : x) v = test::normal(g) * (g() % 200 == 0 ? far : 1.0f);
  return x;
}

template <class Observer>
zp::value_range range_of(Observer o, const std::vector<float>& x) {
  o.observe(std::span<const float>(x));
  return o.range();
}

/// KL(P || Q) for the first n bins: P, Q and the sum written out.
double plain_divergence(const std::vector<double>& counts, std::size_t n, std::size_t levels) {
  std::vector<double> p(counts.begin(), counts.begin() + static_cast<std::ptrdiff_t>(n)), q(n);
  for (std::size_t b = n; b < counts.size(); ++b) p[n - 1] += counts[b];
  for (std::size_t g = 0; g < levels; ++g) {
    double mass = 0, used = 0;
    for (std::size_t b = g * n / levels; b < (g + 1) * n / levels; ++b) {
      mass += counts[b];
      used += p[b] > 0 ? 1 : 0;
    }
    for (std::size_t b = g * n / levels; b < (g + 1) * n / levels; ++b) {
      q[b] = p[b] > 0 ? mass / used : 0;
    }
  }
  double all_p = 0, all_q = 0, kl = 0;
  for (std::size_t b = 0; b < n; ++b) all_p += p[b], all_q += q[b];
  for (std::size_t b = 0; b < n; ++b) {
    if (p[b] == 0) continue;
    if (q[b] == 0) return std::numeric_limits<double>::infinity();
    kl += p[b] / all_p * std::log(p[b] / all_p / (q[b] / all_q));
  }
  return kl;
}

}  // namespace

TEST_CASE("mse_range_of finds what trying every candidate finds") {
  const auto seed = test::seed(84);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  for (int round = 0; round < 12; ++round) {
    auto x = with_outliers(g, 40 + g() % 300, 20);
    x[3] = test::nan_value, x[4] = -test::inf;
    for (const int bits : {8, 4, 2}) {
      for (const double power : {2.0, 2.4, 1.0}) {
        CAPTURE(round, bits, power);
        const zp::scheme grid = round % 2 == 0 ? zp::symmetric : zp::symmetric_full;
        const zp::mse_options o{grid.with_bits(bits), power, 100};
        REQUIRE(zp::mse_range_of(std::span<const float>(x), o) == best_joint(x, o).range);
      }
    }
  }
}

TEST_CASE("an affine search moves both ends, and stops where no end alone improves") {
  const auto seed = test::seed(85);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  bool ends_differ = false;
  for (int round = 0; round < 3; ++round) {
    auto x = with_outliers(g, 20000, 1);
    x[0] = 25;  // on one side only
    const zp::mse_options o{zp::affine.with_bits(4), 2, 32};
    const zp::value_range r = zp::mse_range_of(std::span<const float>(x), o), all = seen_in(x);
    const double cost = cost_of(x, zp::fit(r, o.grid), 2);
    REQUIRE(cost <= best_joint(x, o).cost);
    bool is_candidate = false;
    for (int low = 1; low <= 32; ++low) {
      for (int high = 1; high <= 32; ++high) {
        const zp::value_range other = shrunk(all, low, high, 32);
        is_candidate = is_candidate || other == r;
        if (other.min != r.min && other.max != r.max) continue;
        REQUIRE(cost <= cost_of(x, zp::fit(other, o.grid), 2));
      }
    }
    REQUIRE(is_candidate);
    ends_differ = ends_differ || r.min / all.min > 1.5f * r.max / all.max;
  }
  REQUIRE(ends_differ);
}

TEST_CASE("the expected error of a histogram is an integral over its bins") {
  zp::histogram h;
  const std::vector<float> one{1.0f, 0.25f, -0.75f, 0, 0, 0};
  h.observe(std::span<const float>(one));
  const double w = 1.0 / 2048;
  REQUIRE(h.bin_width() == w);
  // Scale 1/2, codes -1 .. 1: 1 and the second half of the bin of 0.25 lie above a midpoint, -0.75
  // is clipped. A bin [a, a + w) around g has the mean (a + w/2 - g)^2 + w^2 / 12.
  const auto mean = [&](double from, double to, double grid) {
    const double c = (from + to) / 2 - grid, part = to - from;
    return c * c + part * part / 12;
  };
  const zp::params p{0.5f, 0, -1, 1};
  const double by_hand =
      mean(1, 1 + w, 0.5) + mean(0.25, 0.25 + w, 0.5) + mean(-0.75 - w, -0.75, -0.5);
  REQUIRE(zp::detail::expected_error(h, p, 2) == Approx(by_hand).epsilon(1e-12));
  // A grid whose midpoint lies inside the bin of 0.25: scale s with 0.25 + w/4 = s/2.
  const float s = 0.5f + static_cast<float>(w) / 2;
  const zp::params q{s, 0, -1, 3};
  const auto step = static_cast<double>(s);
  const double split =
      0.25 * mean(0.25, 0.25 + w / 4, 0) + 0.75 * mean(0.25 + w / 4, 0.25 + w, step);
  REQUIRE(zp::detail::expected_error(h, q, 2) ==
          Approx(split + mean(1, 1 + w, 2 * step) + mean(-0.75 - w, -0.75, -step)).epsilon(1e-12));
  // Other powers, against a sum over many points of every bin.
  for (const double power : {1.0, 2.4, 3.0, 4.0}) {
    double sum = 0;
    constexpr int points = 20000;
    for (const double a : {1.0, 0.25, -0.75 - w}) {
      for (int i = 0; i < points; ++i) {
        const double x = a + w * (i + 0.5) / points;
        const double g = step * std::min(std::max(std::nearbyint(x / step), -1.0), 3.0);
        sum += std::pow(std::fabs(x - g), power) / points;
      }
    }
    REQUIRE(zp::detail::expected_error(h, q, power) == Approx(sum).epsilon(1e-6));
  }
}

TEST_CASE("mse_range is as good as trying every candidate on the values themselves") {
  const auto seed = test::seed(86);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  for (const float far : {1.0f, 10.0f, 100.0f}) {
    for (const zp::scheme& grid : {zp::symmetric, zp::symmetric.with_bits(4)}) {
      for (const double power : {2.0, 2.4}) {
        CAPTURE(far, grid.bits, power);
        const auto x = with_outliers(g, 20000, far);
        const zp::mse_options o{grid, power, 128};
        const zp::value_range r = range_of(zp::mse_range(o), x);
        const double best = best_joint(x, o).cost,
                     full = cost_of(x, zp::fit(seen_in(x), grid), power);
        REQUIRE(cost_of(x, zp::fit(r, grid), power) <= 1.002 * best);
        if (far == 10 && grid.bits == 4) REQUIRE(best < 0.9 * full);  // there was something to find
      }
    }
  }
}

TEST_CASE("order, split and merge do not matter to mse_range and entropy_range") {
  test::check_order([] { return zp::mse_range(); });
  test::check_order([] { return zp::entropy_range(); });
  test::check_nothing(zp::mse_range());
  test::check_nothing(zp::mse_range({.grid = zp::affine}));
  test::check_nothing(zp::entropy_range());
}

TEST_CASE("entropy_range computes the divergences of its definition") {
  const auto seed = test::seed(87);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  for (const int bits : {8, 4}) {
    for (const float far : {1.0f, 8.0f}) {
      auto x = with_outliers(g, 3000, far);
      for (std::size_t i = 0; i < 500; ++i) x[i] = 0;  // as after a ReLU: they do not count
      zp::entropy_range e(bits);
      e.observe(std::span<const float>(x));
      std::vector<double> counts;
      for (std::size_t b = 0; b < zp::histogram::bins; ++b) {
        counts.push_back(static_cast<double>(e.values().magnitudes(b)) - (b == 0 ? 500 : 0));
      }
      while (counts.back() == 0) counts.pop_back();
      const std::size_t levels = std::size_t{1} << (bits - 1);
      const auto kl = e.divergences();
      REQUIRE(kl.size() == counts.size() - levels + 1);
      double least = std::numeric_limits<double>::infinity();
      std::size_t best = 0;
      for (std::size_t i = 0; i < kl.size(); ++i) {
        const double plain = plain_divergence(counts, levels + i, levels);
        CAPTURE(bits, far, levels + i);
        REQUIRE((kl[i] == plain || std::fabs(kl[i] - plain) < 1e-11));
        if (plain < least) least = plain, best = levels + i;
      }
      const auto bound = static_cast<float>(static_cast<double>(best) * e.values().bin_width());
      const zp::value_range seen = seen_in(x);
      REQUIRE(e.range() == zp::value_range{std::max(seen.min, -bound), std::min(seen.max, bound)});
    }
  }
}

TEST_CASE("both searches cut off far outliers, and keep a range without any") {
  const auto seed = test::seed(88);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  std::vector<float> x(100000);
  for (float& v : x) v = test::uniform(g, -1, 1);
  const float max_seen = seen_in(x).max;
  REQUIRE(range_of(zp::mse_range(), x).max == max_seen);
  REQUIRE(range_of(zp::entropy_range(), x).max > 0.98f);
  for (float& v : x) v = test::normal(g);
  x[77] = 30;
  const zp::value_range mse = range_of(zp::mse_range({.grid = zp::symmetric.with_bits(6)}), x);
  REQUIRE(mse.max < 10);
  REQUIRE(mse.max > 2.5f);
  const zp::value_range kl = range_of(zp::entropy_range(), x);
  REQUIRE(kl.max < 10);
  REQUIRE(kl.max > 2.5f);
}

TEST_CASE("odd data have ranges too") {
  const auto both = [](const std::vector<float>& x, const zp::value_range& expected) {
    for (const zp::scheme& grid : {zp::symmetric, zp::affine, zp::symmetric_full}) {
      REQUIRE(range_of(zp::mse_range({.grid = grid}), x) == expected);
      REQUIRE(zp::mse_range_of(std::span<const float>(x), {.grid = grid}) == expected);
    }
    REQUIRE(range_of(zp::entropy_range(), x) == expected);
  };
  both({0, 0, 0}, {0, 0});
  both({-0.0f, test::nan_value, test::inf}, {0, 0});
  both({smallest_float, -smallest_float}, {-smallest_float, smallest_float});
  for (const float c : {1.0f, -3.7f, 1e-30f, 1e38f, -largest_float}) {
    const std::vector<float> x(10, c);
    CAPTURE(c);
    REQUIRE(range_of(zp::entropy_range(), x) == zp::value_range{c, c});
    for (const zp::scheme& grid : {zp::symmetric, zp::affine}) {
      // A constant is an end of the grid: nothing to gain but a rounding error of the scale.
      const zp::value_range exact = zp::mse_range_of(std::span<const float>(x), {.grid = grid});
      const zp::params p = zp::fit(exact, grid);
      REQUIRE(std::fabs(c - zp::dequantize(zp::quantize(c, p), p)) <= std::fabs(c) * 0x1p-22f);
      const zp::value_range r = range_of(zp::mse_range({.grid = grid}), x);
      REQUIRE((c > 0 ? r.min : r.max) == 0);
      REQUIRE((c > 0 ? r.max : -r.min) >= 0.99f * std::fabs(c));
      REQUIRE((c > 0 ? r.max : -r.min) <= std::fabs(c));
    }
  }
  std::vector<float> outlier(1000, 0.0f);
  outlier[500] = 1e38f;
  both(outlier, {0, 1e38f});
  const std::vector<float> extremes{largest_float, -largest_float, 1};
  for (const double power : {1.0, 2.0, 4.0}) {
    const zp::value_range r = range_of(zp::mse_range({.power = power}), extremes);
    REQUIRE(r == zp::value_range{-largest_float, largest_float});
  }
}

TEST_CASE("options out of bounds are refused with both numbers") {
  const auto text = [](auto make) {
    try {
      make();
    } catch (const zp::error& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  REQUIRE(text([] { zp::mse_range({.power = 0.5}); }) == "mse_range: power 0.5, expected 1 to 4");
  REQUIRE(text([] { zp::mse_range({.power = std::nan("")}); }) != "");
  REQUIRE(text([] { zp::mse_range({.candidates = 0}); }) ==
          "mse_range: 0 candidates, expected 1 to 4096");
  REQUIRE(text([] { zp::entropy_range(9); }) == "entropy_range: 9 bits, expected 2 to 8");
  REQUIRE(text([] { (void)zp::mse_range_of(std::span<const float>()); }) != "");
}
