// The list of kernels and the choice among them. The choice is made when weights are packed, once
// per process: the first kernel of the list that this processor runs, or the one that the
// environment variable ZP_KERNEL names.
//
// Every source file that multiplies compiles the kernels anew, which takes seconds (one that only
// quantizes the row loops). A program of many
// files may define ZP_SEPARATE_KERNELS for all of them and include <zeropoint/kernels/compiled.hpp>
// in exactly one, which then holds the kernels for all. The integers are the same.
#pragma once

#include <zeropoint/base/error.hpp>
#include <zeropoint/kernels/scalar.hpp>
#if !defined(ZP_SEPARATE_KERNELS)
#include <zeropoint/kernels/compiled.hpp>
#endif

#include <cstdlib>
#include <span>
#include <string>

namespace zeropoint::inline ZP_BASELINE {
namespace kernels {

#if defined(ZP_SEPARATE_KERNELS)
[[nodiscard]] std::span<const kernel* const> all() noexcept;  // compiled.hpp of another file
#endif

/// The kernel of that name. Throws `error` with the names there are, or when this processor lacks
/// the instructions.
[[nodiscard]] inline const kernel& named(std::string_view name) {
  for (const kernel* k : all()) {
    if (name != k->name) continue;
    ZP_REQUIRE(runs_here(*k), "kernel \"", name, "\" needs instructions this processor lacks");
    return *k;
  }
  std::string names;
  for (const kernel* k : all()) names += std::string(names.empty() ? "" : ", ") + k->name;
  fail("no kernel \"", name, "\"; there are: ", names);
}

/// The named kernel, or for a null or empty name the best that runs here.
[[nodiscard]] inline const kernel& choose(const char* name) {
  if (name != nullptr && *name != '\0') return named(name);
  for (const kernel* k : all()) {
    if (runs_here(*k)) return *k;
  }
  return scalar::table;
}

/// The kernel new weights are packed for: choose(ZP_KERNEL of the environment), asked once.
[[nodiscard]] inline const kernel& best() {
  static const kernel& chosen = choose(std::getenv("ZP_KERNEL"));
  return chosen;
}

}  // namespace kernels
}  // namespace zeropoint::inline ZP_BASELINE
