// The page of AVX-VNNI (kernels/ymm_vnni_tile.hpp) compiled for the same instruction in the encoding
// of AVX-512: the kernel's own code where the processor has no AVX-VNNI.
#pragma once

#include <zeropoint/kernels/avx_vnni.hpp>

#if ZP_X86
#define ZP_ISA ZP_TARGET("avx2,fma,avx512f,avx512vl,avx512vnni")
#define ZP_DPBUSD _mm256_dpbusd_epi32

namespace zeropoint::inline ZP_BASELINE {
namespace kernels::ymm_evex {

#include <zeropoint/kernels/ymm_vnni_tile.hpp>

inline constexpr kernel table{.name = "avx_vnni (EVEX)",
                              .needs = isa::avx2_fma | isa::avx512 | isa::avx512_vnni,
                              .a = avx_vnni::table.a,
                              .k_group = avx_vnni::table.k_group,
                              .prepare = &prepare,
                              .formats = formats,
                              .format_count = avx_vnni::table.format_count,
                              .int4 = avx_vnni::table.int4};

}  // namespace kernels::ymm_evex
}  // namespace zeropoint::inline ZP_BASELINE
#undef ZP_ISA
#undef ZP_DPBUSD
#endif  // ZP_X86
