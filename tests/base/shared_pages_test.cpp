// Blocks on huge pages: zeroed, kept apart, used again, and whole in the children of forks.
#include <zeropoint/base/system_memory.hpp>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <map>
#include <thread>
#include <vector>

#include "support/memory.hpp"
#include "support/test.hpp"

#if defined(__linux__)
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>
#endif

namespace zp = zeropoint;

#if defined(__linux__)
namespace {

using pages = zp::detail::shared_pages;

/// What `child` of a forked child returns; -1 when a signal ended it, as after 20 seconds.
template <class F>
int exit_code_of_child(F&& child) {
  const pid_t id = fork();
  if (id == 0) {
    alarm(20);  // for a lock that nobody will ever release
    _exit(child());
  }
  int status = 0;
  if (id < 0 || waitpid(id, &status, 0) != id || !WIFEXITED(status)) return -1;
  return WEXITSTATUS(status);
}
int allocate_and_free() {
  void* const data = pages::allocate(100'000);
  if (data == nullptr) return 1;
  pages::free(data);
  return 0;
}

/// Blocks with what was written to them: the same byte from end to end.
class blocks {
 public:
  /// False when a block is not zero, not aligned, or lies in another one.
  [[nodiscard]] bool allocate(std::size_t bytes, char mark) {
    auto* const data = static_cast<char*>(pages::allocate(bytes));
    if (data == nullptr || reinterpret_cast<std::uintptr_t>(data) % 64 != 0) return false;
    if (std::count(data, data + bytes, 0) != static_cast<std::ptrdiff_t>(bytes)) return false;
    std::fill(data, data + bytes, mark);
    const auto behind = all_.lower_bound(data);
    if (behind != all_.end() && data + bytes > behind->first) return false;
    if (behind != all_.begin()) {
      const auto before = std::prev(behind);
      if (before->first + before->second > data) return false;
    }
    all_[data] = bytes;
    return true;
  }
  /// False when it does not hold what was written.
  [[nodiscard]] bool free(std::size_t which) {
    const auto at = std::next(all_.begin(), static_cast<std::ptrdiff_t>(which % all_.size()));
    const auto [data, bytes] = *at;
    const bool kept = std::count(data, data + bytes, *data) == static_cast<std::ptrdiff_t>(bytes);
    pages::free(data);
    all_.erase(at);
    return kept;
  }
  [[nodiscard]] std::size_t count() const { return all_.size(); }
  [[nodiscard]] std::size_t bytes() const {
    std::size_t sum = 0;
    for (const auto& [data, bytes] : all_) sum += bytes;
    return sum;
  }

 private:
  std::map<char*, std::size_t> all_;
};

bool random_use(std::uint64_t seed, int rounds, std::size_t most) {
  test::generator g(seed);
  blocks mine;
  for (int round = 0; round < rounds; ++round) {
    const bool more = mine.count() == 0 || (mine.count() < most && g() % 2 == 0);
    const std::size_t bytes = pages::smallest + g() % (std::size_t{3} << 19);
    const char mark = static_cast<char>(1 + g() % 100);
    if (!(more ? mine.allocate(bytes, mark) : mine.free(g()))) return false;
  }
  while (mine.count() != 0) {
    if (!mine.free(g())) return false;
  }
  return true;
}

}  // namespace

// The first in this file: later ones find the handler of forks in place.
TEST_CASE("shared pages: forked while another thread allocates for the first time") {
  if (test::allocator_keeps_memory)
    return;  // its locks, unlike the heap's, stay taken in the child
  if (exit_code_of_child([] {
        std::thread([] {}).join();
        return 7;
      }) != 7) {
    WARN("not run: a forked child cannot make threads here");  // QEMU 7, the thread sanitizer
    return;
  }
  for (int round = 0; round < 30; ++round) {
    REQUIRE(exit_code_of_child([] {
              std::atomic<int> ready{0};
              std::thread other([&] {
                ready = 1;
                (void)allocate_and_free();
              });
              while (ready == 0) {
              }
              const int code = exit_code_of_child(allocate_and_free);
              other.join();
              return code;
            }) == 0);
  }
}

TEST_CASE("shared pages: zeroed, kept apart, and returned") {
  const auto seed = test::seed(70);
  INFO(test::seed_text(seed));
  const std::size_t before = pages::mapped();
  REQUIRE(random_use(seed, 2000, 40));
  REQUIRE(pages::mapped() <= before + pages::area_bytes);  // one may wait for the next block
  REQUIRE(pages::allocate(pages::area_bytes) == nullptr);  // more than an area has
}

TEST_CASE("shared pages: what is freed is used again, however it was cut") {
  std::vector<void*> small;
  void* const first = pages::allocate(1 << 20);
  const std::size_t mapped = pages::mapped();
  for (int round = 0; round < 200; ++round) {  // a long life beside each short one
    void* const temporary = pages::allocate(1 << 20);
    small.push_back(pages::allocate(pages::smallest));
    pages::free(temporary);
  }
  // 200 x 64 KB are 12.5 MB: two areas, three with what lies in front of the large ones.
  CHECK(pages::mapped() <= mapped + 3 * pages::area_bytes);
  for (void* const s : small) pages::free(s);
  pages::free(first);
  CHECK(pages::mapped() <= pages::area_bytes * 2);
}

TEST_CASE("shared pages: a trim returns what is free and nothing else") {
  const auto resident = [] {
    std::size_t all = 0, pages_here = 0;
    std::ifstream("/proc/self/statm") >> all >> pages_here;
    return pages_here * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  };
  zp::trim_memory();
  const std::size_t others = pages::mapped();
  std::vector<char*> blocks;
  for (int i = 0; i < 32; ++i) {  // 32 MB: more than four areas
    blocks.push_back(static_cast<char*>(pages::allocate(1 << 20)));
    std::fill(blocks.back(), blocks.back() + (1 << 20), static_cast<char>(i + 1));
  }
  const std::size_t full = resident();
  for (std::size_t i = 1; i < 32; ++i) pages::free(blocks[i]);  // the first pins its area
  zp::trim_memory();
  CHECK(pages::mapped() <= others + pages::area_bytes);
  CHECK(resident() + (std::size_t{24} << 20) < full);
  CHECK(std::count(blocks[0], blocks[0] + (1 << 20), 1) == 1 << 20);
  const auto* const again = static_cast<char*>(pages::allocate(5 << 20));
  CHECK(std::count(again, again + (5 << 20), 0) == 5 << 20);
  pages::free(const_cast<char*>(again));
  pages::free(blocks[0]);
}

TEST_CASE("shared pages: from many threads") {
  const auto seed = test::seed(71);
  INFO(test::seed_text(seed));
  std::vector<char> fine(4);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < fine.size(); ++t) {
    threads.emplace_back([&, t] { fine[t] = random_use(seed + t, 300, 8) ? 1 : 0; });
  }
  for (std::thread& t : threads) t.join();
  REQUIRE(std::count(fine.begin(), fine.end(), 1) == static_cast<std::ptrdiff_t>(fine.size()));
}

