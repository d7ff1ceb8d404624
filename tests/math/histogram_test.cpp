// The histogram against a sort into bins that knows the maximum; order, split and merge must not
// matter, exactly.
#include <zeropoint/math/histogram.hpp>

#include "math/observing.hpp"

namespace zp = zeropoint;

namespace {

/// Every finite value of all batches, put into bins of a width known beforehand.
std::vector<std::uint64_t> binned(const std::vector<std::vector<float>>& all, double width) {
  constexpr auto bins = static_cast<std::int64_t>(zp::histogram::bins);
  std::vector<std::uint64_t> counts(2 * zp::histogram::bins);
  for (const auto& x : all) {
    for (const float v : test::finite(x)) {
      const auto b =
          static_cast<std::int64_t>(std::floor(std::fabs(static_cast<double>(v)) / width));
      ++counts[static_cast<std::size_t>(v < 0 ? bins - 1 - b : bins + b)];
    }
  }
  return counts;
}

std::vector<std::uint64_t> copy(std::span<const std::uint64_t> counts) {
  return {counts.begin(), counts.end()};
}

zp::histogram of(const std::vector<float>& x) {
  zp::histogram h;
  h.observe(std::span<const float>(x));
  return h;
}

}  // namespace

TEST_CASE("a histogram counts as if it had known the maximum") {
  const auto seed = test::seed(83);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  for (int round = 0; round < 20; ++round) {
    const auto all = test::batches(g);
    zp::histogram h;
    double largest = 0;
    std::uint64_t count = 0, zeros = 0;
    for (const auto& x : all) {
      h.observe(std::span<const float>(x));
      for (const float v : test::finite(x)) {
        largest = std::max(largest, std::fabs(static_cast<double>(v)));
        ++count;
        zeros += v == 0 ? 1 : 0;
      }
    }
    REQUIRE(largest < 4096 * h.bin_width());
    REQUIRE(largest >= 2048 * h.bin_width());
    REQUIRE(copy(h.counts()) == binned(all, h.bin_width()));
    REQUIRE(h.count() == count);
    REQUIRE(h.zeros() == zeros);
  }
}

TEST_CASE("order, split and merge do not matter to a histogram") {
  test::check_order([] { return zp::histogram(); });
  zp::histogram h = of({1, 2, -3});
  h.merge(h);
  REQUIRE(h.count() == 6);
  REQUIRE(h.magnitudes(4095) == 0);
  REQUIRE(h.magnitudes(3072) == 2);
}

TEST_CASE("a histogram by hand: edges, sides, zeros, the ends of float") {
  const zp::histogram h = of({1, -1, 0, -0.0f, 0.5f, test::nan_value, test::inf, -test::inf});
  REQUIRE(h.bin_width() == 1.0 / 2048);
  REQUIRE(h.count() == 5);
  REQUIRE(h.zeros() == 2);
  REQUIRE(h.counts().size() == 8192);
  REQUIRE(h.counts()[4096] == 2);
  REQUIRE(h.counts()[4096 + 2048] == 1);
  REQUIRE(h.counts()[4096 + 1024] == 1);
  REQUIRE(h.counts()[4095 - 2048] == 1);
  REQUIRE(h.edge(4096 + 2048) == 1);
  REQUIRE(h.edge(4096 - 2048) == -1);
  REQUIRE(h.magnitudes(2048) == 2);

  constexpr float most = std::numeric_limits<float>::max(),
                  least = std::numeric_limits<float>::denorm_min();
  const zp::histogram wide = of({most, -least});
  REQUIRE(wide.counts()[8191] == 1);
  REQUIRE(wide.counts()[4095] == 1);
  REQUIRE(wide.bin_width() == 0x1p116);
  const zp::histogram tiny = of({-least});
  REQUIRE(tiny.counts()[4095 - 2048] == 1);
  REQUIRE(tiny.bin_width() == 0x1p-160);
  const zp::histogram zero = of({0, 0});
  REQUIRE(zero.counts()[4096] == 2);
  REQUIRE(zero.zeros() == 2);
  REQUIRE(of({}).count() == 0);
}

