// ZP_BASELINE: the instructions that the command line lets the compiler use, as one token. Two files get
// the same token only where each may run the other's code. A level, then what goes beyond it, by name:
//
//   base_sse2                 -march=x86-64, the default        base_neon          -march=armv8-a
//   base_sse4, _avx2, _avx512 x86-64-v2, -v3, -v4               base_neon_v81      armv8.1-a, armv8.2-a
//   base_avx512_vnni_clmul    cascadelake                       base_neon_v81_dot  armv8.2-a+dotprod
//   base_avx512_icelake       v4 and all that Ice Lake added    base_only_avx2_fma -mavx2 -mfma
//
// Told apart: every feature with a macro whose instructions GCC or Clang may choose for plain C++ or
// for a builtin in our headers. Not told apart, because neither compiles to them: AES and SHA on x86,
// SM3, SM4, AMX, SME, random numbers, fences, cache control, keys, saving of registers (ADX, RDRND,
// CLWB, XSAVE, ...); and prefetchw, which every x86-64 processor executes or skips.
//
// Cannot be told apart: what has no macro (GCC 12 and Clang 14: +rcpc and +mops; Clang 14: armv8.4-a
// from armv8.3-a), other architectures, and flags that are no instructions (NDEBUG, -ffp-contract,
// sanitizers). Who must mix such files names them apart: -DZP_BASELINE_TAG=_rcpc is appended.
//
// tests/link/baselines.cmake holds every -march of the compiler against these lists.
#pragma once

// A feature's macro is 1 or not defined; ZP_IF_ is its piece of the token or nothing, ZP_JOIN_ up to
// eight pieces in one. All of it expands where ZP_BASELINE stands: under GCC, whose `#pragma GCC target`
// changes these macros, what is included within such a region gets the region's token.
#define ZP_DEFINED_1 ,
#define ZP_SECOND_(first, second, ...) second
#define ZP_CHOOSE_(...) ZP_SECOND_(__VA_ARGS__)
#define ZP_IF_EXPANDED_(macro, piece) ZP_CHOOSE_(ZP_DEFINED_##macro piece, , )
#define ZP_IF_(macro, piece) ZP_IF_EXPANDED_(macro, piece)
#define ZP_PASTE_(a, b, c, d, e, f, g, h, ...) a##b##c##d##e##f##g##h
#define ZP_PADDED_(...) ZP_PASTE_(__VA_ARGS__)
#define ZP_JOIN_(...) ZP_PADDED_(__VA_ARGS__, , , , , , , , )

#if !defined(ZP_BASELINE_TAG)
#define ZP_BASELINE_TAG
#endif

#if defined(__x86_64__)

#define ZP_SSE_                                                                            \
  ZP_JOIN_(ZP_IF_(__SSE3__, _sse3), ZP_IF_(__SSSE3__, _ssse3), ZP_IF_(__SSE4_1__, _sse41), \
           ZP_IF_(__SSE4_2__, _sse42), ZP_IF_(__POPCNT__, _popcnt))
#define ZP_SCALAR_V2_ \
  ZP_JOIN_(ZP_IF_(__GCC_HAVE_SYNC_COMPARE_AND_SWAP_16, _cx16), ZP_IF_(__LAHF_SAHF__, _sahf))
#define ZP_AVX_ ZP_JOIN_(ZP_IF_(__AVX__, _avx), ZP_IF_(__AVX2__, _avx2))
#define ZP_SCALAR_V3_                                                             \
  ZP_JOIN_(ZP_IF_(__FMA__, _fma), ZP_IF_(__F16C__, _f16c), ZP_IF_(__BMI__, _bmi), \
           ZP_IF_(__BMI2__, _bmi2), ZP_IF_(__LZCNT__, _lzcnt), ZP_IF_(__MOVBE__, _movbe))
#define ZP_AVX512_                                                                              \
  ZP_JOIN_(ZP_IF_(__AVX512F__, _avx512f), ZP_IF_(__AVX512CD__, _cd), ZP_IF_(__AVX512BW__, _bw), \
           ZP_IF_(__AVX512DQ__, _dq), ZP_IF_(__AVX512VL__, _vl))
#define ZP_ICELAKE_                                                        \
  ZP_JOIN_(ZP_IF_(__AVX512VNNI__, _vnni), ZP_IF_(__AVX512IFMA__, _ifma),   \
           ZP_IF_(__AVX512VBMI__, _vbmi), ZP_IF_(__AVX512VBMI2__, _vbmi2), \
           ZP_IF_(__AVX512BITALG__, _bitalg), ZP_IF_(__AVX512VPOPCNTDQ__, _vpopcntdq))
