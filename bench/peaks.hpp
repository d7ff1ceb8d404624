// What this core can do at most, measured where and when it is compared with: register-only loops of
// the multiply-add that each kernel uses, a fused multiply-add loop for float, and a streaming read.
// A peak that is too low flatters everything measured against it: the loops below hold 24 (12 with
// 16 registers) independent sums and touch no memory; read their assembly before believing them.
#pragma once

#include <zeropoint/base/cpu.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <string_view>
#include <vector>

#if ZP_X86
#include <immintrin.h>
#endif

namespace bench {

/// Seconds this thread has run, not counting the time other programs took the core.
inline double thread_seconds() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}
inline double wall_seconds() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

inline double median(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

#if ZP_X86
// The operation is pinned in place by an empty asm that claims to read and write its register; it
// emits no instruction.
#define ZP_BENCH_PEAK(name, features, vector, count, init, body)                                 \
  __attribute__((target(features), noinline)) inline void name(std::size_t rounds) {             \
    vector sum[count];                                                                           \
    vector x = init;                                                                             \
    __asm__ volatile("" : "+v"(x));                                                              \
    _Pragma("GCC unroll 24") for (int i = 0; i < count; ++i) sum[i] = x;                         \
    for (std::size_t r = 0; r < rounds; ++r) {                                                   \
      _Pragma("GCC unroll 24") for (int i = 0; i < count; ++i) {                                 \
        body;                                                                                    \
        __asm__ volatile("" : "+v"(sum[i]));                                                     \
      }                                                                                          \
    }                                                                                            \
    _Pragma("GCC unroll 24") for (int i = 0; i < count; ++i) __asm__ volatile("" ::"v"(sum[i])); \
  }

ZP_BENCH_PEAK(dot_zmm, "avx512f,avx512bw,avx512vl,avx512vnni", __m512i, 24, _mm512_set1_epi8(1),
              sum[i] = _mm512_dpbusd_epi32(sum[i], x, x))
ZP_BENCH_PEAK(dot_ymm, "avx2,fma,avxvnni", __m256i, 12, _mm256_set1_epi8(1),
              sum[i] = _mm256_dpbusd_avx_epi32(sum[i], x, x))
ZP_BENCH_PEAK(dot_ymm_evex, "avx512f,avx512bw,avx512vl,avx512vnni", __m256i, 24,
              _mm256_set1_epi8(1), sum[i] = _mm256_dpbusd_epi32(sum[i], x, x))
ZP_BENCH_PEAK(madd_ymm, "avx2,fma", __m256i, 12, _mm256_set1_epi8(1),
              sum[i] = _mm256_add_epi32(sum[i], _mm256_madd_epi16(x, sum[i])))
// Instructions of two operands, of which the product overwrites a copy of x. Left to themselves, GCC 12
// copies each sum once more and Clang 14 keeps nine of them on the stack.
ZP_BENCH_PEAK(madd_xmm, "sse4.1", __m128i, 12, _mm_set1_epi8(1), __m128i products;
              __asm__ volatile("movdqa %2, %1\n\tpmaddwd %0, %1\n\tpaddd %1, %0"
                               : "+x"(sum[i]), "=&x"(products)
                               : "x"(x)))
ZP_BENCH_PEAK(fma_zmm, "avx512f", __m512, 24, _mm512_set1_ps(0.5f),
              sum[i] = _mm512_fmadd_ps(sum[i], x, x))
ZP_BENCH_PEAK(fma_ymm, "avx2,fma", __m256, 12, _mm256_set1_ps(0.5f),
              sum[i] = _mm256_fmadd_ps(sum[i], x, x))
#undef ZP_BENCH_PEAK

// The loads stand in the order of their addresses, four or eight in a loop that is not unrolled: each
// sum is pinned as above, or GCC 12 adds in another order, and each load takes steps of 256 bytes,
// which a prefetcher that goes by the load's address can follow (Zen 5 from its second-level cache: 258
// GB/s, 131 with steps of 4 KB). Of one stream and of two, 4 KB apart: who is faster depends on
// processor and footprint. Cascade Lake from memory: 11.0 GB/s through one, 12.3 through two; Zen 5 from
// its second-level cache: 258 through one, 136 through two.
#define ZP_BENCH_READ(name, streams, features, vector, merge, load)                               \
  __attribute__((target(features), noinline)) inline void name(const std::byte* from,             \
                                                               std::size_t bytes) {               \
    constexpr std::size_t part = 4096, wide = sizeof(vector);                                     \
    constexpr int count = 4 * streams;                                                            \
    vector sum[count];                                                                            \
    _Pragma("GCC unroll 8") for (int j = 0; j < count; ++j) sum[j] = vector{};                    \
    for (; bytes >= streams * part; bytes -= streams * part, from += streams * part) {            \
      _Pragma("GCC unroll 1") for (std::size_t i = 0; i < part; i += 4 * wide) {                  \
        _Pragma("GCC unroll 8") for (int j = 0; j < count; ++j) {                                 \
          const auto at = static_cast<std::size_t>(j);                                            \
          sum[j] = merge(sum[j], load(from + i + at / 4 * part + at % 4 * wide));                 \
          __asm__ volatile("" : "+v"(sum[j]));                                                    \
        }                                                                                         \
      }                                                                                           \
    }                                                                                             \
    for (std::size_t i = 0; i + wide <= bytes; i += wide) sum[0] = merge(sum[0], load(from + i)); \
    _Pragma("GCC unroll 8") for (int j = 0; j < count; ++j) __asm__ volatile("" ::"v"(sum[j]));   \
  }
#define ZP_BENCH_LOAD_XMM(p) _mm_loadu_si128(reinterpret_cast<const __m128i*>(p))
#define ZP_BENCH_LOAD_YMM(p) _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))
ZP_BENCH_READ(read_zmm_1, 1, "avx512f", __m512i, _mm512_or_si512, _mm512_loadu_si512)
ZP_BENCH_READ(read_zmm_2, 2, "avx512f", __m512i, _mm512_or_si512, _mm512_loadu_si512)
ZP_BENCH_READ(read_ymm_1, 1, "avx2", __m256i, _mm256_or_si256, ZP_BENCH_LOAD_YMM)
ZP_BENCH_READ(read_ymm_2, 2, "avx2", __m256i, _mm256_or_si256, ZP_BENCH_LOAD_YMM)
ZP_BENCH_READ(read_xmm_1, 1, "sse2", __m128i, _mm_or_si128, ZP_BENCH_LOAD_XMM)
ZP_BENCH_READ(read_xmm_2, 2, "sse2", __m128i, _mm_or_si128, ZP_BENCH_LOAD_XMM)
#undef ZP_BENCH_LOAD_XMM
#undef ZP_BENCH_LOAD_YMM
#undef ZP_BENCH_READ
#endif

/// A register-only loop and the operations (2 per multiply-add) of one of its rounds.
struct peak_loop {
  void (*run)(std::size_t rounds) = nullptr;
  double operations = 0;
};

/// The limit of a kernel; no loop for those without one (scalar).
inline peak_loop peak_of(std::string_view kernel) {
#if ZP_X86
  if (kernel == "avx512_vnni") return {&dot_zmm, 24.0 * 64 * 2};
  if (kernel == "avx_vnni") return {&dot_ymm, 12.0 * 32 * 2};
  if (kernel == "avx2") return {&madd_ymm, 12.0 * 16 * 2};
  if (kernel == "sse41") return {&madd_xmm, 12.0 * 8 * 2};
#endif
  (void)kernel;
  return {};
}

struct named_peak {
  const char* name;
  peak_loop loop;
};

/// The loops that run here, one for each kind of operation and width, widest first.
inline std::vector<named_peak> all_peaks() {
  std::vector<named_peak> all;
#if ZP_X86
  const auto has = [](zeropoint::isa needed) {
    return zeropoint::contains(zeropoint::cpu_features(), needed);
  };
  using zeropoint::isa;
  const bool avx512_vnni = has(isa::avx512_vnni);
  if (avx512_vnni) all.push_back({"8-bit dot product, zmm", {&dot_zmm, 24.0 * 64 * 2}});
  if (has(isa::avx_vnni | isa::avx2_fma)) {
    all.push_back({"8-bit dot product, ymm", {&dot_ymm, 12.0 * 32 * 2}});
  } else if (avx512_vnni) {
    all.push_back({"8-bit dot product, ymm", {&dot_ymm_evex, 24.0 * 32 * 2}});
  }
  if (has(isa::avx2_fma)) all.push_back({"16-bit multiply-add, ymm", {&madd_ymm, 12.0 * 16 * 2}});
  if (has(isa::sse41)) all.push_back({"16-bit multiply-add, xmm", {&madd_xmm, 12.0 * 8 * 2}});
  if (has(isa::avx512)) all.push_back({"f32 FMA, zmm", {&fma_zmm, 24.0 * 16 * 2}});
  if (has(isa::avx2_fma)) all.push_back({"f32 FMA, ymm", {&fma_ymm, 12.0 * 8 * 2}});
#endif
  return all;
}

/// The limit of products of f32; no loop where none was written.
inline peak_loop fma_peak() {
  for (const named_peak& one : all_peaks()) {
    if (std::string_view(one.name).substr(0, 7) == "f32 FMA") return one.loop;
  }
  return {};
}

using read_loop = void (*)(const std::byte* from, std::size_t bytes);

#if !ZP_X86
inline void read_words(const std::byte* from, std::size_t bytes) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i + 8 <= bytes; i += 8) {
    std::uint64_t word;
    __builtin_memcpy(&word, from + i, 8);
    sum |= word;
  }
  __asm__ volatile("" ::"r"(sum));
}
#endif

/// Loops that read every byte once, in the widest registers that this processor has.
inline std::vector<read_loop> read_loops() {
#if ZP_X86
  using zeropoint::isa;
  const isa here = zeropoint::cpu_features();
  if (contains(here, isa::avx512)) return {&read_zmm_1, &read_zmm_2};
  if (contains(here, isa::avx2_fma)) return {&read_ymm_1, &read_ymm_2};
  return {&read_xmm_1, &read_xmm_2};
#else
  return {&read_words};
#endif
}

}  // namespace bench
