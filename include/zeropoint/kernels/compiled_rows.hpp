// The row loops of this build, compiled into the file that includes this: through row_registry.hpp
// every one, or with ZP_SEPARATE_KERNELS the one that includes compiled.hpp.
#pragma once

#include <zeropoint/kernels/rows_avx2.hpp>
#include <zeropoint/kernels/rows_avx512.hpp>

#include <span>

namespace zeropoint::inline ZP_BASELINE {
namespace kernels {

#if ZP_X86
inline constexpr const row_loops* compiled_rows[] = {&rows_avx512::table, &rows_avx2::table};
#else
inline constexpr std::span<const row_loops* const> compiled_rows;  // the baseline is NEON
#endif

/// All row loops of this build, best first, whether or not this machine runs them.
#if defined(ZP_SEPARATE_KERNELS)
[[nodiscard]] std::span<const row_loops* const> all_rows() noexcept {
  return compiled_rows;
}
#else
[[nodiscard]] inline std::span<const row_loops* const> all_rows() noexcept {
  return compiled_rows;
}
#endif

}  // namespace kernels
}  // namespace zeropoint::inline ZP_BASELINE