#define ZP_BITS_ \
  ZP_JOIN_(ZP_IF_(__PCLMUL__, _clmul), ZP_IF_(__VPCLMULQDQ__, _vclmul), ZP_IF_(__GFNI__, _gfni))
#define ZP_LATER_                                                                    \
  ZP_JOIN_(ZP_IF_(__AVXVNNI__, _avxvnni), ZP_IF_(__AVX512BF16__, _bf16),             \
           ZP_IF_(__AVX512FP16__, _fp16), ZP_IF_(__AVXIFMA__, _avxifma),             \
           ZP_IF_(__AVXNECONVERT__, _neconvert), ZP_IF_(__AVXVNNIINT8__, _vnniint8), \
           ZP_IF_(__AVXVNNIINT16__, _vnniint16), ZP_IF_(__APX_F__, _apx))
#define ZP_AVX10_                                                             \
  ZP_JOIN_(ZP_IF_(__AVX10_1__, _avx10), ZP_IF_(__AVX10_1_512__, _avx10z),     \
           ZP_IF_(__AVX10_2__, _avx10v2), ZP_IF_(__AVX10_2_512__, _avx10v2z), \
           ZP_IF_(__CMPCCXADD__, _cmpccxadd), ZP_IF_(__RAOINT__, _raoint))
#define ZP_OF_ONE_FAMILY_                                                             \
  ZP_JOIN_(ZP_IF_(__AVX512ER__, _er), ZP_IF_(__AVX512PF__, _pf),                      \
           ZP_IF_(__AVX5124FMAPS__, _4fmaps), ZP_IF_(__AVX5124VNNIW__, _4vnniw),      \
           ZP_IF_(__SSE4A__, _sse4a), ZP_IF_(__FMA4__, _fma4), ZP_IF_(__XOP__, _xop), \
           ZP_IF_(__TBM__, _tbm))

#define ZP_BEYOND_ICELAKE_ ZP_JOIN_(ZP_LATER_, ZP_AVX10_, ZP_OF_ONE_FAMILY_, ZP_BASELINE_TAG)
#define ZP_BEYOND_V4_ ZP_JOIN_(ZP_ICELAKE_, ZP_BITS_, ZP_BEYOND_ICELAKE_)
#define ZP_BEYOND_V3_ ZP_JOIN_(ZP_AVX512_, ZP_BEYOND_V4_)
#define ZP_BEYOND_V2_ ZP_JOIN_(ZP_AVX_, ZP_SCALAR_V3_, ZP_BEYOND_V3_)

// The levels of the x86-64 psABI, as far as the compiler chooses what is in them, from below.
#if !defined(__SSE3__) || !defined(__SSSE3__) || !defined(__SSE4_1__) || !defined(__SSE4_2__) || \
    !defined(__POPCNT__)
#define ZP_BASELINE \
  ZP_JOIN_(base_sse2, ZP_SSE_, ZP_IF_(__CRC32__, _crc32), ZP_SCALAR_V2_, ZP_BEYOND_V2_)
#elif !defined(__GCC_HAVE_SYNC_COMPARE_AND_SWAP_16) || !defined(__LAHF_SAHF__)
#if defined(__AVX__) && defined(__AVX2__)
#define ZP_BASELINE ZP_JOIN_(base_only_avx2, ZP_SCALAR_V2_, ZP_SCALAR_V3_, ZP_BEYOND_V3_)
#else
#define ZP_BASELINE ZP_JOIN_(base_only_sse42, ZP_SCALAR_V2_, ZP_BEYOND_V2_)
#endif
#elif !defined(__AVX__) || !defined(__AVX2__) || !defined(__FMA__) || !defined(__F16C__) || \
    !defined(__BMI__) || !defined(__BMI2__) || !defined(__LZCNT__) || !defined(__MOVBE__)
#define ZP_BASELINE ZP_JOIN_(base_sse4, ZP_BEYOND_V2_)
#elif !defined(__AVX512F__) || !defined(__AVX512CD__) || !defined(__AVX512BW__) || \
    !defined(__AVX512DQ__) || !defined(__AVX512VL__)
#define ZP_BASELINE ZP_JOIN_(base_avx2, ZP_BEYOND_V3_)
#elif !defined(__AVX512VNNI__) || !defined(__AVX512IFMA__) || !defined(__AVX512VBMI__) ||       \
    !defined(__AVX512VBMI2__) || !defined(__AVX512BITALG__) || !defined(__AVX512VPOPCNTDQ__) || \
    !defined(__PCLMUL__) || !defined(__VPCLMULQDQ__) || !defined(__GFNI__)
