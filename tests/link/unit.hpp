// What the two units of link_test report; only built-in types cross between them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace link_unit {

constexpr std::size_t answers = 1000;

struct report {
  bool has_eigen;
  std::int8_t codes[answers];
  float scales[answers];
};

namespace plain {
report answer();
}
namespace without_eigen {
report answer();
}

}  // namespace link_unit