TEST_CASE("shared pages: a child that is forked while others allocate goes on") {
  const auto seed = test::seed(72);
  INFO(test::seed_text(seed));
  std::atomic<bool> stop{false};
  std::thread busy([&] {
    for (std::uint64_t s = seed; !stop; ++s) static_cast<void>(random_use(s, 10, 2));
  });
  int fine = 0;
  char* const ours = static_cast<char*>(pages::allocate(100'000));
  std::fill(ours, ours + 100'000, 'x');
  for (int round = 0; round < 20; ++round) {
    fine += exit_code_of_child([&] {
              const bool kept = std::count(ours, ours + 100'000, 'x') == 100'000;
              pages::free(ours);  // which the child's pool does not take for its own
              return (kept ? 0 : 2) + allocate_and_free() + (random_use(seed, 50, 4) ? 0 : 4);
            }) == 0
                ? 1
                : 0;
  }
  CHECK(std::count(ours, ours + 100'000, 'x') == 100'000);
  pages::free(ours);
  stop = true;
  busy.join();
  REQUIRE(fine == 20);
}

namespace {
void* from_a_handler = nullptr;
}

TEST_CASE("shared pages: handlers of forks may allocate and free") {
  static bool registered = false;
  static bool wanted = false;
  if (!registered) {
    registered = true;
    pthread_atfork(
        [] {
          if (wanted) from_a_handler = pages::allocate(100'000);
        },
        [] {
          if (wanted) pages::free(from_a_handler);
        },
        nullptr);
  }
  wanted = true;
  const int code = exit_code_of_child(allocate_and_free);
  wanted = false;
  REQUIRE(code == 0);
}
#endif
