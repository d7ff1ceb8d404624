#include <zeropoint/base/executor.hpp>
#include <zeropoint/base/thread_team.hpp>

#include "support/test.hpp"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <fstream>
#include <map>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
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

namespace {

/// Calls f once on each of `threads` threads of a team, all at the same time.
template <class F>
void on_each(std::size_t threads, F&& f) {
  std::atomic<std::size_t> met{0};
  std::mutex guard;
  zp::thread_team{threads}(threads, [&](std::size_t) {
    met.fetch_add(1);
    while (met.load() < threads) std::this_thread::yield();
    const std::lock_guard lock(guard);
    f();
  });
}

/// What `child` of a forked child returns; -1 when a signal ended it, as after 20 seconds.
template <class F>
int exit_code_of_child(F&& child) {
  const pid_t id = fork();
  if (id == 0) {
    alarm(20);
    _exit(child());
  }
  int status = 0;
  if (id < 0 || waitpid(id, &status, 0) != id || !WIFEXITED(status)) return -1;
  return WEXITSTATUS(status);
}

/// Whether a child of a process with threads may make threads, whoever does it. The thread sanitizer
/// and QEMU 7 end it.
bool children_have_threads() {
  std::atomic<bool> stop{false};
  std::thread other([&] {
    while (!stop) std::this_thread::yield();
  });
  const int code = exit_code_of_child([] {
    std::thread([] {}).join();
    return 7;
  });
  stop = true;
  other.join();
  if (code != 7) WARN("not run: a forked child cannot make threads here");
  return code == 7;
}

/// 7 if two threads work at the same time here.
int works_in_two() {
  on_each(2, [] {});
  return runs_each_once(zp::thread_team(2), 100) ? 7 : 8;
}

}  // namespace

// The first in this file: later ones have run a job. Each child forks with a thread in its first one.
TEST_CASE("a team works in a child that was forked during the first job of all") {
  if (test::allocator_keeps_memory)
    return;  // its locks, unlike the heap's, stay taken in the child
  if (!children_have_threads()) return;
  int together = 0;
  for (int round = 0; round < 20; ++round) {
    together += exit_code_of_child([] {
                  std::atomic<bool> begun{false};
                  std::thread other([&] {
                    begun = true;
                    zp::thread_team(2)(2, [](std::size_t) {});
                  });
                  while (!begun) {
                  }
                  const int code = exit_code_of_child(works_in_two);
                  other.join();
                  return code;
                }) == 7
                    ? 1
                    : 0;
  }
  CHECK(together == 20);
}

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

TEST_CASE("a team: an exception from a task reaches the caller, and leaves nothing behind") {
  const zp::thread_team team(3);
  for (int round = 0; round < 200; ++round) {
    const std::size_t bad = static_cast<std::size_t>(round) % 20;
    std::atomic<int> begun{0}, within{0};
    std::string text;
    try {
      team(20, [&](std::size_t i) {
        begun += 1, within += 1;
        if (i % 5 == bad % 5 && i >= bad) {
          within -= 1;
          throw std::runtime_error("task " + std::to_string(i));
        }
        within -= 1;
      });
    } catch (const std::runtime_error& e) {
      text = e.what();
    }
    REQUIRE(within == 0);  // all threads had left the job
    REQUIRE(text.rfind("task ", 0) == 0);
    const std::size_t which = std::stoul(text.substr(5));
    REQUIRE(which >= bad);
    REQUIRE(which % 5 == bad % 5);
    REQUIRE(begun >= static_cast<int>(bad) + 1);
    REQUIRE(begun <= 20);
  }
  // Thrown on a helper only, while the caller waits for it.
  const auto caller = std::this_thread::get_id();
  std::atomic<bool> thrown{false};
  REQUIRE_THROWS_AS(team(2,
                         [&](std::size_t) {
                           if (std::this_thread::get_id() == caller) {
                             while (!thrown) std::this_thread::yield();
                           } else {
                             thrown = true;
                             throw std::out_of_range("helper");
                           }
                         }),
                    std::out_of_range);
  // From a call within a task.
  REQUIRE_THROWS_AS(
      team(4, [&](std::size_t) { team(4, [](std::size_t) { throw std::logic_error("inner"); }); }),
      std::logic_error);
  for (int round = 0; round < 100; ++round) REQUIRE(runs_each_once(team, 100));
  std::atomic<int> met{0};  // and it still has its threads
  team(3, [&](std::size_t) {
    met.fetch_add(1);
    while (met.load() < 3) std::this_thread::yield();
  });
  REQUIRE(met == 3);
}

