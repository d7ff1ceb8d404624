// Translation units with different flags live in one program and give the same bits: the inline
// namespace ZP_BASELINE keeps the code for a newer processor out of the portable units.
#include "unit.hpp"

#include <algorithm>
#include <string>

#include "support/test.hpp"

namespace {

void check_same(const link_unit::report& a, const link_unit::report& b) {
  REQUIRE(std::equal(std::begin(a.integers), std::end(a.integers), std::begin(b.integers)));
  REQUIRE(std::equal(std::begin(a.reals), std::end(a.reals), std::begin(b.reals)));
}

}  // namespace

TEST_CASE("a unit without Eigen links with one that has it and gives the same numbers") {
  const auto plain = link_unit::plain::answer(), without = link_unit::without_eigen::answer();
  REQUIRE(plain.has_eigen);
  REQUIRE_FALSE(without.has_eigen);
  check_same(plain, without);
}

#ifdef ZP_UNIT_NEWER
TEST_CASE("a unit for AVX2 keeps its own code and gives the same numbers") {
  const auto plain = link_unit::plain::answer(), newer = link_unit::newer::answer();
  REQUIRE((newer.baseline == std::string("base_avx2_fma") ||
           newer.baseline == std::string("base_avx512")));  // the latter with -march=native
  if (plain.baseline == newer.baseline) WARN("both units have the baseline " << plain.baseline);
  check_same(plain, newer);
}
#endif
