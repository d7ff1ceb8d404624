// The loop per vector width. "or" is as cheap as an instruction that uses its input can be. Four
// streams, because one does not keep enough lines on their way.
#include <lab/experiments/read_speed.hpp>
#include <lab/models/parallel.hpp>
#include <zeropoint/base/cpu.hpp>
#include <zeropoint/base/platform.hpp>

#include <algorithm>
#include <chrono>
#include <iterator>

namespace lab {

namespace {

typedef unsigned long long lanes __attribute__((vector_size(64)));
typedef lanes anywhere __attribute__((may_alias, aligned(1)));  // of the bytes that are read

constexpr std::size_t streams = 4, per_stream = 2;
constexpr std::size_t stride = per_stream * sizeof(lanes), step = streams * stride;

/// Of every stream, `steps` strides.
#define ZP_LAB_READER(name, target)                                                  \
  target ZP_NOINLINE void name(const std::byte* from, std::size_t steps) {           \
    lanes sum[streams * per_stream] = {};                                            \
    for (std::size_t s = 0; s < steps; ++s, from += stride) {                        \
      _Pragma("GCC unroll 8") for (std::size_t i = 0; i < std::size(sum); ++i) {     \
        const std::byte* p =                                                         \
            from + i / per_stream * steps * stride + i % per_stream * sizeof(lanes); \
        sum[i] |= *reinterpret_cast<const anywhere*>(p);                             \
      }                                                                              \
    }                                                                                \
    __asm__ volatile("" ::"m"(sum));                                                 \
  }

ZP_LAB_READER(read_baseline, )
#if ZP_X86
ZP_LAB_READER(read_avx2, ZP_TARGET("avx2"))
ZP_LAB_READER(read_avx512, ZP_TARGET("avx512f"))
#endif
#undef ZP_LAB_READER

using reader = void (*)(const std::byte*, std::size_t);

reader widest_reader() {
#if ZP_X86
  using zeropoint::isa;
  const isa have = zeropoint::cpu_features();
  if (contains(have, isa::avx512)) return read_avx512;
  if (contains(have, isa::avx2_fma)) return read_avx2;
#endif
  return read_baseline;
}

}  // namespace

double read_seconds(std::span<const std::byte> bytes, std::size_t threads) {
  static const reader read = widest_reader();
  const std::size_t steps = bytes.size() / step, parts = std::max<std::size_t>(threads, 1);
  const auto begin = std::chrono::steady_clock::now();
  executor_of(parts)(parts, [&](std::size_t i) {
    const std::size_t first = steps * i / parts, last = steps * (i + 1) / parts;
    read(bytes.data() + first * step, last - first);
  });
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace lab
