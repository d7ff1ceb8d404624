// The second contract between driver and instruction set: int8 rows times one panel of 4-bit weights
// in groups, each group of each column with a scale (and zero point) of its own:
//
//   acc(i, j, g) = sum over k of group g of a(i, k) * (w(j, k) - zero(j, g))       exact, int32
//   total(i, j)  = for ascending g, from 0:  total = fma(float(acc), scale(j, g), total)
//   y(i, j)      = fma(total(i, j), row_scale[i], bias[j])
//
// Every step is defined down to the bit, so that all kernels agree. int4_scalar.hpp is this as code.
//
// Weights are kept as nibbles 0 .. 15 (a signed code + 8), activations signed: the unsigned operand
// of x86's byte products is the weight here, and no activation needs a shift. `zero` is 8 throughout
// for symmetric codes. One panel of nr columns is one stream of bytes, group after group:
//
//   scales   nr float16 or nr float
//   zeros    nr bytes 0 .. 15; absent when all are 8
//   nibbles  per 8 consecutive k, nr times 4 bytes: byte b of a column holds k = b in its low and
//            k = b + 4 in its high half, so that one mask and one shift give two dot products
//
// 4.5 bits a weight with groups of 32 and float16 scales. Columns that N lacks are zeros throughout.
#pragma once

#include <zeropoint/base/platform.hpp>

namespace zeropoint::inline ZP_BASELINE {
namespace kernels {

/// Groups are a multiple of this many k: the smallest group in use, and whole cache lines of nibbles.
inline constexpr std::size_t int4_group_unit = 32;

/// m rows times one panel. bias has nr readable elements, of which n are live. Nothing is read
/// outside the arrays, nothing is written outside m x n outputs; no alignment is assumed.
struct int4_job {
  std::size_t m = 0;               ///< rows, >= 1
  std::size_t n = 0;               ///< live columns, 1 .. nr
  std::size_t groups = 0;          ///< along k, may be 0
  std::size_t group = 0;           ///< k per group, a multiple of int4_group_unit
  const std::int8_t* a = nullptr;  ///< row i starts at a + i * a_stride
  std::size_t a_stride = 0;
  const std::int32_t* minus_sums = nullptr;  ///< [m][groups]: minus the sum of a over each group
  const std::uint8_t* b = nullptr;           ///< the panel
  const std::uint8_t* next = nullptr;        ///< as in panel_job (kernel.hpp)
  float* y = nullptr;
  std::size_t stride = 0;  ///< of y, in elements
  const float* row_scale = nullptr;
  std::size_t row_scale_step = 0;  ///< 1: one per row, 0: one for all
  const float* bias = nullptr;
};
using int4_fn = void (*)(const int4_job&);

/// How the groups of a panel are written.
struct int4_layout {
  bool half_scales = false;  ///< float16, otherwise float
  bool zeros = false;        ///< a zero point per column and group, otherwise 8

  /// Bytes of one group of nr columns.
  [[nodiscard]] constexpr std::size_t group_bytes(std::size_t nr,
                                                  std::size_t group) const noexcept {
    return nr * (half_scales ? 2 : 4) + (zeros ? nr : 0) + nr * group / 2;
  }
};

/// What a kernel offers for 4-bit weights: its tile and a function for each layout.
struct int4_format {
  std::size_t mr = 0, nr = 0;
  int4_fn multiply[2][2] = {};  ///< [half_scales][zeros]

  [[nodiscard]] constexpr int4_fn of(int4_layout l) const noexcept {
    return multiply[l.half_scales ? 1 : 0][l.zeros ? 1 : 0];
  }
};

}  // namespace kernels
}  // namespace zeropoint::inline ZP_BASELINE
