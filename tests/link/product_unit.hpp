// What a unit of the two-march program says about itself. Only plain types cross the border: the
// library's own types have different names on its two sides.
#pragma once

#include <cstdint>

struct product_report {
  const char* baseline;       ///< zeropoint::baseline_name as this unit sees it
  const void* function;       ///< address of an inline function of the library
  std::uint64_t integers;     ///< hash of int32 products, over all kernels that run here
  std::uint64_t floats;       ///< hash of the bits of float products, likewise
  std::uint64_t activations;  ///< with ReLU, GELU and SiLU behind them
  std::uint64_t codes;        ///< products to int8 and uint8 codes, and their counts
  std::uint64_t int4;         ///< products of 4-bit weights, their scales float16 and float
  std::uint64_t weight_only;  ///< one row and several through weight_only_linear
  std::uint64_t rows;         ///< codes, values and damage of a row
};

namespace product_units {
product_report plain();
product_report wide();
}  // namespace product_units
