#include <zeropoint/base/error.hpp>

#include "support/test.hpp"

namespace zp = zeropoint;

TEST_CASE("fail puts its parts together") {
  REQUIRE_THROWS_WITH(zp::fail("a has ", 12, " columns, b has ", 1.5),
                      "a has 12 columns, b has 1.5");
  REQUIRE_THROWS_AS(zp::fail("x"), std::runtime_error);
}

TEST_CASE("ZP_REQUIRE evaluates its condition once and its text only when it fails") {
  int conditions = 0, texts = 0;
  const auto condition = [&](bool value) {
    ++conditions;
    return value;
  };
  const auto text = [&] {
    ++texts;
    return "both numbers";
  };
  ZP_REQUIRE(condition(true), text());
  REQUIRE(conditions == 1);
  REQUIRE(texts == 0);
  const auto refused = [&] { ZP_REQUIRE(condition(false), text(), ": ", 3, " and ", 4); };
  REQUIRE_THROWS_WITH(refused(), "both numbers: 3 and 4");
  REQUIRE(conditions == 2);
  REQUIRE(texts == 1);
}

TEST_CASE("ZP_REQUIRE is one statement") {
  bool otherwise = false;
  if (otherwise)
    ZP_REQUIRE(false, "never");
  else
    otherwise = true;
  REQUIRE(otherwise);
}
