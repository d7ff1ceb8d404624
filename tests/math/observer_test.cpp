// Observers against sorted values; order, split and merge must not matter, exactly.
#include "math/observing.hpp"

namespace zp = zeropoint;

static_assert(zp::observer<zp::min_max> && zp::observer<zp::absmax>);
static_assert(zp::observer<zp::moving_average> && zp::observer<zp::percentile>);

namespace {

/// The value of rank ceil(n * p / 100) of |x|, p given in millionths.
float exact_percentile(const std::vector<float>& x, std::uint64_t millionths) {
  std::vector<float> a;
  for (float v : test::finite(x)) a.push_back(std::fabs(v));
  std::sort(a.begin(), a.end());
  const std::uint64_t rank = (a.size() * millionths + 999999) / 1000000;
  return a[rank - 1];
}

}  // namespace

TEST_CASE("observers of nothing finite have no range") {
  test::check_nothing(zp::min_max());
  test::check_nothing(zp::absmax());
  test::check_nothing(zp::moving_average());
  test::check_nothing(zp::percentile());
}

TEST_CASE("order, split and merge do not matter") {
  test::check_order([] { return zp::min_max(); });
  test::check_order([] { return zp::absmax(); });
  test::check_order([] { return zp::percentile(99.9); });
  test::check_order([] { return zp::percentile(50); });
}

TEST_CASE("min_max and absmax are the extremes of the finite values") {
  const std::vector<float> x{1, -test::inf, -3, 2, test::nan_value, test::inf};
  zp::min_max m;
  zp::absmax a;
  m.observe(std::span<const float>(x));
  a.observe(zp::matrix_view<const float>(x.data(), 2, 3));
  REQUIRE(m.range() == zp::value_range{-3, 2});
  REQUIRE(a.range() == zp::value_range{-3, 3});
  REQUIRE(m.count() == 3);
  REQUIRE(a.non_finite() == 3);
}

TEST_CASE("moving_average: m += c * (batch - m), the first batch as it is") {
  zp::moving_average m(0.25);
  const std::vector<float> first{-4, 8}, second{-8, 0, 16}, bad{test::nan_value};
  m.observe(std::span<const float>(first));
  REQUIRE(m.range() == zp::value_range{-4, 8});
  m.observe(std::span<const float>(bad));
  m.observe(std::span<const float>());
  REQUIRE(m.range() == zp::value_range{-4, 8});
  m.observe(std::span<const float>(second));
  REQUIRE(m.range() == zp::value_range{-5, 10});
  // A matrix is one batch, not one per row.
  zp::moving_average of_matrix(0.25);
  of_matrix.observe(zp::matrix_view<const float>(first.data(), 2, 1));
  REQUIRE(of_matrix.range() == zp::value_range{-4, 8});
  // The default is 0.01, in double: after 1000 batches of 1 from 0 it is 1 - 0.99^1000.
  zp::moving_average slow;
  const std::vector<float> zero{0}, one{1};
  slow.observe(std::span<const float>(zero));
  for (int i = 0; i < 100; ++i) slow.observe(std::span<const float>(one));
  REQUIRE(slow.range().max == Approx(1 - std::pow(0.99, 100)).epsilon(1e-6));
  for (const double bad_rate : {0.0, -1.0, 1.5, std::nan("")}) {
    REQUIRE_THROWS_AS(zp::moving_average(bad_rate), zp::error);
  }
}