TEST_CASE("a histogram comes back from its state; a state that no stream leads to is refused") {
  test::generator g(test::seed(93));
  INFO(test::seed_text(test::seed(93)));
  std::vector<float> x(1000);
  for (float& v : x) v = test::normal(g);
  x[3] = 0.0f, x[4] = -0.0f;
  for (const bool empty : {false, true}) {
    zp::histogram h;
    if (!empty) h.observe(std::span<const float>(x));
    const std::vector<std::uint64_t> counts(h.counts().begin(), h.counts().end());
    zp::histogram again(h.exponent(), counts, h.zeros());
    REQUIRE(again == h);
    again.observe(std::span<const float>(x));
    h.observe(std::span<const float>(x));
    REQUIRE(again == h);
  }
  constexpr std::size_t size = 2 * zp::histogram::bins;
  const std::vector<std::uint64_t> none(size, 0);
  auto one = none, many = none;
  one[zp::histogram::bins] = 1;
  many[0] = many[1] = ~std::uint64_t{0};
  CHECK(zp::histogram(zp::histogram::min_exponent, one, 1).count() == 1);
  CHECK_THROWS_WITH(zp::histogram(zp::histogram::min_exponent, one, 0),
                    Catch::Contains("other than 0"));
  CHECK_THROWS_WITH(zp::histogram(0, one, 2), Catch::Contains("2 zeros"));
  CHECK_THROWS_WITH(zp::histogram(0, many, 0), Catch::Contains("64 bits"));
  CHECK_THROWS_WITH(zp::histogram(117, none, 0), Catch::Contains("117"));
  CHECK_THROWS_WITH(zp::histogram(-201, none, 0), Catch::Contains("-201"));
  CHECK_THROWS_WITH(zp::histogram(0, {1, 2}, 0), Catch::Contains("8192"));
}

TEST_CASE("a histogram is refused whose bins could be narrower, or hold no float") {
  const auto state = [](int exponent, std::initializer_list<std::size_t> used,
                        std::uint64_t zeros) {
    std::vector<std::uint64_t> counts(2 * zp::histogram::bins, 0);
    for (const std::size_t i : used) counts[i] = 3;
    return zp::histogram(exponent, std::move(counts), zeros);
  };
  constexpr std::size_t right = zp::histogram::bins, left = right - 1;
  // The largest value is in the outer half of the bins of one side.
  for (const int exponent : {-149, -3, 0, 116}) {
    CAPTURE(exponent);
    CHECK(state(exponent, {right + 2048, left - 1}, 0).count() == 6);
    CHECK(state(exponent, {right + 4095}, 0).count() == 3);
    CHECK(state(exponent, {left - 2048, right + 1}, 0).count() == 6);
    for (const auto& used :
         {std::initializer_list<std::size_t>{right + 2047, left - 2047}, {right}, {}})
      CHECK_THROWS_WITH(state(exponent, used, 0), Catch::Contains("expected narrower bins"));
  }
  // Bins of 2^-151: every fourth holds a multiple of 2^-149, that at 0 zeros.
  CHECK(state(-151, {right + 2048, left - 4}, 0).count() == 6);
  CHECK(state(-151, {right + 2048, right}, 3).count() == 6);
  CHECK_THROWS_WITH(state(-151, {right + 2049}, 0), Catch::Contains("3 values in bin 2049"));
  CHECK_THROWS_WITH(state(-151, {left - 2050}, 0), Catch::Contains("3 values in bin 2050"));
  CHECK_THROWS_WITH(state(-151, {right + 2048, right}, 2), Catch::Contains("bin 0"));
  CHECK_THROWS_WITH(state(-149, {right + 2048, left}, 0), Catch::Contains("bin 0"));
  CHECK(state(-148, {right + 2048, left}, 0).count() == 6);
  CHECK_THROWS_WITH(state(-199, {right + 2048}, 0), Catch::Contains("3 values in bin 2048"));
}

TEST_CASE("every value lies in the bin that it is counted in") {
  for (const float v : {1.0f, -1.0f, 0.75f, -0.0f, 0.0f, 1e-9f, -1e-9f, 0x1.fffffep-1f}) {
    const zp::histogram whole = of({v, 1.0f});
    auto counts = copy(whole.counts());
    REQUIRE(counts[whole.bin_of(v)] > 0);
    --counts[whole.bin_of(v)];
    REQUIRE(counts == copy(of({1.0f}).counts()));
  }
}
