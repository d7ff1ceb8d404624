// Ticks are round, ascending and cover the values; places are monotonic.
#include "support/test.hpp"

#include <lab/report/axis.hpp>

#include <algorithm>

using lab::axis;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

std::vector<double> ticks(axis::kind k, std::vector<double> values, int decades = 4) {
  return axis::around(k, values, decades).ticks();
}

}  // namespace

TEST_CASE("Linear ticks") {
  const auto k = axis::kind::linear;
  CHECK(ticks(k, {0, 1}) == std::vector<double>{0, 0.2, 0.4, 0.6, 0.8, 1});
  CHECK(ticks(k, {0, 43}) == std::vector<double>{0, 10, 20, 30, 40, 50});
  CHECK(ticks(k, {-3, 43}) == std::vector<double>{-10, 0, 10, 20, 30, 40, 50});
  CHECK(ticks(k, {0.0, 0.0013}) == std::vector<double>{0, 0.0005, 0.001, 0.0015});
  CHECK(ticks(k, {}) == ticks(k, {0, 1}));
  CHECK(ticks(k, {std::nan(""), infinity, 0, 1}) == ticks(k, {0, 1}));
  CHECK(ticks(k, {7, 7}).size() >= 2);
  CHECK(ticks(k, {1e300, 1.0000001e300}).size() >= 2);
}

TEST_CASE("Logarithmic ticks") {
  const auto k = axis::kind::log;
  CHECK(ticks(k, {0.003, 12}) == std::vector<double>{0.001, 0.01, 0.1, 1, 10, 100});
  CHECK(ticks(k, {1, 10}) == std::vector<double>{1, 2, 5, 10});
  CHECK(ticks(k, {0, -4, 2, 50}) == std::vector<double>{1, 2, 5, 10, 20, 50, 100});
  CHECK(ticks(k, {}) == std::vector<double>{1, 2, 5, 10});
  CHECK(ticks(k, {1000}) == std::vector<double>{1000, 2000, 5000, 10000});
  const auto many = ticks(k, {1e-30, 1e30});
  CHECK(many.size() <= 10);
  CHECK(many.back() == Approx(1e30));
}

TEST_CASE("Symmetric logarithmic ticks") {
  const auto k = axis::kind::symlog;
  CHECK(ticks(k, {-0.002, 0.05, 9}) ==
        std::vector<double>{-0.01, -0.001, 0, 0.001, 0.01, 0.1, 1, 10});
  CHECK(ticks(k, {0.5, 3}) == std::vector<double>{0, 0.1, 1, 10});
  CHECK(ticks(k, {-3.0}) == std::vector<double>{-10, -1, 0});
  CHECK(ticks(k, {0, 0}) == std::vector<double>{0, 1});
  CHECK(ticks(k, {}) == std::vector<double>{0, 1});
  CHECK(ticks(k, {1e-12, 1}) == std::vector<double>{0, 1e-4, 1e-3, 1e-2, 0.1, 1});
  const std::vector<double> values = {-0.002, 9};
  const axis a = axis::around(k, values);
  CHECK(a.at(0) > a.at(-0.001));
  CHECK(a.at(1) - a.at(0.1) == Approx(a.at(10) - a.at(1)));
}

TEST_CASE("Whatever the values: ends cover them, ticks ascend, places keep their order") {
  test::generator g(test::seed(9));
  for (const auto k : {axis::kind::linear, axis::kind::log, axis::kind::symlog}) {
    for (int round = 0; round < 500; ++round) {
      std::vector<double> values;
      const double size = std::pow(10.0, static_cast<double>(test::uniform(g, -12, 12)));
      for (int i = 0; i < 4; ++i) values.push_back(size * static_cast<double>(test::normal(g)));
      if (k == axis::kind::log) {
        for (double& v : values) v = std::fabs(v);
      }
      const axis a = axis::around(k, values);
      INFO(static_cast<int>(k) << ": " << values[0] << " " << values[1] << " " << values[2] << " "
                               << values[3]);
      CHECK(a.ticks().size() >= 2);
      CHECK(a.ticks().size() <= 14);
      CHECK(std::is_sorted(a.ticks().begin(), a.ticks().end(), std::less_equal<>()));
      std::sort(values.begin(), values.end());
      CHECK(a.low() <= values.front());
      CHECK(a.high() >= values.back());
      double last = 0;
      for (const double v : values) {
        CHECK(a.at(v) >= last);
        CHECK(a.at(v) <= 1);
        last = a.at(v);
      }
      CHECK(a.at(a.low()) == 0);
      CHECK(a.at(a.high()) == 1);
      CHECK(a.at(infinity) == 1);
      CHECK(a.at(-infinity) == 0);
      CHECK(a.at(std::nan("")) == 0);
    }
  }
}

TEST_CASE("Tick texts are short") {
  CHECK(lab::tick_text(0.3) == "0.3");
  CHECK(lab::tick_text(1e-6) == "1e-06");
  CHECK(lab::tick_text(-50) == "-50");
}