TEST_CASE("a team: its threads leave the program's signals to the program's threads") {
  sigset_t before, after;
  REQUIRE(pthread_sigmask(SIG_BLOCK, nullptr, &before) == 0);
  const auto caller = std::this_thread::get_id();
  int helpers = 0, wrong = 0;
  on_each(12, [&] {  // more than other tests have made: at least one is new
    if (std::this_thread::get_id() == caller) return;
    ++helpers;
    sigset_t mask;
    pthread_sigmask(SIG_BLOCK, nullptr, &mask);
    for (const int blocked : {SIGINT, SIGTERM, SIGUSR1, SIGALRM, SIGCHLD, SIGRTMIN}) {
      wrong += sigismember(&mask, blocked) == 1 ? 0 : 1;
    }
    for (const int open : {SIGSEGV, SIGFPE, SIGBUS, SIGILL, SIGPROF}) {
      wrong += sigismember(&mask, open) == 0 ? 0 : 1;
    }
  });
  REQUIRE(helpers == 11);
  REQUIRE(wrong == 0);
  REQUIRE(pthread_sigmask(SIG_BLOCK, nullptr, &after) == 0);
  for (int s = 1; s < SIGRTMAX; ++s) {
    REQUIRE(sigismember(&before, s) == sigismember(&after, s));
  }
}

#if defined(__linux__)
namespace {

/// How often a thread of this process has gone to sleep.
long sleeps(pid_t thread) {
  std::ifstream status("/proc/self/task/" + std::to_string(thread) + "/status");
  for (std::string word; status >> word;) {
    long count = -1;
    if (word == "voluntary_ctxt_switches:" && status >> count) return count;
  }
  return -1;
}

}  // namespace

TEST_CASE("a team: threads that a job does not need sleep on") {
  std::set<pid_t> all, needed;
  on_each(5, [&] { all.insert(gettid()); });
  on_each(2, [&] { needed.insert(gettid()); });
  REQUIRE(all.size() == 5);
  REQUIRE(needed.size() == 2);
  const auto rest = [] { std::this_thread::sleep_for(std::chrono::milliseconds(1)); };
  const auto seen = [&] {
    std::map<pid_t, long> counts;
    for (const pid_t t : all) counts[t] = sleeps(t);
    return counts;
  };
  // On a busy machine a thread may still be on its way to sleep, for seconds: it has ten attempts.
  std::map<pid_t, long> before, after;
  const auto as_it_should = [&](pid_t t) {
    return needed.count(t) == 0 ? after[t] == before[t] : after[t] > before[t] + 50;
  };
  bool fine = false;
  for (int attempt = 0; attempt < 10 && !fine; ++attempt) {
    for (int i = 0; i < 50; ++i) rest();
    before = seen();
    for (int round = 0; round < 100; ++round) {
      on_each(2, [] {});
      rest();
    }
    after = seen();
    fine = std::all_of(all.begin(), all.end(), as_it_should);
  }
  for (const pid_t t : all) {
    INFO("thread " << t << ", needed " << needed.count(t) << ", sleeps " << before[t] << ", then "
                   << after[t]);
    CHECK(before[t] > 0);
    CHECK(as_it_should(t));
  }
}
#endif

TEST_CASE("a team works in a forked child, which has none of its parent's threads") {
  if (!children_have_threads()) return;
  REQUIRE(works_in_two() == 7);
  REQUIRE(exit_code_of_child(works_in_two) == 7);
  REQUIRE(exit_code_of_child([] { return exit_code_of_child(works_in_two); }) == 7);
  REQUIRE(exit_code_of_child(
              [] { return works_in_two() == 7 ? exit_code_of_child(works_in_two) : 9; }) == 7);
  REQUIRE(works_in_two() == 7);
}

TEST_CASE("a team works in a child that was forked while it was at work") {
  if (!children_have_threads()) return;
  std::atomic<bool> stop{false};
  std::atomic<int> bad{0}, rounds{0};
  std::thread other([&] {
    while (!stop) {
      bad += runs_each_once(zp::thread_team(3), 50) ? 0 : 1;
      rounds += 1;
    }
  });
  while (rounds == 0) std::this_thread::yield();
  int good = 0;
  for (int i = 0; i < 50; ++i) good += exit_code_of_child(works_in_two) == 7 ? 1 : 0;
  stop = true;
  other.join();
  REQUIRE(good == 50);
  REQUIRE(bad == 0);
}

TEST_CASE("a child forked within a task may work on, alone") {
  int answer = 0;
  zp::thread_team(2)(2, [&](std::size_t i) {
    if (i != 0) return;
    answer = exit_code_of_child([] { return runs_each_once(zp::thread_team(2), 100) ? 7 : 8; });
  });
  REQUIRE(answer == 7);
}