#define ZP_BASELINE ZP_JOIN_(base_avx512, ZP_BEYOND_V4_)
#else
#define ZP_BASELINE ZP_JOIN_(base_avx512_icelake, ZP_BEYOND_ICELAKE_)
#endif

#elif defined(__aarch64__)

#define ZP_V81_                                                                    \
  ZP_JOIN_(ZP_IF_(__ARM_FEATURE_CRC32, _crc), ZP_IF_(__ARM_FEATURE_ATOMICS, _lse), \
           ZP_IF_(__ARM_FEATURE_QRDMX, _rdm))
#define ZP_DOT_                                                                                  \
  ZP_JOIN_(ZP_IF_(__ARM_FEATURE_DOTPROD, _dot), ZP_IF_(__ARM_FEATURE_MATMUL_INT8, _i8mm),        \
           ZP_IF_(__ARM_FEATURE_FP16_SCALAR_ARITHMETIC, _fp16),                                  \
           ZP_IF_(__ARM_FEATURE_FP16_FML, _fml),                                                 \
           ZP_IF_(__ARM_FEATURE_BF16_SCALAR_ARITHMETIC, _bf16), ZP_IF_(__ARM_FEATURE_AES, _aes), \
           ZP_IF_(__ARM_FEATURE_SHA3, _sha3))
#define ZP_V83_                                                                                \
  ZP_JOIN_(ZP_IF_(__ARM_FEATURE_COMPLEX, _complex), ZP_IF_(__ARM_FEATURE_JCVT, _jcvt),         \
           ZP_IF_(__ARM_FEATURE_FRINT, _frint), ZP_RCPC_, ZP_IF_(__ARM_FEATURE_PAUTH, _pauth), \
           ZP_IF_(__ARM_FEATURE_LSE128, _lse128), ZP_IF_(__ARM_FEATURE_MOPS, _mops),           \
           ZP_IF_(__ARM_FEATURE_CSSC, _cssc))
#define ZP_SVE_                                             \
  ZP_JOIN_(ZP_IF_(__ARM_FEATURE_SVE, _sve), ZP_SVE_BITS_,   \
           ZP_IF_(__ARM_FEATURE_SVE_MATMUL_INT8, _svei8mm), \
           ZP_IF_(__ARM_FEATURE_SVE_MATMUL_FP32, _f32mm),   \
           ZP_IF_(__ARM_FEATURE_SVE_MATMUL_FP64, _f64mm),   \
           ZP_IF_(__ARM_FEATURE_SVE_BF16, _svebf16), ZP_IF_(__ARM_FEATURE_SVE_B16B16, _b16b16))
#define ZP_SVE2_                                                                               \
  ZP_JOIN_(ZP_IF_(__ARM_FEATURE_SVE2, _sve2), ZP_IF_(__ARM_FEATURE_SVE2p1, _sve2p1),           \
           ZP_IF_(__ARM_FEATURE_SVE2_AES, _sveaes), ZP_IF_(__ARM_FEATURE_SVE2_SHA3, _svesha3), \
           ZP_IF_(__ARM_FEATURE_SVE2_BITPERM, _bitperm))
#define ZP_V95_                                                                        \
  ZP_JOIN_(ZP_IF_(__ARM_FEATURE_FAMINMAX, _faminmax), ZP_IF_(__ARM_FEATURE_LUT, _lut), \
           ZP_IF_(__ARM_FEATURE_FP8, _fp8))

// These two are numbers: the version, and a length that is no longer found out at run time.
#if defined(__ARM_FEATURE_RCPC)
#define ZP_RCPC_ ZP_JOIN_(_rcpc, __ARM_FEATURE_RCPC)
#else
#define ZP_RCPC_
#endif
#if defined(__ARM_FEATURE_SVE_BITS) && __ARM_FEATURE_SVE_BITS != 0
#define ZP_SVE_BITS_ __ARM_FEATURE_SVE_BITS
#else
#define ZP_SVE_BITS_
#endif

#define ZP_BEYOND_V81_ ZP_JOIN_(ZP_DOT_, ZP_V83_, ZP_SVE_, ZP_SVE2_, ZP_V95_, ZP_BASELINE_TAG)
#if !defined(__ARM_FEATURE_CRC32) || !defined(__ARM_FEATURE_ATOMICS) || \
    !defined(__ARM_FEATURE_QRDMX)
#define ZP_BASELINE ZP_JOIN_(base_neon, ZP_V81_, ZP_BEYOND_V81_)
#else
#define ZP_BASELINE ZP_JOIN_(base_neon_v81, ZP_BEYOND_V81_)
#endif

#else
#define ZP_BASELINE ZP_JOIN_(base_generic, ZP_BASELINE_TAG)
#endif
