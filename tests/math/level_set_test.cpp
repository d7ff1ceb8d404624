// The set of codes that occurred, however it was filled.
#include <zeropoint/math/level_set.hpp>

#include "support/test.hpp"

namespace zp = zeropoint;

TEST_CASE("level_set: every byte once, signed or not") {
  zp::level_set set;
  for (std::int32_t code = -128; code < 128; ++code) {
    REQUIRE_FALSE(set.contains(code));
    set.insert(code);
    REQUIRE(set.contains(code));
    REQUIRE(set.size() == static_cast<std::size_t>(code + 129));
  }
  REQUIRE(set.contains(255));  // the byte of -1
  std::array<std::uint8_t, 256> flags{};
  test::generator g(test::seed(38));
  for (std::uint8_t& f : flags) f = static_cast<std::uint8_t>(g() & 1u);
  std::uint8_t bits[32] = {};
  zp::level_set from_flags, from_bits, one_by_one;
  from_flags.insert_flags(flags);
  for (std::int32_t code = 0; code < 256; ++code) {
    if (flags[static_cast<std::size_t>(code)] == 0) continue;
    one_by_one.insert(code);
    bits[code / 8] = static_cast<std::uint8_t>(bits[code / 8] | 1 << code % 8);
  }
  from_bits.insert_bits(bits);
  REQUIRE(from_flags == one_by_one);
  REQUIRE(from_bits == one_by_one);
}
