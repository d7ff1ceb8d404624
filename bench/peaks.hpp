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
ZP_BENCH_PEAK(fma_zmm, "avx512f", __m512, 24, _mm512_set1_ps(0.5f),
              sum[i] = _mm512_fmadd_ps(sum[i], x, x))
ZP_BENCH_PEAK(fma_ymm, "avx2,fma", __m256, 12, _mm256_set1_ps(0.5f),
              sum[i] = _mm256_fmadd_ps(sum[i], x, x))
#undef ZP_BENCH_PEAK

// Two streams, because one does not keep enough lines on their way (Cascade Lake from DRAM: 11.0 GB/s
// through one, 12.3 through two, 12.7 through four, which cost a tenth from the second-level cache).
#define ZP_BENCH_READ(name, features, vector, merge, load)                                        \
  __attribute__((target(features), noinline)) inline void name(const std::byte* from,             \
                                                               std::size_t bytes) {               \
    constexpr std::size_t part = 4096, wide = sizeof(vector);                                     \
    vector sum[8] = {};                                                                           \
    for (; bytes >= 2 * part; bytes -= 2 * part, from += 2 * part) {                              \
      for (std::size_t i = 0; i < part; i += 4 * wide) {                                          \
        _Pragma("GCC unroll 8") for (std::size_t j = 0; j < 8; ++j) {                             \
          sum[j] = merge(sum[j], load(from + i + j / 4 * part + j % 4 * wide));                   \
        }                                                                                         \
      }                                                                                           \
    }                                                                                             \
    for (std::size_t i = 0; i + wide <= bytes; i += wide) sum[0] = merge(sum[0], load(from + i)); \
    for (auto& s : sum) __asm__ volatile("" ::"v"(s));                                            \
  }
#define ZP_BENCH_LOAD_XMM(p) _mm_loadu_si128(reinterpret_cast<const __m128i*>(p))
#define ZP_BENCH_LOAD_YMM(p) _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))
ZP_BENCH_READ(read_zmm, "avx512f", __m512i, _mm512_or_si512, _mm512_loadu_si512)
ZP_BENCH_READ(read_ymm, "avx2", __m256i, _mm256_or_si256, ZP_BENCH_LOAD_YMM)
ZP_BENCH_READ(read_xmm, "sse2", __m128i, _mm_or_si128, ZP_BENCH_LOAD_XMM)
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

/// Reads every byte once, in the widest registers that this processor has.
inline void read_all(const std::byte* from, std::size_t bytes) {
#if ZP_X86
  using zeropoint::isa;
  static const zeropoint::isa here = zeropoint::cpu_features();
  static const auto widest = contains(here, isa::avx512)     ? &read_zmm
                             : contains(here, isa::avx2_fma) ? &read_ymm
                                                             : &read_xmm;
  widest(from, bytes);
#else
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i + 8 <= bytes; i += 8) {
    std::uint64_t word;
    __builtin_memcpy(&word, from + i, 8);
    sum |= word;
  }
  __asm__ volatile("" ::"r"(sum));
#endif
}

}  // namespace bench
