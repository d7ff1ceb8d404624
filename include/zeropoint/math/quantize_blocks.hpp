// How quantize() walks a matrix: three block shapes, one result whatever the executor.
//
//   one row or a part of it   each block is a run of 64-element pieces of its row
//   one column or part of it  32 columns at a time are gathered into runs: a conv1d_weight gives the
//                             same bits as its transpose in a linear_weight
//   the whole matrix          range over all rows first, then every row is a run; merged in order
#pragma once

#include <zeropoint/base/executor.hpp>
#include <zeropoint/base/scratch.hpp>
#include <zeropoint/math/quantized_matrix.hpp>

#include <memory>

namespace zeropoint::inline ZP_BASELINE {

namespace detail {

/// The range that a scheme needs of the finite values; {0, 0} when there is none.
[[nodiscard]] inline value_range finite_range(std::span<const float> x, symmetry kind) noexcept {
  if (kind == symmetry::narrow) {
    const float m = elementwise::absmax(x);
    return {-m, m};
  }
  const value_range range = elementwise::min_max(x);
  return range.min <= range.max ? range : value_range{};
}
[[nodiscard]] constexpr value_range join(value_range a, value_range b) noexcept {
  return {a.min < b.min ? a.min : b.min, a.max > b.max ? a.max : b.max};
}

/// Rows that make a task worth its hand-over: about 16,384 elements.
[[nodiscard]] constexpr std::size_t rows_per_task(std::size_t cols) noexcept {
  return at_least_one(16384 / at_least_one(cols));
}
/// Calls f(first, count) for pieces of [0, n), `piece` at a time, on the executor.
template <class Executor, class F>
void in_pieces(std::size_t n, std::size_t piece, const Executor& ex, F&& f) {
  ex(ceil_div(n, piece), [&](std::size_t task) {
    const std::size_t first = task * piece;
    f(first, std::min(piece, n - first));
  });
}

/// Walks the blocks of whole rows, one after another.
class row_block_cursor {
 public:
  row_block_cursor(std::size_t row, std::size_t cols, std::size_t size)
      : row_(row), cols_(cols), size_(size) {}
  template <class T>
  [[nodiscard]] std::span<T> in(matrix_view<T> m) const {
    return m.row(row_).subspan(column_, std::min(size_, cols_ - column_));
  }
  void advance() {
    column_ += size_;
    if (column_ >= cols_) ++row_, column_ = 0;
  }

