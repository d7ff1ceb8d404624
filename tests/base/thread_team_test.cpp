#include <zeropoint/base/executor.hpp>
#include <zeropoint/base/thread_team.hpp>

#include "support/test.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

namespace zp = zeropoint;

static_assert(zp::executor<zp::thread_team>);

namespace {

bool runs_each_once(const zp::thread_team& team, std::size_t count) {
  std::vector<std::atomic<int>> calls(count);
  team(count, [&](std::size_t i) { calls.at(i).fetch_add(1); });
  for (const auto& c : calls) {
    if (c.load() != 1) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("a team runs every task once with any number of threads") {
  for (const std::size_t threads : {0u, 1u, 2u, 3u, 8u, 2u}) {
    const zp::thread_team team(threads);
    REQUIRE(team.concurrency() >= 1);
    if (threads != 0) REQUIRE(team.concurrency() == threads);
    for (const std::size_t count : {0u, 1u, 2u, 3u, 7u, 64u, 1000u}) {
      REQUIRE(runs_each_once(team, count));
    }
  }
}

TEST_CASE("a team takes a plain function, as every executor does") {
  static std::atomic<int> calls{0};
  void (*const count)(std::size_t) = [](std::size_t) { calls.fetch_add(1); };
  zp::thread_team(2)(10, count);
  zp::thread_team(2)(10, *count);
  REQUIRE(calls == 20);
}

TEST_CASE("a team: many small jobs, back to back and after a rest") {
  const zp::thread_team team(3);
  std::atomic<std::size_t> sum{0};
  for (int round = 0; round < 20'000; ++round) team(4, [&](std::size_t i) { sum += i; });
  REQUIRE(sum == 20'000 * 6u);
  for (int round = 0; round < 20; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));  // its threads are asleep by now
    team(4, [&](std::size_t i) { sum += i; });
  }
  REQUIRE(sum == 20'020 * 6u);
}

TEST_CASE("a team: the tasks of one call run on several threads, and not on more than asked for") {
  const zp::thread_team team(2);
  std::mutex guard;
  std::set<std::thread::id> seen;
  std::atomic<int> met{0};
  team(2, [&](std::size_t) {  // each waits for the other, as only two threads can
    met.fetch_add(1);
    while (met.load() < 2) std::this_thread::yield();
    const std::lock_guard lock(guard);
    seen.insert(std::this_thread::get_id());
  });
  REQUIRE(seen.size() == 2);
  for (int round = 0; round < 200; ++round) {
    team(50, [&](std::size_t) {
      const std::lock_guard lock(guard);
      seen.insert(std::this_thread::get_id());
    });
  }
  REQUIRE(seen.size() == 2);  // always the same helper
}

TEST_CASE("a team: calls from tasks, and from several threads at the same time") {
  const zp::thread_team team(3);
  std::vector<std::atomic<int>> inner(100);
  team(10,
       [&](std::size_t i) { team(10, [&](std::size_t j) { inner.at(i * 10 + j).fetch_add(1); }); });
  for (const auto& c : inner) REQUIRE(c.load() == 1);

  std::atomic<int> good{0};
  std::vector<std::thread> callers;
  for (int c = 0; c < 4; ++c) {
    callers.emplace_back([&] {
      for (int round = 0; round < 500; ++round) good += runs_each_once(team, 9) ? 1 : 0;
    });
  }
  for (std::thread& c : callers) c.join();
  REQUIRE(good == 4 * 500);
}

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define ZP_TEST_NO_THREADS_AFTER_FORK  // it ends such a child
#endif
#endif
#if !defined(ZP_TEST_NO_THREADS_AFTER_FORK) && !defined(__SANITIZE_THREAD__)
TEST_CASE("a team works in a forked child, which has none of its parent's threads") {
  const zp::thread_team team(2);
  REQUIRE(runs_each_once(team, 100));
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) _exit(runs_each_once(team, 100) ? 7 : 8);
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  REQUIRE(WEXITSTATUS(status) == 7);
}
#endif
