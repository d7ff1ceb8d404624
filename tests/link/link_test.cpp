// The library compiles without Eigen, and such a unit links with one that has it.
#include "unit.hpp"

#include <algorithm>

#include "support/test.hpp"

TEST_CASE("a unit without Eigen links with one that has it and gives the same numbers") {
  const auto plain = link_unit::plain::answer(), without = link_unit::without_eigen::answer();
  REQUIRE(plain.has_eigen);
  REQUIRE_FALSE(without.has_eigen);
  REQUIRE(std::equal(std::begin(plain.codes), std::end(plain.codes), std::begin(without.codes)));
  REQUIRE(std::equal(std::begin(plain.scales), std::end(plain.scales), std::begin(without.scales)));
  REQUIRE(std::minmax_element(std::begin(plain.codes), std::end(plain.codes)).second[0] == 127);
}
