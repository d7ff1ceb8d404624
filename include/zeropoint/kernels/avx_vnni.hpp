// AVX-VNNI: vpdpbusd of 256-bit registers in the older encoding, for processors with byte products
// and without AVX-512 (Alder Lake and its successors, Sierra Forest). Exact, like avx512_vnni.hpp; the
// tile is in ymm_vnni_tile.hpp. 4-bit weights go by the functions of AVX2, which those all have.
#pragma once

#include <zeropoint/kernels/int4_avx2.hpp>
#include <zeropoint/kernels/kernel.hpp>
#include <zeropoint/kernels/ymm_sums.hpp>

#if ZP_X86
#include <immintrin.h>

#include <cstring>
#include <utility>

#define ZP_ISA ZP_TARGET("avx2,fma,avxvnni")
#define ZP_DPBUSD _mm256_dpbusd_avx_epi32

namespace zeropoint::inline ZP_BASELINE {
namespace kernels::avx_vnni {

#include <zeropoint/kernels/ymm_vnni_tile.hpp>

inline constexpr kernel table{.name = "avx_vnni",
                              .needs = isa::avx2_fma | isa::avx_vnni,
                              .a = operand::u8,
                              .k_group = 4,
                              .prepare = &prepare,
                              .formats = formats,
                              .format_count = 1,
                              .int4 = &avx2::int4};

}  // namespace kernels::avx_vnni
}  // namespace zeropoint::inline ZP_BASELINE
#undef ZP_ISA
#undef ZP_DPBUSD
#endif  // ZP_X86
