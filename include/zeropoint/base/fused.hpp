// a * b + c of four floats, rounded once, whatever the processor: what it has, or the same bits from
// doubles. The product of two floats is exact in double; their sum with c is not, and rounded twice
// it would be wrong where the first rounding ends on a tie of the second. Rounded to odd it cannot
// (Boldo and Melquiond 2008; 53 bits >= 24 + 2): an inexact sum whose last bit is 0 moves one step
// towards the exact one, and keeps on which side of every tie that is.
#pragma once

#include <zeropoint/base/platform.hpp>

#include <cstring>

#if ZP_X86
#include <immintrin.h>
#elif ZP_AARCH64
#include <arm_neon.h>
#endif

namespace zeropoint::inline ZP_BASELINE {

typedef float float_quad __attribute__((vector_size(16)));

/// The one without fma. e is what the sum lost (Knuth's TwoSum); NaN and infinities have a NaN there,
/// which compares as neither. Contraction changes nothing: products are exact.
ZP_ALWAYS_INLINE float_quad fused_in_double(float_quad a, float_quad b, float_quad c) noexcept {
  typedef double doubles __attribute__((vector_size(32)));
  typedef std::int64_t integers __attribute__((vector_size(32)));
  const doubles p = __builtin_convertvector(a, doubles) * __builtin_convertvector(b, doubles);
  const doubles t = __builtin_convertvector(c, doubles);
  doubles s = p + t;
  const doubles u = s - p, e = (p - (s - u)) + (t - u);
  const integers below = e < doubles{}, inexact = (e > doubles{}) | below;
  const integers step = (below ^ (s < doubles{})) | 1;  // of |s|: 1, or -1 where signs differ
  integers bits;
  std::memcpy(&bits, &s, sizeof s);
  bits += inexact & ((bits & 1) - 1) & step;
  std::memcpy(&s, &bits, sizeof s);
  return __builtin_convertvector(s, float_quad);
}

/// a * b + c, rounded once.
ZP_ALWAYS_INLINE float_quad fused(float_quad a, float_quad b, float_quad c) noexcept {
#if ZP_X86 && defined(__FMA__)
  return _mm_fmadd_ps(a, b, c);
#elif ZP_AARCH64
  return vfmaq_f32(c, a, b);
#else
  return fused_in_double(a, b, c);
#endif
}

}  // namespace zeropoint::inline ZP_BASELINE
