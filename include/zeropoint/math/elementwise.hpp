// The row loops, in SIMD: ranges of floats, float to code, code to float. Those that decide the speed
// of quantization go to the loops of kernels/rows_*.hpp where this processor has them; what stands
// here is the loop of the baseline, in xsimd (the only header that includes it). Every function computes bit for bit what the scalar definition (quantizer,
// dequantize) says, at every length and alignment, and reads nothing outside its row: what is left
// over at the end goes through a block padded with zeros.
//
// Arch is a template parameter everywhere, so that translation units built for different
// instruction sets do not share these functions.
#pragma once

#include <zeropoint/kernels/row_registry.hpp>
#include <zeropoint/math/statistics.hpp>

#include <xsimd/xsimd.hpp>

#include <algorithm>
#include <cstring>

ZP_ALLOW_UNDEFINED_OPERANDS

namespace zeropoint::inline ZP_BASELINE {

namespace elementwise {

inline constexpr std::size_t block = statistics_accumulator::block;

/// Calls f(pointer to 64 floats, count) for each block of x[0, n); the last block is a copy padded
/// with `padding` when n is not a multiple of 64.
template <class F>
ZP_ALWAYS_INLINE void for_each_block(const float* x, std::size_t n, float padding, F&& f) {
  std::size_t i = 0;
  for (; i + block <= n; i += block) f(x + i, i, block);
  if (i == n) return;
  alignas(64) float tail[block];
  std::fill(std::copy(x + i, x + n, tail), tail + block, padding);
  f(tail, i, n - i);
}

/// Largest |x| of the finite elements; 0 when there is none.
template <class Arch = xsimd::default_arch>
[[nodiscard]] float absmax(std::span<const float> x) noexcept {
  if (const auto* fast = kernels::rows()) return fast->absmax(x.data(), x.size());
  using batch = xsimd::batch<float, Arch>;
  constexpr std::size_t width = batch::size;
  const batch limit(std::numeric_limits<float>::max()), zero(0.0f);
  batch first = zero, second = zero;  // two chains: max has a latency of four cycles
  for_each_block(x.data(), x.size(), 0.0f, [&](const float* p, std::size_t, std::size_t) {
    for (std::size_t k = 0; k < block; k += 2 * width) {
      const batch a = xsimd::abs(batch::load_unaligned(p + k));
      const batch b = xsimd::abs(batch::load_unaligned(p + k + width));
      first = xsimd::max(first, xsimd::select(a <= limit, a, zero));
      second = xsimd::max(second, xsimd::select(b <= limit, b, zero));
    }
  });
  alignas(64) float lanes[width];
  xsimd::max(first, second).store_aligned(lanes);
  return *std::max_element(lanes, lanes + width);
}

/// Smallest and largest finite element; {+inf, -inf} when there is none. A zero is always +0.
template <class Arch = xsimd::default_arch>
[[nodiscard]] value_range min_max(std::span<const float> x) noexcept {
  if (const auto* fast = kernels::rows()) {
    const auto [least, most] = fast->min_max(x.data(), x.size());
    return {least + 0.0f, most + 0.0f};
  }
  using batch = xsimd::batch<float, Arch>;
  constexpr std::size_t width = batch::size;
  constexpr float infinity = std::numeric_limits<float>::infinity();
  const batch limit(std::numeric_limits<float>::max()), top(infinity), bottom(-infinity);
  batch low = top, high = bottom;
  for_each_block(x.data(), x.size(), infinity, [&](const float* p, std::size_t, std::size_t) {
    for (std::size_t k = 0; k < block; k += width) {
      const batch v = batch::load_unaligned(p + k);
      const auto finite = xsimd::abs(v) <= limit;
      low = xsimd::min(low, xsimd::select(finite, v, top));
      high = xsimd::max(high, xsimd::select(finite, v, bottom));
    }
  });
  alignas(64) float lows[width], highs[width];
  low.store_aligned(lows);
  high.store_aligned(highs);
  return {*std::min_element(lows, lows + width) + 0.0f,
          *std::max_element(highs, highs + width) + 0.0f};
}

/// How many elements are NaN or infinite.
[[nodiscard]] inline std::uint64_t count_non_finite(std::span<const float> x) noexcept {
  std::uint64_t n = 0;
  for_each_block(x.data(), x.size(), 0.0f, [&](const float* p, std::size_t, std::size_t) {
    std::int32_t in_block = 0;
    for (std::size_t k = 0; k < block; ++k) {
      in_block +=
          static_cast<std::int32_t>(!(std::fabs(p[k]) <= std::numeric_limits<float>::max()));
    }
    n += static_cast<std::uint64_t>(in_block);
  });
  return n;
}

/// into[j] = max(into[j], |row[j]|) over the finite elements: column ranges, one row at a time.
template <class Arch = xsimd::default_arch>
void absmax_columns(std::span<const float> row, std::span<float> into) noexcept {
  using batch = xsimd::batch<float, Arch>;
  constexpr std::size_t width = batch::size;
  constexpr float largest = std::numeric_limits<float>::max();
  const batch limit(largest), zero(0.0f);
  std::size_t j = 0;
  for (; j + width <= row.size(); j += width) {
    const batch a = xsimd::abs(batch::load_unaligned(row.data() + j));
    xsimd::max(batch::load_unaligned(into.data() + j), xsimd::select(a <= limit, a, zero))
        .store_unaligned(into.data() + j);
  }
  for (; j < row.size(); ++j) {
    const float a = std::fabs(row[j]);
    if (a <= largest && a > into[j]) into[j] = a;
  }
}

/// The same for minimum and maximum; low starts at +inf, high at -inf.
template <class Arch = xsimd::default_arch>
void min_max_columns(std::span<const float> row, std::span<float> low,
                     std::span<float> high) noexcept {
  for (std::size_t j = 0; j < row.size(); ++j) {
    const float v = row[j] + 0.0f;
    const bool finite = std::fabs(v) <= std::numeric_limits<float>::max();
    low[j] = finite && v < low[j] ? v : low[j];
    high[j] = finite && v > high[j] ? v : high[j];
  }
}

/// steps[0, 64) of x[0, 64); true when every element is finite and unclipped.
template <class Arch = xsimd::default_arch, class Rounding>
[[nodiscard]] ZP_ALWAYS_INLINE bool round_block(const float* x, const quantizer<Rounding>& q,
                                                float* steps) noexcept {
  using batch = xsimd::batch<float, Arch>;
  const batch factor(q.factor()), low(q.low()), high(q.high()), zero(0.0f);
  const batch low_edge(q.low_edge()), high_edge(q.high_edge());
  auto clean = zero == zero;
  for (std::size_t k = 0; k < block; k += batch::size) {
    batch t = Rounding::scaling::scaled(batch::load_unaligned(x + k), factor);
    clean = clean & (t >= low_edge) & (t <= high_edge);  // false for NaN
    t = xsimd::select(t == t, t, zero);
    t = xsimd::min(xsimd::max(t, low), high);
    Rounding::ties::nearest(t).store_unaligned(steps + k);
  }
  return xsimd::all(clean);
}

/// codes[i] = steps[i] + zero_point for i < n; steps has 64 elements.
template <class T>
ZP_ALWAYS_INLINE void narrow(const float* steps, std::int32_t zero_point, std::size_t n,
                             T* codes) noexcept {
  T all[block];
  T* const to = n == block ? codes : all;
  for (std::size_t i = 0; i < block; ++i) {
    to[i] = static_cast<T>(static_cast<std::int32_t>(steps[i]) + zero_point);
  }
  if (n != block) std::memcpy(codes, all, n * sizeof(T));
}

/// An accumulator that is content with the counts of a row and the row.
template <class Accumulator, class Rounding>
concept counts_rows = requires(Accumulator& into, const range_counts& seen,
                               std::span<const float> x, const quantizer<Rounding>& q) {
  into.add(seen, x, q);
};

/// Whether the loops of kernels/rows_*.hpp can quantize like that.
template <class T, class Rounding, class Accumulator>
inline constexpr bool has_loops =
    sizeof(T) == 1 && std::is_same_v<typename Rounding::ties, ties_to_even> &&
    (std::is_same_v<Accumulator, no_accumulator> || counts_rows<Accumulator, Rounding> ||
     std::is_same_v<Accumulator, statistics_accumulator>);

/// What a kernel is to do with a row; p as a quantizer accepts it.
template <class Rounding, class T>
[[nodiscard]] ZP_ALWAYS_INLINE kernels::quantize_job job_of(std::span<const float> x,
                                                            const params& p, T* codes) noexcept {
  return {.x = x.data(),
          .n = x.size(),
          .scale = p.scale,
          .divide = std::is_same_v<typename Rounding::scaling, divide>,
          .inverse = 1.0f / p.scale,
          .low = p.qmin - p.zero_point,
          .high = p.qmax - p.zero_point,
          .zero_point = p.zero_point,
          .is_signed = std::is_signed_v<T>,
          .codes = codes};
}
template <class T, class Rounding>
ZP_ALWAYS_INLINE void quantize_with(const kernels::row_loops& fast, const float* x, std::size_t n,
                                    const quantizer<Rounding>& q, T* codes, bool from_memory,
                                    no_accumulator&,
                                    kernels::range_events* events = nullptr) noexcept {
  kernels::quantize_job job = job_of<Rounding>({x, n}, q.parameters(), codes);
  job.events = events;
  job.from_memory = from_memory;
  fast.quantize(job);
}
template <class T, class Rounding, counts_rows<Rounding> Accumulator>
ZP_ALWAYS_INLINE void quantize_with(const kernels::row_loops& fast, const float* x, std::size_t n,
                                    const quantizer<Rounding>& q, T* codes, bool from_memory,
                                    Accumulator& into) noexcept {
  kernels::range_events events;
  no_accumulator nobody;
  quantize_with(fast, x, n, q, codes, from_memory, nobody, &events);
  into.add({n, events.low, events.high, events.nan, events.infinite}, {x, n}, q);
}
/// In pieces that are still in the first-level cache when their damage is added up.
template <class T, class Rounding>
ZP_ALWAYS_INLINE void quantize_with(const kernels::row_loops& fast, const float* x, std::size_t n,
                                    const quantizer<Rounding>& q, T* codes, bool,
                                    statistics_accumulator& into) noexcept {
  const params& p = q.parameters();
  no_accumulator nobody;
  for (std::size_t i = 0, count; i < n; i += count) {
    count = std::min<std::size_t>(2048, n - i);
    quantize_with(fast, x + i, count, q, codes + i, false, nobody);
    fast.damage({.x = x + i,
                 .n = count,
                 .codes = codes + i,
                 .is_signed = std::is_signed_v<T>,
                 .divide = std::is_same_v<typename Rounding::scaling, divide>,
                 .scale = p.scale,
                 .inverse = 1.0f / p.scale,
                 .zero_point = p.zero_point,
                 .low_edge = q.low_edge(),
                 .high_edge = q.high_edge(),
                 .sums = &into.sums_of(count)});
  }
}

/// quantize_row where no kernel helps.
template <class Arch, class T, class Rounding, class Accumulator>
void quantize_row_baseline(const float* x, std::size_t n, const quantizer<Rounding> q, T* codes,
                           Accumulator& into) noexcept {
  const std::int32_t zero_point = q.parameters().zero_point;
  for_each_block(x, n, 0.0f, [&](const float* p, std::size_t i, std::size_t count) {
    alignas(64) float steps[block];
    const bool clean = round_block<Arch>(p, q, steps);
    narrow(steps, zero_point, count, codes + i);
    into.add(p, steps, codes + i, count, clean, q);
  });
}

/// codes[i] = q(x[i]) for i < n. `into` is told of every block; a run may take several calls when
/// all but the last have a multiple of 64 elements.
///
/// Inlined, and no reference to q leaves it, so that a quantizer made for one row is never an object in
/// memory: read there in other widths than it was written in, it would wait for the division behind its
/// scale to leave the core.
template <class Arch = xsimd::default_arch, class T, class Rounding, class Accumulator>
ZP_ALWAYS_INLINE void quantize_row(const float* x, std::size_t n, const quantizer<Rounding>& q,
                                   T* codes, Accumulator& into, bool from_memory = false) noexcept {
  if constexpr (has_loops<T, Rounding, Accumulator>) {
    if (const auto* fast = kernels::rows())
      return quantize_with(*fast, x, n, q, codes, from_memory, into);
  }
  quantize_row_baseline<Arch>(x, n, q, codes, into);
}
template <class Arch = xsimd::default_arch, class T, class Rounding>
void quantize_row(const float* x, std::size_t n, const quantizer<Rounding>& q, T* codes) noexcept {
  no_accumulator nobody;
  quantize_row<Arch>(x, n, q, codes, nobody);
}

/// x[i] = scale * (codes[i] - zero_point) for i < n, one rounding.
template <class Arch = xsimd::default_arch, class T>
void dequantize_row(const T* codes, std::size_t n, float scale, std::int32_t zero_point,
                    float* x) noexcept {
  if constexpr (sizeof(T) == 1) {
    if (const auto* fast = kernels::rows()) {
      return fast->dequantize({codes, std::is_signed_v<T>, n, scale, zero_point, x});
    }
  }
  using batch = xsimd::batch<float, Arch>;
  const batch factor(scale);
  for (std::size_t i = 0; i < n; i += block) {
    const std::size_t count = std::min(block, n - i);
    alignas(64) float values[block];
    T tail[block] = {};
    if (count != block) std::memcpy(tail, codes + i, count * sizeof(T));
    const T* const from = count == block ? codes + i : tail;
    for (std::size_t k = 0; k < block; ++k) {
      values[k] = static_cast<float>(static_cast<std::int32_t>(from[k]) - zero_point);
    }
    for (std::size_t k = 0; k < block; k += batch::size) {
      (batch::load_aligned(values + k) * factor).store_aligned(values + k);
    }
    std::memcpy(x + i, values, count * sizeof(float));
  }
}

}  // namespace elementwise

}  // namespace zeropoint::inline ZP_BASELINE

ZP_END_UNDEFINED_OPERANDS
