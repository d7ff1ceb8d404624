// The activations as a kernel reads them. Rows are used in place when they already are what the
// kernel wants; otherwise a block of rows is copied once into a scratch buffer whose stride is an
// odd number of cache lines, so that the rows of a tile do not compete for the same cache sets.
#pragma once

#include <zeropoint/base/matrix_view.hpp>
#include <zeropoint/base/scratch.hpp>
#include <zeropoint/gemm/packed_weights.hpp>

namespace zeropoint::inline ZP_BASELINE {
namespace detail {

/// Packed weights beyond this do not stay in the second-level cache, of 1 MB or more in current cores,
/// and are fetched ahead. A row times 4-bit weights gains a fifth by it when they come from memory, and
/// loses a tenth when they did stay: from a quarter of that on it is fetched for.
inline constexpr std::size_t second_level = 768 * 1024, second_level_of_a_row = second_level / 4;

/// Where the rows of one multiplication are and how many are handled at a time.
struct row_plan {
  bool copied = false;
  std::size_t stride = 0;  ///< bytes between rows as the kernel sees them
  std::size_t block = 0;   ///< rows per block: what stays in a 1 MB L2 beside two panels

  [[nodiscard]] std::size_t scratch_bytes() const noexcept { return copied ? block * stride : 0; }
};

/// 8 rows that lie a multiple of 2 KB apart fill the 8 ways of two or four sets of a 32 KB L1.
[[nodiscard]] constexpr bool rows_collide(std::size_t m, std::size_t stride) noexcept {
  return m >= 4 && stride % 2048 == 0;
}

/// Blocks of m rows for tiles of mr; rows of `bytes` bytes where they are copied, otherwise that far
/// apart.
[[nodiscard]] constexpr row_plan plan_block(std::size_t m, bool copied, std::size_t bytes,
                                            std::size_t mr) noexcept {
  constexpr std::size_t resident = 256 * 1024;
  row_plan plan{copied, bytes, 0};
  if (copied) {
    const std::size_t lines = (bytes + 63) / 64;
    plan.stride = 64 * (lines + (lines % 2 == 0 ? 1 : 0));
  }
  const std::size_t fit = resident / (plan.stride == 0 ? 1 : plan.stride);
  plan.block = fit < 4 * mr ? 4 * mr : fit / mr * mr;
  if (plan.block > m) plan.block = m;
  return plan;
}

[[nodiscard]] inline row_plan plan_rows(std::size_t m, std::size_t a_stride, bool is_signed,
                                        const packed_weights& w) {
  const kernels::operand operand = w.kernel().a;
  const bool same_bytes = operand != kernels::operand::s16 && w.shift(is_signed) == 0;
  const bool copied = !same_bytes || w.k() != w.padded_k() || rows_collide(m, a_stride);
  const std::size_t bytes = copied ? w.padded_k() * kernels::operand_bytes(operand) : a_stride;
  return plan_block(m, copied, bytes, w.format().mr);
}

/// f(first, count) for `count` rows of `bytes` bytes in one piece, or in pieces of whole tiles for
/// the executor where they are worth a fork.
template <class Executor, class F>
void in_parts(const Executor& ex, std::size_t count, std::size_t bytes, std::size_t mr, F&& f) {
  constexpr std::size_t worth_a_fork = 64 * 1024;
  if (ex.concurrency() == 1 || count * bytes < worth_a_fork) return f(std::size_t{0}, count);
  const std::size_t part = (count / ex.concurrency() + mr) / mr * mr;
  ex((count + part - 1) / part,
     [&](std::size_t i) { f(i * part, count - i * part < part ? count - i * part : part); });
}

/// f(p) for every panel p, in one long run of neighbours for each thread, then a short one. Where a
/// tile of rows meets all panels, threads wait for memory: taking panels in turn they would break up
/// each other's streams, and fetch ahead what the other one reads. All layers of GPT-2 124M in 4 bits,
/// one row: two threads took 1.08 times as long as one by panels, 0.63 by runs (Zen 5, from memory).
template <class Executor, class F>
void over_runs(const Executor& ex, std::size_t panels, F&& f) {
  ZP_ASSERT(panels > 0 && ex.concurrency() > 0);
  const std::size_t threads = ex.concurrency(), length = panels * 3 / (4 * threads);
  const std::size_t longs = length == 0 ? 0 : threads, done = longs * length, rest = panels - done;
  const std::size_t little = (rest + threads - 1) / threads;
  ex(longs + (rest + little - 1) / little, [&](std::size_t task) {
    std::size_t p = task < longs ? task * length : done + (task - longs) * little;
    const std::size_t end = task < longs ? p + length : p + little < panels ? p + little : panels;
    for (; p < end; ++p) f(p);
  });
}

/// f(p, first, count) for every panel p and piece of `count` rows: tasks of the executor are panels,
/// runs of them for a single tile of mr rows; split further by rows, in whole tiles, where there are
/// few panels.
template <class Executor, class F>
void over_panels(const Executor& ex, std::size_t panels, std::size_t count, std::size_t mr, F&& f) {
  const auto all_rows = [&](std::size_t p) { f(p, std::size_t{0}, count); };
  if (ex.concurrency() == 1) return ex(panels, all_rows);
  if (count <= mr) return over_runs(ex, panels, all_rows);
  const std::size_t wanted = 4 * ex.concurrency();
  if (panels >= wanted) return ex(panels, all_rows);
  const std::size_t splits = (wanted - 1) / panels + 1;
  const std::size_t part = ((count + splits - 1) / splits + mr - 1) / mr * mr;
  const std::size_t parts = (count + part - 1) / part;
  ex(parts * panels, [&](std::size_t task) {
    const std::size_t at = task % parts * part;
    f(task / parts, at, count - at < part ? count - at : part);
  });
}

/// rowsum - k * z for each row, negated: the row factor of the weights' zero points.
template <class A>
void negative_row_sums(matrix_view<const A> a, std::span<const std::int32_t> zeros,
                       std::int32_t* out) {
  for (std::size_t i = 0; i < a.rows(); ++i) {
    const A* row = a.data() + i * a.stride();
    std::int64_t sum = 0;
    for (std::size_t k = 0; k < a.cols(); ++k) sum += row[k];
    const std::int32_t z = zeros.empty() ? 0 : zeros[zeros.size() > 1 ? i : 0];
    out[i] = static_cast<std::int32_t>(z * static_cast<std::int64_t>(a.cols()) - sum);
  }
}

}  // namespace detail
}  // namespace zeropoint::inline ZP_BASELINE
