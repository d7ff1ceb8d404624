#include <zeropoint/base/executor.hpp>

#include "support/test.hpp"

#include <atomic>
#include <vector>

namespace zp = zeropoint;

static_assert(zp::executor<zp::serial>);
static_assert(!zp::executor<int>);

namespace {

/// Runs every task exactly once, for counts around the concurrency.
template <class Executor>
bool runs_each_once(const Executor& ex) {
  for (const std::size_t count : {0u, 1u, 2u, 3u, 7u, 64u, 1000u}) {
    std::vector<std::atomic<int>> calls(count);
    ex(count, [&](std::size_t i) { calls.at(i).fetch_add(1); });
    for (const auto& c : calls) {
      if (c.load() != 1) return false;
    }
  }
  return true;
}

}  // namespace

TEST_CASE("serial runs tasks in order on this thread") {
  REQUIRE(zp::serial{}.concurrency() == 1);
  REQUIRE(runs_each_once(zp::serial{}));
  std::vector<std::size_t> order;
  zp::serial{}(5, [&](std::size_t i) { order.push_back(i); });
  REQUIRE(order == std::vector<std::size_t>{0, 1, 2, 3, 4});
}

#if defined(_OPENMP)
static_assert(zp::executor<zp::openmp>);

TEST_CASE("openmp runs every task once with any number of threads") {
  for (const int threads : {0, 1, 2, 5, 16}) REQUIRE(runs_each_once(zp::openmp(threads)));
  REQUIRE(zp::openmp(3).concurrency() == 3);
  REQUIRE(zp::openmp().concurrency() == static_cast<std::size_t>(omp_get_max_threads()));
  REQUIRE(zp::openmp(-1).concurrency() >= 1);
}
#endif