 private:
  std::size_t row_, column_ = 0, cols_, size_;
};

/// Blocks within rows: block.rows == 1.
template <bool Fit, class Accumulator, class Rounding, class T, class Result>
void quantize_blocks_in_order(matrix_view<const float> x, const params_view& table,
                              matrix_view<T> codes, std::span<Result> results, std::size_t first,
                              std::size_t count, bool from_memory) {
  const std::size_t size = std::min(table.block.cols, x.cols()), across = ceil_div(x.cols(), size);
  row_block_cursor at(first, x.cols(), size);
  for (std::size_t b = first * across; b < (first + count) * across; ++b, at.advance()) {
    const auto values = at.in(x);
    if constexpr (Fit) table.set(b, fit(finite_range(values, table.kind.kind), table.kind));
    Accumulator damage;
    elementwise::quantize_row(values.data(), values.size(), quantizer<Rounding>(table[b]),
                              at.in(codes).data(), damage, from_memory);
    if (!results.empty()) results[b] = damage.result();
  }
}

/// The same, fitted and not watched. Range, params and codes of a block depend on each other through a
/// horizontal maximum and two divisions, over 100 cycles, and a core looks no further ahead than a row
/// of 768. So the range of a block, the params of the one before and the codes of the one before that
/// are found together (Zen 5, rows of 768 in cache: 1.3 times as fast). Params wait as a kernel's job,
/// written and read in the same widths: a quantizer in memory would stall that.
template <class Rounding, class T>
void fit_and_quantize_together(const kernels::row_loops& fast, matrix_view<const float> x,
                               const params_view& table, matrix_view<T> codes, std::size_t first,
                               std::size_t count) {
  const std::size_t size = std::min(table.block.cols, x.cols()), across = ceil_div(x.cols(), size);
  const std::size_t begin = first * across, end = begin + count * across;
  const symmetry kind = table.kind.kind;
  row_block_cursor ahead(first, x.cols(), size), at = ahead;
  value_range range;
  kernels::quantize_job jobs[2];
  for (std::size_t b = begin; b < end + 2; ++b) {
    if (b >= begin + 2) fast.quantize(jobs[b % 2]);
    if (b > begin && b <= end) {
      const params p = fit(range, table.kind);
      table.set(b - 1, p);
      jobs[(b - 1) % 2] = elementwise::job_of<Rounding>(at.in(x), p, at.in(codes).data());
      at.advance();
    }
    if (b < end) {
      range = finite_range(ahead.in(x), kind);
      ahead.advance();
    }
  }
}

template <bool Fit, class Accumulator, class Rounding, class T, class Executor, class Result>
void quantize_row_blocks(matrix_view<const float> x, const params_view& table, matrix_view<T> codes,
                         std::span<Result> results, const Executor& ex) {
  const bool from_memory = x.rows() * x.cols() * sizeof(float) > last_level_cache();
  in_pieces(x.rows(), rows_per_task(x.cols()), ex, [&](std::size_t first, std::size_t count) {
    if constexpr (Fit && std::is_same_v<Accumulator, no_accumulator> &&
                  elementwise::has_loops<T, Rounding, Accumulator>) {
      const auto* fast = kernels::rows();
      // From memory a row that is read again keeps the prefetcher ahead; three rows have to fit the
      // first-level cache.
      if (fast != nullptr && !from_memory && std::min(table.block.cols, x.cols()) <= 2048) {
        return fit_and_quantize_together<Rounding>(*fast, x, table, codes, first, count);
      }
    }
    quantize_blocks_in_order<Fit, Accumulator, Rounding>(x, table, codes, results, first, count,
                                                         from_memory);
  });
}

inline constexpr std::size_t column_tile = 32;

/// Ranges of columns [j, j + n) over rows [i, i + rows), into table blocks b ... b + n - 1.
inline void fit_columns(matrix_view<const float> x, std::size_t i, std::size_t rows, std::size_t j,
                        std::size_t n, const params_view& table, std::size_t b) {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  std::array<float, column_tile> low, high;
  const bool narrow = table.kind.kind == symmetry::narrow;
  low.fill(infinity);
  high.fill(narrow ? 0.0f : -infinity);
  for (std::size_t r = i; r < i + rows; ++r) {
    const auto part = x.row(r).subspan(j, n);
    if (narrow) {
      elementwise::absmax_columns(part, std::span(high).first(n));
    } else {
      elementwise::min_max_columns(part, std::span(low).first(n), std::span(high).first(n));
    }
  }
  for (std::size_t c = 0; c < n; ++c) {
    const value_range range = narrow              ? value_range{-high[c], high[c]}
                              : low[c] <= high[c] ? value_range{low[c], high[c]}
                                                  : value_range{};
    table.set(b + c, fit(range, table.kind));
  }
}

/// One tile of blocks within columns: rows [i, i + rows), columns [j, j + n), blocks b ....
template <class Accumulator, class Rounding, class T, class Result>
void quantize_column_tile(matrix_view<const float> x, std::size_t i, std::size_t rows,
                          std::size_t j, std::size_t n, const params_view& table, std::size_t b,
                          matrix_view<T> codes, std::span<Result> results) {
  constexpr std::size_t block = elementwise::block;
  std::array<Accumulator, column_tile> damage;
  alignas(64) float gathered[column_tile][block];
  alignas(64) T column[block], tile[block][column_tile];
  for (std::size_t r = 0; r < rows; r += block) {
    const std::size_t height = std::min(block, rows - r);
    for (std::size_t k = 0; k < height; ++k) {
      const float* from = x.row(i + r + k).data() + j;
      for (std::size_t c = 0; c < n; ++c) gathered[c][k] = from[c];
    }
    for (std::size_t c = 0; c < n; ++c) {
      elementwise::quantize_row(gathered[c], height, quantizer<Rounding>(table[b + c]), column,
                                damage[c]);
      for (std::size_t k = 0; k < height; ++k) tile[k][c] = column[k];
    }
    for (std::size_t k = 0; k < height; ++k) {
      std::memcpy(codes.row(i + r + k).data() + j, tile[k], n * sizeof(T));
    }
  }
  for (std::size_t c = 0; c < n && !results.empty(); ++c) results[b + c] = damage[c].result();
}

/// Blocks within columns: block.cols == 1.
template <bool Fit, class Accumulator, class Rounding, class T, class Executor, class Result>
void quantize_column_blocks(matrix_view<const float> x, const params_view& table,
                            matrix_view<T> codes, std::span<Result> results, const Executor& ex) {
  in_pieces(x.cols(), column_tile, ex, [&](std::size_t j, std::size_t n) {
    for (std::size_t i = 0, b = j; i < x.rows(); b += x.cols()) {
      const std::size_t rows = std::min(table.block.rows, x.rows() - i);
      if constexpr (Fit) fit_columns(x, i, rows, j, n, table, b);
      quantize_column_tile<Accumulator, Rounding>(x, i, rows, j, n, table, b, codes, results);
      i += rows;
    }
  });
}

/// Every row with the same params; the rows' results are merged in order into results[0].
template <class Accumulator, class Rounding, class T, class Executor, class Result>
void quantize_rows(matrix_view<const float> x, const quantizer<Rounding>& q, matrix_view<T> codes,
                   std::span<Result> results, const Executor& ex) {
  // Counts add up to the same in any pieces: rows without gaps are one run.
  const bool one_run = !std::is_same_v<Accumulator, statistics_accumulator> &&
                       x.stride() == x.cols() && codes.stride() == x.cols();
  const bool from_memory = x.rows() * x.cols() * sizeof(float) > last_level_cache();
  const std::size_t piece = rows_per_task(x.cols()), step = one_run ? piece : 1;
  scratch_array<Result, 4> of_run(results.empty() ? 0 : ceil_div(x.rows(), step));
  in_pieces(x.rows(), piece, ex, [&](std::size_t first, std::size_t count) {
    for (std::size_t i = first; i < first + count; i += step) {
      const std::size_t rows = std::min(step, first + count - i);
      Accumulator damage;
      elementwise::quantize_row(x.row(i).data(), rows * x.cols(), q, codes.row(i).data(), damage,
                                from_memory);
      if (!of_run.empty()) of_run.span()[i / step] = damage.result();
    }
  });
  for (const Result& part : of_run.span()) results[0].merge(part);
}

/// The range of a whole matrix; the executor sees at most 64 tasks.
template <class Executor>
[[nodiscard]] value_range matrix_range(matrix_view<const float> x, symmetry kind,
                                       const Executor& ex) {
  std::array<value_range, 64> parts{};
  const std::size_t piece = std::max(rows_per_task(x.cols()), ceil_div(x.rows(), parts.size()));
  in_pieces(x.rows(), piece, ex, [&](std::size_t first, std::size_t count) {
    value_range range = finite_range(x.row(first), kind);
    for (std::size_t i = first + 1; i < first + count; ++i) {
      range = join(range, finite_range(x.row(i), kind));
    }
    parts[first / piece] = range;
  });
  value_range all = parts[0];
  for (const value_range& part : parts) all = join(all, part);
  return all;
}

/// Fits (when Fit) and quantizes every block of x. results is empty or has one per block.
template <bool Fit, class Accumulator, class T, class Executor, class Result, class Rounding>
void quantize_blocks(matrix_view<const float> x, const params_view& table, matrix_view<T> codes,
                     std::span<Result> results, const Executor& ex, Rounding) {
  if (x.empty()) return;
  if (table.block.rows == 1) {
    quantize_row_blocks<Fit, Accumulator, Rounding>(x, table, codes, results, ex);
  } else if (table.block.cols == 1) {
    quantize_column_blocks<Fit, Accumulator, Rounding>(x, table, codes, results, ex);
  } else {
    ZP_REQUIRE(table.block.rows >= x.rows() && table.block.cols >= x.cols(), "quantize: blocks of ",
               table.block.rows, " x ", table.block.cols, " are not supported");
    if constexpr (Fit) {
      table.set(0, fit(matrix_range(x, table.kind.kind, ex), table.kind));
    }
    quantize_rows<Accumulator>(x, quantizer<Rounding>(table[0]), codes, results, ex);
  }
}

}  // namespace detail

}  // namespace zeropoint::inline ZP_BASELINE
