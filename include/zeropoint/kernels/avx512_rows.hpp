// What the AVX-512 tiles of int8 and int4 weights share: the type of their sums, the rows of a tile
// and the mask of live columns.
#pragma once

#include <zeropoint/base/platform.hpp>

#if ZP_X86
#include <immintrin.h>

#define ZP_ISA ZP_TARGET("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,prfchw")

namespace zeropoint::inline ZP_BASELINE {
namespace kernels::avx512_vnni {

/// 16 outputs; unsigned: sums may wrap. Of an int vector type and only cast to __m512i at the
/// intrinsic: g++ 12 spills sums of type __m512i (tests/structure/hot_loops looks for it).
using lanes = unsigned __attribute__((vector_size(64)));

/// The rows of one tile as two bases and two strides: four registers reach eight rows.
struct row_bases {
  const std::uint8_t *low, *high;
  std::size_t stride, thrice;

  ZP_ISA ZP_ALWAYS_INLINE row_bases(const void* a, std::size_t bytes)
      : low(static_cast<const std::uint8_t*>(a)),
        high(low + 4 * bytes),
        stride(bytes),
        thrice(3 * bytes) {
    __asm__("" : "+r"(high), "+r"(thrice));  // else the compiler undoes it into eight pointers
  }
  template <std::size_t Row>
  ZP_ISA ZP_ALWAYS_INLINE const std::uint8_t* row() const {
    const std::uint8_t* base = Row < 4 ? low : high;
    return Row % 4 == 3 ? base + thrice : base + Row % 4 * stride;
  }
  ZP_ISA ZP_ALWAYS_INLINE void advance(std::size_t k) { low += k, high += k; }
};

/// The lanes of vector v that are live columns of n.
ZP_ISA ZP_ALWAYS_INLINE __mmask16 live_lanes(std::size_t n, std::size_t v) {
  return n >= 16 * v + 16 ? __mmask16{0xffff}
         : n <= 16 * v    ? __mmask16{0}
                          : static_cast<__mmask16>((1u << (n - 16 * v)) - 1);
}

}  // namespace kernels::avx512_vnni
}  // namespace zeropoint::inline ZP_BASELINE
#undef ZP_ISA
#endif  // ZP_X86
