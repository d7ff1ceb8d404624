// What a unit of the two-march program says about itself. Only plain types cross the border: the
// library's own types have different names on its two sides.
#pragma once

#include <cstdint>

struct product_report {
  const char* baseline;    ///< zeropoint::baseline_name as this unit sees it
  const void* function;    ///< address of an inline function of the library
  std::uint64_t integers;  ///< hash of int32 products, over all kernels that run here
  std::uint64_t floats;    ///< hash of the bits of float products, likewise
};

namespace product_units {
product_report plain();
product_report wide();
}  // namespace product_units
