#include <zeropoint/base/scratch.hpp>

#include <algorithm>

#include "support/test.hpp"

namespace zd = zeropoint::detail;

TEST_CASE("scratch is aligned inside and on the heap") {
  for (const std::size_t bytes : {0u, 1u, 8192u, 8193u, 100'000u}) {
    INFO(bytes);
    zd::scratch memory(bytes);
    REQUIRE(reinterpret_cast<std::uintptr_t>(memory.data()) % 64 == 0);
    std::fill_n(memory.data(), bytes, std::byte{7});
    const auto* here = reinterpret_cast<const std::byte*>(&memory);
    const bool inside = memory.data() >= here && memory.data() < here + sizeof memory;
    REQUIRE(inside == (bytes <= 8192));
  }
}

TEST_CASE("scratch_array holds copies of a value, few of them inside itself") {
  for (const std::size_t size : {0u, 1u, 4u, 5u, 1000u}) {
    INFO(size);
    zd::scratch_array<int, 4> a(size, 3);
    REQUIRE(a.size() == size);
    REQUIRE(a.empty() == (size == 0));
    REQUIRE(std::count(a.span().begin(), a.span().end(), 3) == static_cast<std::ptrdiff_t>(size));
    a.fill(5);
    REQUIRE(std::count(a.span().begin(), a.span().end(), 5) == static_cast<std::ptrdiff_t>(size));
    const auto* here = reinterpret_cast<const std::byte*>(&a);
    const auto* data = reinterpret_cast<const std::byte*>(a.span().data());
    REQUIRE((data >= here && data < here + sizeof a) == (size <= 4));
  }
}
