// The kernels of this build, compiled into the file that includes this: every one through
// registry.hpp, or exactly one of a program that defines ZP_SEPARATE_KERNELS.
#pragma once

#include <zeropoint/kernels/avx2.hpp>
#include <zeropoint/kernels/avx512_vnni.hpp>
#include <zeropoint/kernels/avx_vnni.hpp>
#include <zeropoint/kernels/compiled_rows.hpp>
#include <zeropoint/kernels/neon_dot.hpp>
#include <zeropoint/kernels/neon_i8mm.hpp>
#include <zeropoint/kernels/scalar.hpp>
#include <zeropoint/kernels/sse41.hpp>

#include <span>

#if defined(ZP_SEPARATE_KERNELS)
#define ZP_INLINE_UNLESS_SEPARATE
#else
#define ZP_INLINE_UNLESS_SEPARATE inline
#endif

namespace zeropoint::inline ZP_BASELINE {
namespace kernels {

inline constexpr const kernel* compiled[] = {
#if ZP_X86
    &avx512_vnni::table, &avx_vnni::table, &avx2::table, &sse41::table,
#endif
#if ZP_HAS_NEON_DOT && ZP_HAS_NEON_I8MM
    &neon_i8mm::table,
#endif
#if ZP_HAS_NEON_DOT
    &neon_dot::table,
#endif
    &scalar::table,
};

/// Every kernel in this build, best first, whether or not this machine runs it; the last is scalar.
[[nodiscard]] ZP_INLINE_UNLESS_SEPARATE std::span<const kernel* const> all() noexcept {
  return compiled;
}

}  // namespace kernels
}  // namespace zeropoint::inline ZP_BASELINE

#undef ZP_INLINE_UNLESS_SEPARATE