TEST_CASE("percentile: never below the exact one, at most one bin above") {
  test::generator g(test::seed(82));
  INFO(test::seed_text(test::seed(82)));
  for (int round = 0; round < 60; ++round) {
    std::vector<float> x(1 + g() % 3000);
    for (float& v : x) v = test::normal(g) * (g() % 50 == 0 ? 30.0f : 1.0f);
    x[0] = -x[0];
    if (x.size() > 3) x[2] = test::inf;
    for (const auto& [percent, millionths] :
         std::vector<std::pair<double, std::uint64_t>>{{99.9, 999000},
                                                       {99.99, 999900},
                                                       {99.0, 990000},
                                                       {50, 500000},
                                                       {0.0001, 1},
                                                       {100, 1000000}}) {
      zp::percentile p(percent);
      p.observe(std::span<const float>(x));
      const std::vector<float> numbers = test::finite(x);
      const auto [low, high] = std::minmax_element(numbers.begin(), numbers.end());
      const float exact = exact_percentile(x, millionths), largest = std::max(-*low, *high);
      REQUIRE(p.resolution() <= largest / 2048);
      const zp::value_range r = p.range();
      const float bound = std::max(-r.min, r.max);  // both ends, unless clipped to what was seen
      if (exact <= std::min(-*low, *high)) {
        REQUIRE(bound >= exact);
        REQUIRE(bound <= exact + p.resolution());
      }
      REQUIRE(r.min >= *low);
      REQUIRE(r.max <= *high);
      std::uint64_t inside = 0;
      for (float v : numbers) inside += v >= r.min && v <= r.max ? 1 : 0;
      REQUIRE(inside * 1000000 >= numbers.size() * millionths);
      if (percent == 100) REQUIRE(r == zp::value_range{*low, *high});
    }
  }
}

TEST_CASE("percentile: by hand") {
  // 1000 values 1 .. 1000: 99.9 % of them are at most 999; bins are 1/4 wide.
  std::vector<float> x;
  for (int i = 1; i <= 1000; ++i) x.push_back(static_cast<float>(i % 2 == 0 ? i : -i));
  zp::percentile p(99.9);
  p.observe(std::span<const float>(x));
  REQUIRE(p.resolution() == 0.25);
  REQUIRE(p.range() == zp::value_range{-999, 999.25f});
  REQUIRE(p.percent() == 99.9);
  // Positive values stay positive (a ReLU), one-signed ones never cross what was seen.
  const std::vector<float> relu{1, 2, 3, 4};
  zp::percentile q(75);
  q.observe(std::span<const float>(relu));
  REQUIRE(q.range().min == 1);
  REQUIRE(q.range().max >= 3);
  REQUIRE(q.range().max <= 3 + q.resolution());
  const std::vector<float> negative{-5, -6, -7};
  zp::percentile n(50);
  n.observe(std::span<const float>(negative));
  REQUIRE(n.range().max == -5);
  REQUIRE(n.range().min <= -6);
  // The smallest and the largest floats.
  const std::vector<float> extremes{std::numeric_limits<float>::max(),
                                    -std::numeric_limits<float>::denorm_min()};
  zp::percentile e(100);
  e.observe(std::span<const float>(extremes));
  REQUIRE(e.range() == zp::value_range{extremes[1], extremes[0]});
}

TEST_CASE("percentile: a bad percentage is refused, and so is a merge of different ones") {
  for (const double bad : {0.0, -1.0, 100.1, std::nan(""), 1e300, 0.00001}) {
    REQUIRE_THROWS_AS(zp::percentile(bad), zp::error);
  }
  zp::percentile a(99.9), b(99.99);
  REQUIRE_THROWS_AS(a.merge(b), zp::error);
}

TEST_CASE("column_absmax: the largest |x| of every channel") {
  const std::vector<float> x{1, -2, test::nan_value, -3, 0, 0, test::inf, 1, 0};
  zp::column_absmax all(3), a(3), b(3);
  const zp::matrix_view<const float> m(x.data(), 3, 3);
  all.observe(m);
  a.observe(m.rows_from(0, 1));
  b.observe(m.rows_from(1, 2));
  b.merge(a);
  REQUIRE(all == b);
  REQUIRE(std::vector<float>(all.maxima().begin(), all.maxima().end()) ==
          std::vector<float>{3, 2, 0});
  REQUIRE(all.non_finite() == 2);
  REQUIRE(all.rows() == 3);
  REQUIRE_THROWS_AS(all.observe(zp::matrix_view<const float>(x.data(), 2, 4)), zp::error);
  REQUIRE_THROWS_AS(all.merge(zp::column_absmax(2)), zp::error);
}

