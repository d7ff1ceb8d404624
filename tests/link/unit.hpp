// What each translation unit of the link test reports; only built-in types cross between units.
#pragma once

#include <cstddef>
#include <cstdint>

namespace link_unit {

constexpr std::size_t answers = 64;

struct report {
  const char* baseline;
  bool has_eigen;
  std::int32_t integers[answers];
  float reals[answers];
};

namespace plain {
report answer();
}
namespace without_eigen {
report answer();
}
namespace newer {
report answer();
}

}  // namespace link_unit
