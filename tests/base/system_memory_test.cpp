// Which memory comes from where, and goes back there.
#include <zeropoint/base/system_memory.hpp>

#include <algorithm>

#include "support/test.hpp"

namespace zp = zeropoint;

TEST_CASE("allocate_zeroed: sizes decide where memory comes from") {
  using zp::detail::origin;
  constexpr std::size_t kb = 1024;
  const auto expected = [](std::size_t bytes) {
#if ZP_MAPS_MEMORY
    return bytes >= 1536 * kb ? origin::mapping : bytes >= 64 * kb ? origin::shared : origin::heap;
#else
    return bytes == 0 ? origin::shared : origin::heap;
#endif
  };
  for (const std::size_t bytes :
       {std::size_t{1}, 64 * kb - 1, 64 * kb, 1536 * kb - 1, 1536 * kb, 5000 * kb}) {
    for (int round = 0; round < 2; ++round) {
      INFO(bytes << " bytes");
      const zp::detail::memory m = zp::detail::allocate_zeroed(bytes);
      auto* const data = static_cast<char*>(m.data);
      CHECK((m.from == expected(bytes)));
      CHECK(reinterpret_cast<std::uintptr_t>(data) % 64 == 0);
      CHECK(std::count(data, data + bytes, 0) == static_cast<std::ptrdiff_t>(bytes));
      std::fill(data, data + bytes, char{1});
      zp::detail::free_memory(m, bytes);
    }
  }
  zp::trim_memory();
}