TEST_CASE("extremes and zeros of a distribution agree") {
  const auto made = [](std::initializer_list<float> seen, zp::value_range r, std::uint64_t zeros) {
    zp::histogram h;
    h.observe(std::span<const float>(seen.begin(), seen.size()));
    return zp::distribution({r, seen.size(), 0},
                            {h.exponent(), {h.counts().begin(), h.counts().end()}, zeros});
  };
  CHECK(made({-1, 0}, {-1, 0}, 1).count() == 2);
  CHECK(made({-1, 1e-9f}, {-1, 1e-9f}, 0).count() == 2);  // 1e-9 is in the bin of zeros
  CHECK(made({0, 1}, {0, 1}, 1).count() == 2);
  CHECK(made({0, 0}, {0, 0}, 2).count() == 2);
  CHECK_THROWS_WITH(made({-1, 0}, {-1, 0}, 0), Catch::Contains("0 of 1 values"));
  CHECK_THROWS_WITH(made({-1, 1e-9f, 0}, {-1, 0}, 1), Catch::Contains("1 of 2 values"));
  CHECK_THROWS_WITH(made({0, 1}, {0, 1}, 0), Catch::Contains("0 of 1 values"));
  CHECK_THROWS_WITH(made({0, 1}, {1e-9f, 1}, 1), Catch::Contains("1 of 1 values"));
  CHECK_THROWS_WITH(made({-1, 0}, {-1, 1e-9f}, 1), Catch::Contains("1 of 1 values"));
}

TEST_CASE("a distribution comes back from its state; one of two streams is refused") {
  test::generator g(test::seed(94));
  INFO(test::seed_text(test::seed(94)));
  zp::distribution d;
  for (const auto& x : test::batches(g)) d.observe(std::span<const float>(x));
  const zp::histogram& h = d.values();
  const zp::min_max extremes(d.range(), d.count(), d.non_finite());
  const zp::histogram values(h.exponent(), {h.counts().begin(), h.counts().end()}, h.zeros());
  REQUIRE(zp::distribution(extremes, values) == d);
  CHECK(zp::percentile(99, d).range() != zp::percentile(100, d).range());
  CHECK(zp::percentile(100, d).range() == d.range());

  CHECK(zp::min_max({1, 0}, 0, 3) == zp::min_max({7, 5}, 0, 3));  // nothing was counted
  CHECK_THROWS_WITH(zp::min_max({1, 0}, 2, 0), Catch::Contains("1 to 0"));
  CHECK_THROWS_AS(zp::min_max({0, test::inf}, 2, 0), zp::error);
  CHECK_THROWS_AS(zp::min_max({test::nan_value, 1}, 2, 0), zp::error);
  CHECK_THROWS_WITH(zp::distribution(zp::min_max({0, 1}, 7, 0), values), Catch::Contains("7"));
  const zp::min_max wider({d.range().min, 3e38f}, d.count(), 0);
  CHECK_THROWS_WITH(zp::distribution(wider, values), Catch::Contains("beyond"));
  // Extremes in another bin than the outermost ones with a value.
  const auto width = static_cast<float>(h.bin_width());
  for (const zp::value_range r : {zp::value_range{d.range().min + width, d.range().max},
                                  {d.range().min, d.range().max - width}})
    CHECK_THROWS_WITH(zp::distribution(zp::min_max(r, d.count(), 0), values),
                      Catch::Contains("the bins with values go from "));
  CHECK_THROWS_AS(zp::column_absmax({1, -1}, 1, 0), zp::error);
  CHECK_THROWS_AS(zp::column_absmax({1, test::inf}, 1, 0), zp::error);
}
