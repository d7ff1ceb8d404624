// What this processor can run, asked once. A bit is set only when the instruction exists *and* the
// operating system saves the registers it uses (CPUID, then XGETBV: a kernel that does not save zmm
// state kills the process).
#pragma once

#include <zeropoint/base/platform.hpp>

#include <cstddef>
#include <cstring>

#if ZP_X86
#include <cpuid.h>
#elif ZP_AARCH64 && defined(__linux__)
#include <sys/auxv.h>
#endif

namespace zeropoint::inline ZP_BASELINE {

/// Instruction sets the kernels distinguish; a set of them is their bitwise or. 0 is the baseline.
enum class isa : std::uint32_t {
  baseline = 0,
  avx2_fma = 1u << 0,     ///< AVX2, FMA and F16C
  avx_vnni = 1u << 1,     ///< ymm vpdpbusd, VEX encoding
  avx512 = 1u << 2,       ///< F, BW, DQ, VL
  avx512_vnni = 1u << 3,  ///< zmm vpdpbusd
  neon_dot = 1u << 4,     ///< sdot
  neon_i8mm = 1u << 5,    ///< smmla, usdot
  sse41 = 1u << 6,
};
[[nodiscard]] constexpr isa operator|(isa a, isa b) noexcept {
  return static_cast<isa>(static_cast<std::uint32_t>(a) | static_cast<std::uint32_t>(b));
}
/// True when every bit of `needed` is in `have`.
[[nodiscard]] constexpr bool contains(isa have, isa needed) noexcept {
  return (static_cast<std::uint32_t>(needed) & ~static_cast<std::uint32_t>(have)) == 0;
}

/// Asks the processor and the operating system; prefer cpu_features(), which remembers.
[[nodiscard]] inline isa detect_cpu() noexcept {
  isa found = isa::baseline;
#if ZP_X86
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0) return found;
  if ((c >> 19 & 1u) != 0) found = found | isa::sse41;  // every system saves xmm
  const bool osxsave = (c >> 27 & 1u) != 0, avx = (c >> 28 & 1u) != 0;
  const bool fma = (c >> 12 & 1u) != 0, f16c = (c >> 29 & 1u) != 0;
  if (!osxsave || !avx) return found;
  unsigned xcr0 = 0, high = 0;
  __asm__ volatile("xgetbv" : "=a"(xcr0), "=d"(high) : "c"(0));
  const bool ymm_saved = (xcr0 & 0x6u) == 0x6u, zmm_saved = (xcr0 & 0xe6u) == 0xe6u;
  if (!ymm_saved || __get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return found;
  const unsigned subleaves = a;
  const bool avx2 = (b >> 5 & 1u) != 0;
  if (avx2 && fma && f16c) found = found | isa::avx2_fma;
  const bool f = (b >> 16 & 1u) != 0, dq = (b >> 17 & 1u) != 0, bw = (b >> 30 & 1u) != 0,
             vl = (b >> 31 & 1u) != 0, vnni512 = (c >> 11 & 1u) != 0;
  if (zmm_saved && f && dq && bw && vl) {
    found = found | isa::avx512;
    if (vnni512) found = found | isa::avx512_vnni;
  }
  if (avx2 && subleaves >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 &&
      (a >> 4 & 1u) != 0) {
    found = found | isa::avx_vnni;
  }
#elif ZP_AARCH64 && defined(__linux__)
  if ((getauxval(AT_HWCAP) >> 20 & 1u) != 0) found = found | isa::neon_dot;    // HWCAP_ASIMDDP
  if ((getauxval(AT_HWCAP2) >> 13 & 1u) != 0) found = found | isa::neon_i8mm;  // HWCAP2_I8MM
#endif
  return found;
}

[[nodiscard]] inline isa cpu_features() noexcept {
  static const isa features = detect_cpu();
  return features;
}

/// Whether the processor is one of AMD's (or of Hygon's, which descend from them). Asked only where
/// the same instructions want another order of memory accesses, never for what may run.
[[nodiscard]] inline bool made_by_amd() noexcept {
#if ZP_X86
  static const bool answer = [] {
    unsigned a = 0, name[3] = {};
    if (__get_cpuid(0, &a, &name[0], &name[2], &name[1]) == 0) return false;
    return std::memcmp(name, "AuthenticAMD", 12) == 0 || std::memcmp(name, "HygonGenuine", 12) == 0;
  }();
  return answer;
#else
  return false;
#endif
}

/// Bytes of the largest cache that this core reaches; 32 MB where the processor does not say. What
/// exceeds it is not there when it is next read. (Not sysconf: glibc 2.36 multiplies AMD's.)
[[nodiscard]] inline std::size_t last_level_cache() noexcept {
  static const std::size_t answer = [] {
    std::size_t largest = 0;
#if ZP_X86
    const unsigned leaf = made_by_amd() ? 0x8000001d : 4;
    unsigned a = 0, b = 0, c = 0, d = 0;
    for (unsigned i = 0; i < 8 && __get_cpuid_count(leaf, i, &a, &b, &c, &d) != 0; ++i) {
      if ((a & 31u) == 0) break;  // no more caches
      const std::size_t ways = (b >> 22) + 1, parts = (b >> 12 & 0x3ffu) + 1,
                        line = (b & 0xfffu) + 1, sets = std::size_t{c} + 1;
      const std::size_t bytes = ways * parts * line * sets;
      if (bytes > largest) largest = bytes;
    }
#endif
    return largest == 0 ? std::size_t{32} << 20 : largest;
  }();
  return answer;
}

}  // namespace zeropoint::inline ZP_BASELINE
