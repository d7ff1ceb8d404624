#include <zeropoint/base/aligned_buffer.hpp>

#include <algorithm>
#include <new>

#include "support/memory.hpp"
#include "support/test.hpp"

#if defined(__linux__)
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#endif

namespace zp = zeropoint;

TEST_CASE("aligned_buffer is aligned, zeroed and owns its copy") {
  for (std::size_t n : {std::size_t{1}, std::size_t{63}, std::size_t{64}, std::size_t{1000}}) {
    zp::aligned_buffer<float> a(n);
    REQUIRE(reinterpret_cast<std::uintptr_t>(a.data()) % 64 == 0);
    for (float x : a) REQUIRE(x == 0.0f);
    a[n - 1] = 3;
    zp::aligned_buffer<float> b = a;
    b[n - 1] = 4;
    REQUIRE(a[n - 1] == 3);
    zp::aligned_buffer<float> c = std::move(b);
    REQUIRE(c[n - 1] == 4);
    REQUIRE(
        b.empty());  // NOLINT(bugprone-use-after-move): the moved-from state is documented as empty
  }
  REQUIRE(zp::aligned_buffer<int>().empty());
  REQUIRE_THROWS_AS(zp::aligned_buffer<double>(std::numeric_limits<std::size_t>::max() / 4),
                    zp::error);
}

TEST_CASE("a large aligned_buffer starts on a huge page") {
  constexpr std::size_t page = std::size_t{1} << 21;
  for (const std::size_t n : {page / 4 * 3 - 1, page / 4 * 3, page - 1, page, page + 1,
                              page + page / 4 * 3, 2 * page + 5}) {
    INFO(n);
    zp::aligned_buffer<char> a(n);
    REQUIRE(a.size() == n);
    const bool on_huge_page = n >= page / 4 * 3 && ZP_MAPS_MEMORY != 0;
    REQUIRE(reinterpret_cast<std::uintptr_t>(a.data()) % (on_huge_page ? page : 64) == 0);
    REQUIRE(std::count(a.begin(), a.end(), 0) == static_cast<std::ptrdiff_t>(n));
    a[n - 1] = 7;
    const zp::aligned_buffer<char> b = a;
    REQUIRE(b[n - 1] == 7);
  }
}

TEST_CASE("an aligned_buffer of any size is zeroed after others were written and freed") {
  for (int round = 0; round < 3; ++round) {
    for (std::size_t n = 1000; n < (std::size_t{3} << 20); n += n / 3) {
      INFO(n);
      zp::aligned_buffer<char> a(n);
      REQUIRE(reinterpret_cast<std::uintptr_t>(a.data()) % 64 == 0);
      REQUIRE(std::count(a.begin(), a.end(), 0) == static_cast<std::ptrdiff_t>(n));
      std::fill(a.begin(), a.end(), char{7});
      const zp::aligned_buffer<char> b = std::move(a);
      REQUIRE(b[n - 1] == 7);
    }
  }
}

#if defined(__linux__)
namespace {

/// What is left in a child whose address space may grow by `growth` bytes: 1 when a buffer of `size`
/// bytes is there, zeroed and writable, 2 when there is bad_alloc.
int allocate_within(std::size_t size, std::size_t growth) {
  const pid_t child = fork();
  if (child == 0) {
    std::size_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    rlimit limit{};
    getrlimit(RLIMIT_AS, &limit);
    limit.rlim_cur = pages * static_cast<std::size_t>(sysconf(_SC_PAGESIZE)) + growth;
    if (pages == 0 || setrlimit(RLIMIT_AS, &limit) != 0) _exit(3);
    try {
      for (int round = 0; round < 3; ++round) {  // what is freed is there again
        zp::aligned_buffer<char> a(size);
        if (reinterpret_cast<std::uintptr_t>(a.data()) % 64 != 0) _exit(4);
        if (std::count(a.begin(), a.end(), 0) != static_cast<std::ptrdiff_t>(size)) _exit(5);
        std::fill(a.begin(), a.end(), char{7});
      }
      _exit(1);
    } catch (const std::bad_alloc&) {
      _exit(2);
    }
  }
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status)) return -1;
  return WEXITSTATUS(status);
}

}  // namespace

TEST_CASE("a large aligned_buffer does without huge pages where address space is short") {
  if (test::allocator_keeps_memory) return;  // sanitizers need address space themselves
  constexpr std::size_t page = std::size_t{1} << 21, size = 8 * page;
  CHECK(allocate_within(size, size + 2 * page) == 1);
  CHECK(allocate_within(size, size + page / 2) == 1);  // no room to look for a beginning
  CHECK(allocate_within(size, size / 2) == 2);
}
#endif
