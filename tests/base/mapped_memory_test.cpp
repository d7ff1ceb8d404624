#include <zeropoint/base/mapped_memory.hpp>

#include "support/test.hpp"

namespace zp = zeropoint;

TEST_CASE("mapped sizes are whole huge pages, or whole pages of 64 KB behind them") {
  constexpr std::size_t page = zp::detail::huge_page;
  using zp::detail::mapped_size;
  STATIC_REQUIRE(mapped_size(page / 4 * 3) == page);
  STATIC_REQUIRE(mapped_size(page + 1) == page + (1u << 16));
  STATIC_REQUIRE(mapped_size(page + page / 2) == page + page / 2);
  STATIC_REQUIRE(mapped_size(2 * page - 1) == 2 * page);
  using zp::detail::huge_pages_within;
  STATIC_REQUIRE(huge_pages_within(0) == 0);
  STATIC_REQUIRE(huge_pages_within(page / 4 * 3 - 1) == 0);
  STATIC_REQUIRE(huge_pages_within(page / 4 * 3) == 1);
  STATIC_REQUIRE(huge_pages_within(page + page / 2) == 1);
  STATIC_REQUIRE(huge_pages_within(page + page / 4 * 3) == 2);
}
