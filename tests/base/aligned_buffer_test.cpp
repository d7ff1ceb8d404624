#include <zeropoint/base/aligned_buffer.hpp>

#include "support/test.hpp"

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
