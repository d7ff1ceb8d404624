// The list of kernels and the choice among them. The choice is made when weights are packed, once
// per process: the first kernel of the list that this processor runs, or the one that the
// environment variable ZP_KERNEL names.
#pragma once

#include <zeropoint/base/error.hpp>
#include <zeropoint/kernels/avx2.hpp>
#include <zeropoint/kernels/avx512_vnni.hpp>
#include <zeropoint/kernels/neon_dot.hpp>
#include <zeropoint/kernels/scalar.hpp>

#include <cstdlib>
#include <span>
#include <string>

namespace zeropoint::inline ZP_BASELINE {
namespace kernels {

inline constexpr const kernel* compiled[] = {
#if ZP_X86
    &avx512_vnni::table,
    &avx2::table,
#endif
#if ZP_HAS_NEON_DOT
    &neon_dot::table,
#endif
    &scalar::table,
};

/// Every kernel in this build, best first, whether or not this machine runs it.
[[nodiscard]] inline std::span<const kernel* const> all() noexcept {
  return compiled;
}

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
