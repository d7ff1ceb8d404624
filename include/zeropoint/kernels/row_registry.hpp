// The row loops for this processor, chosen as registry.hpp chooses kernels: by ZP_KERNEL, once per
// process. With ZP_SEPARATE_KERNELS they are compiled with the kernels (compiled.hpp).
#pragma once

#include <zeropoint/kernels/rows.hpp>
#if !defined(ZP_SEPARATE_KERNELS)
#include <zeropoint/kernels/compiled_rows.hpp>
#endif

#include <cstdlib>
#include <span>

namespace zeropoint::inline ZP_BASELINE {
namespace kernels {

#if defined(ZP_SEPARATE_KERNELS)
[[nodiscard]] std::span<const row_loops* const>
all_rows() noexcept;  // compiled.hpp of another file
#endif

/// The loops for this process, or null where the baseline loops are to be used.
[[nodiscard]] inline const row_loops* rows() noexcept {
  static const row_loops* const chosen = choose_rows(all_rows(), std::getenv("ZP_KERNEL"));
  return chosen;
}

}  // namespace kernels
}  // namespace zeropoint::inline ZP_BASELINE
