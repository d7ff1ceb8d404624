// How panels and rows are handed to an executor: each piece once, neighbours in one task where a tile
// of rows meets all of them.
#include <zeropoint/gemm/rows.hpp>

#include <algorithm>
#include <vector>

#include "support/test.hpp"

namespace zp = zeropoint;

namespace {

/// Runs tasks on this thread as a machine with so many threads would number them, and counts them.
struct counting {
  std::size_t threads;
  std::size_t* tasks;
  [[nodiscard]] std::size_t concurrency() const { return threads; }
  template <class F>
  void operator()(std::size_t count, F&& f) const {
    *tasks += count;
    for (std::size_t i = count; i-- > 0;) f(i);
  }
};

}  // namespace

TEST_CASE("over_runs: every panel once, two runs for a thread at most") {
  for (std::size_t threads = 1; threads <= 40; ++threads) {
    for (std::size_t panels = 1; panels <= 200; ++panels) {
      std::vector<int> seen(panels);
      std::size_t tasks = 0, next = panels, breaks = 0;
      zp::detail::over_runs(counting{threads, &tasks}, panels, [&](std::size_t p) {
        REQUIRE(p < panels);
        ++seen[p];
        breaks += p == next ? 0 : 1;
        next = p + 1;
      });
      INFO(threads << " threads, " << panels << " panels");
      REQUIRE(std::all_of(seen.begin(), seen.end(), [](int times) { return times == 1; }));
      REQUIRE(tasks <= 2 * threads);
      REQUIRE(breaks <= tasks);  // neighbours within a task
    }
  }
}

TEST_CASE("over_panels: every row of every panel once, in whole tiles") {
  constexpr std::size_t mr = 8;
  for (const std::size_t threads : {1u, 2u, 3u, 16u}) {
    for (const std::size_t panels : {1u, 2u, 5u, 70u}) {
      for (const std::size_t rows : {1u, 8u, 9u, 64u, 131u}) {
        std::vector<int> seen(panels * rows);
        std::size_t tasks = 0;
        zp::detail::over_panels(counting{threads, &tasks}, panels, rows, mr,
                                [&](std::size_t p, std::size_t first, std::size_t count) {
                                  REQUIRE(first % mr == 0);
                                  REQUIRE(first + count <= rows);
                                  for (std::size_t i = 0; i < count; ++i)
                                    ++seen[p * rows + first + i];
                                });
        INFO(threads << " threads, " << panels << " panels, " << rows << " rows");
        REQUIRE(std::all_of(seen.begin(), seen.end(), [](int times) { return times == 1; }));
      }
    }
  }
}
