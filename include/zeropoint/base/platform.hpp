// With baseline.hpp the only file with compiler and architecture ladders. Everything else uses the
// macros below.
//
// ZP_BASELINE (baseline.hpp) names the instruction set of the command line. The whole library lives in
// `namespace zeropoint::inline ZP_BASELINE`: translation units whose -march lets the compiler choose
// different instructions share no function and no type of ours, those built alike share both
// (docs/dispatch.md, "one definition", also for what this does not promise).
#pragma once

#include <zeropoint/base/baseline.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>

static_assert(
    std::endian::native == std::endian::little,
    "zeropoint packs integers in little-endian order; a big-endian port needs byte swaps");

#if defined(__FAST_MATH__) && !defined(ZP_ALLOW_FAST_MATH)
#error \
    "zeropoint promises the same bits everywhere, which -ffast-math breaks (NaN, ties, order of \
operations). Build without it, or define ZP_ALLOW_FAST_MATH and give up that promise."
#endif

#if !defined(__GNUC__)
#error "zeropoint needs GCC 12+ or Clang 14+ (function target attributes)"
#endif

// Architecture.
#if defined(__x86_64__)
#define ZP_X86 1
#else
#define ZP_X86 0
#endif
#if defined(__aarch64__)
#define ZP_AARCH64 1
#else
#define ZP_AARCH64 0
#endif

// clang 14's arm_neon.h hides vdotq_s32 and vmmlaq_s32 unless the command line enables them.
#if ZP_AARCH64 && (!defined(__clang__) || __clang_major__ >= 17 || defined(__ARM_FEATURE_DOTPROD))
#define ZP_HAS_NEON_DOT 1
#else
#define ZP_HAS_NEON_DOT 0
#endif
#if ZP_AARCH64 && \
    (!defined(__clang__) || __clang_major__ >= 17 || defined(__ARM_FEATURE_MATMUL_INT8))
#define ZP_HAS_NEON_I8MM 1
#else
#define ZP_HAS_NEON_I8MM 0
#endif

// A function compiled for more than the command line asks for. Traps: docs/dispatch.md.
#define ZP_TARGET(features) __attribute__((target(features)))
#define ZP_ALWAYS_INLINE __attribute__((always_inline)) inline
#define ZP_NOINLINE __attribute__((noinline))

// GCC contracts a*b + c into an fma wherever the target has one, even across statements and even
// for intrinsics. An empty asm between the two keeps them apart and costs no instruction.
#if ZP_X86
#define ZP_ROUNDED(v) __asm__("" : "+v"(v))
#elif ZP_AARCH64
#define ZP_ROUNDED(v) __asm__("" : "+w"(v))
#else
#define ZP_ROUNDED(v) __asm__("" : "+m"(v))
#endif

// Around code that uses AVX-512 intrinsics: GCC 12 calls their deliberately undefined operands
// uninitialized, even in a user's -Wall build.
#if defined(__clang__)
#define ZP_ALLOW_UNDEFINED_OPERANDS
#define ZP_END_UNDEFINED_OPERANDS
#else
#define ZP_ALLOW_UNDEFINED_OPERANDS                                                    \
  _Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wuninitialized\"") \
      _Pragma("GCC diagnostic ignored \"-Wmaybe-uninitialized\"")
#define ZP_END_UNDEFINED_OPERANDS _Pragma("GCC diagnostic pop")
#endif

#define ZP_STRINGIFY_(x) #x
#define ZP_STRINGIFY(x) ZP_STRINGIFY_(x)

namespace zeropoint::inline ZP_BASELINE {

/// The instruction set this translation unit was compiled for, e.g. "base_sse2": printed by every
/// benchmark, because a target attribute adds to the command line and does not replace it. For people:
/// its wording may change.
inline constexpr const char* baseline_name = ZP_STRINGIFY(ZP_BASELINE);

}  // namespace zeropoint::inline ZP_BASELINE
