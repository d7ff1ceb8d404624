// The peak of resident memory: it has seen what was touched, and never falls.
#include <lab/io/memory.hpp>

#include "support/memory.hpp"
#include "support/test.hpp"

#include <vector>

TEST_CASE("Peak memory has seen what was touched") {
  constexpr std::size_t size = std::size_t{96} << 20;
  const std::uint64_t before = lab::peak_memory();
  REQUIRE(before > 0);
  {
    std::vector<char> block(size, 1);
    CHECK(block[size / 2] == 1);
    CHECK(lab::peak_memory() >= size);
  }
  CHECK(lab::peak_memory() >= before);
  CHECK(lab::peak_memory() >= size);
}

TEST_CASE("Resident memory falls by what is released") {
  constexpr std::size_t size = std::size_t{24} << 20;
  REQUIRE(lab::resident_memory() > 0);
  CHECK(lab::memory_returned_by([] {}) < size / 16);
  std::vector<char> block(size, 1);
  CHECK(lab::resident_memory() >= size);
  CHECK(lab::memory_returned_by([&] { block[0] = 2; }) < size / 16);
  const std::uint64_t returned = lab::memory_returned_by([&] { std::vector<char>().swap(block); });
  if (test::allocator_keeps_memory) return;
  CHECK(returned >= size);
  CHECK(returned < size + size / 16);
}
