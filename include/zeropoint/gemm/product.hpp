// One multiplication of 8-bit codes behind gemm(): what is checked, how rows are prepared, how panels
// and blocks of rows are handed to the executor, and what follows the kernel while its output is still
// in the first-level cache: the activation function, and the codes of the next layer.
#pragma once

#include <zeropoint/base/executor.hpp>
#include <zeropoint/gemm/epilogue.hpp>
#include <zeropoint/gemm/pack.hpp>
#include <zeropoint/gemm/rows.hpp>
#include <zeropoint/kernels/row_registry.hpp>

#include <zeropoint/math/quantize.hpp>

#include <algorithm>
#include <functional>
#include <mutex>

namespace zeropoint::inline ZP_BASELINE {

/// int8 or uint8, const or not.
template <class T>
concept code8 = std::is_same_v<std::remove_const_t<T>, std::int8_t> ||
    std::is_same_v<std::remove_const_t<T>, std::uint8_t>;

namespace detail {

/// a [m, k] times weights [n, k] into out [m, n] that shares no bytes with a.
template <class A, class Out>
void require_shapes(matrix_view<const A> a, std::size_t n, std::size_t k, matrix_view<Out> out) {
  const std::size_t m = a.rows();
  ZP_REQUIRE(a.cols() == k, "gemm: a has ", a.cols(), " columns, the packed weights have k = ", k);
  ZP_REQUIRE(out.rows() == m && out.cols() == n, "gemm: the output is ", out.rows(), " x ",
             out.cols(), ", expected ", m, " x ", n);
  if (a.empty() || out.empty()) return;
  const auto* a_begin = reinterpret_cast<const std::byte*>(a.data());
  const auto* a_end = a_begin + ((m - 1) * a.stride() + k) * sizeof(A);
  const auto* out_begin = reinterpret_cast<const std::byte*>(out.data());
  const auto* out_end = out_begin + ((m - 1) * out.stride() + n) * sizeof(Out);
  const std::less<const std::byte*> before;
  ZP_REQUIRE(!before(a_begin, out_end) || !before(out_begin, a_end),
             "gemm: the output overlaps a: bytes ", static_cast<const void*>(out_begin), " .. ",
             static_cast<const void*>(out_end), " and ", static_cast<const void*>(a_begin), " .. ",
             static_cast<const void*>(a_end));
}

/// Everything that is checked about one multiplication, before any of it runs.
template <class A, class Out>
void require_product(matrix_view<const A> a, const packed_weights& w, const dequantization& d,
                     matrix_view<Out> out) {
  const std::size_t m = a.rows(), n = w.n(), k = w.k();
  require_shapes(a, n, k, out);
  const auto require_size = [](std::size_t size, std::size_t full, const char* what) {
    ZP_REQUIRE(size <= 1 || size == full, "gemm: ", size, " ", what, ", expected 0, 1 or ", full);
  };
  require_size(d.row_zero_points.size(), m, "row zero points");
  require_size(d.column_zero_points.size(), n, "column zero points");
  if constexpr (!std::is_same_v<Out, std::int32_t>) {
    require_size(d.row_scales.size(), m, "row scales");
    require_size(d.column_scales.size(), n, "column scales");
    ZP_REQUIRE(m == 0 || !d.row_scales.empty(), "gemm: 0 row scales, expected 1 or ", m);
    ZP_REQUIRE(n == 0 || !d.column_scales.empty(), "gemm: 0 column scales, expected 1 or ", n);
    ZP_REQUIRE(d.bias.empty() || d.bias.size() == n, "gemm: ", d.bias.size(),
               " bias values, expected 0 or ", n);
  }
  constexpr bool is_signed = std::is_same_v<A, std::int8_t>;
  const std::int32_t a_max =
      largest_distance(d.row_zero_points, is_signed ? -128 : 0, is_signed ? 127 : 255, "rows");
  const std::int32_t w_max = largest_distance(d.column_zero_points, -128, 127, "columns");
  ZP_REQUIRE(k <= max_depth(a_max, w_max), "gemm: k = ", k, " exceeds ", max_depth(a_max, w_max),
             ", the largest depth whose sums of products up to ", a_max, " * ", w_max,
             " fit 32 bits");
}

/// f of rows x cols floats, `stride` apart.
inline void activate(activation_function f, float* y, std::size_t rows, std::size_t cols,
                     std::size_t stride) {
  const kernels::activation_job job{f, rows, cols, stride, y};
  const kernels::row_loops* fast = kernels::rows();
  fast != nullptr ? fast->activate(job) : kernels::rows_baseline::activate(job);
}

/// Reals to the codes of the next layer, from as many threads as the product has.
class code_writer {
 public:
  explicit code_writer(const quantizer<>& q) : q_(q) {}
  /// rows x cols reals, nr apart, to codes `stride` apart; columns from cols on are zeros.
  template <class T>
  void write(const float* y, std::size_t rows, std::size_t cols, std::size_t nr, T* to,
             std::size_t stride) const {
    alignas(64) T codes[max_tile];
    range_counter seen;
    elementwise::quantize_row(y, rows * nr, q_, codes, seen);
    for (std::size_t i = 0; i < rows; ++i) {
      std::memcpy(to + i * stride, codes + i * nr, cols * sizeof(T));
    }
    const std::lock_guard lock(mutex_);
    counts_.merge(seen.result());
  }
  /// Of `values` codes: padding is zero, which no grid clips.
  [[nodiscard]] range_counts counts(std::size_t values) const {
    range_counts all = counts_;
    all.count = values;
    return all;
  }
  static constexpr std::size_t tile_rows = 48;  ///< whole tiles of 6 and of 8 rows
  static constexpr std::size_t max_tile = tile_rows * max_nr;

 private:
  quantizer<> q_;
  mutable std::mutex mutex_;
  mutable range_counts counts_;
};

/// Column values of a panel, where they are not read in place.
struct panel_columns {
  alignas(64) panel_copy<std::int32_t> zero;
  alignas(64) panel_copy<float> scale, bias;
};

/// One multiplication: what does not change between its panels and row blocks.
template <class A, class Out>
struct product {
  matrix_view<const A> a;
  const packed_weights& w;
  const dequantization& d;
  matrix_view<Out> out;
  row_plan rows;
  std::byte* copied = nullptr;              ///< [rows.block] rows of rows.stride bytes
  const std::int32_t* row_zeros = nullptr;  ///< [m], -za', when there is one per row
  const std::int32_t* row_sums = nullptr;   ///< [m], -(rowsum - k * za), when columns have zeros
  const code_writer* writer = nullptr;      ///< when out holds codes
  static constexpr bool is_signed = std::is_same_v<A, std::int8_t>;

  /// Rows first .. first + count of `a` into the scratch buffer, at row `at`.
  void prepare(std::size_t first, std::size_t count, std::size_t at) const {
    kernels::prepare_job job;
    job.m = count, job.k = w.k(), job.padded_k = w.padded_k();
    job.a = reinterpret_cast<const std::uint8_t*>(a.data()) + first * a.stride();
    job.a_stride = a.stride(), job.is_signed = is_signed;
    job.out = copied + at * rows.stride, job.out_stride = rows.stride;
    job.shift = w.shift(is_signed);
    w.kernel().prepare(job);
  }

  /// The column side of panel p, and the part of the job that depends on it; behind the last panel
  /// come the next rows, if there are `more`.
  void set_panel(std::size_t p, bool more, panel_columns& columns, kernels::panel_job& job) const {
    const std::size_t nr = w.format().nr, first = p * nr;
    job.n = w.n() - first < nr ? w.n() - first : nr;
    job.k = w.padded_k();
    job.b = w.panel(p);
    if (w.panels() * w.panel_bytes() > second_level && (more || p + 1 < w.panels())) {
      job.next = w.panel(p + 1 < w.panels() ? p + 1 : 0);
    }
    const std::int32_t zero = d.row_zero_points.empty() ? 0 : d.row_zero_points[0];
    job.sums = w.panel_sums(p);
    job.factor = row_zeros != nullptr ? 0 : -(zero + w.shift(is_signed));
    if (row_sums != nullptr) {
      job.term[1].column = panel_values(d.column_zero_points, first, job.n, nr, columns.zero);
    }
    if constexpr (!std::is_same_v<Out, std::int32_t>) {
      job.column_scale = panel_values(d.column_scales, first, job.n, nr, columns.scale);
      job.bias = panel_values(d.bias, first, job.n, nr, columns.bias);
      job.row_scale_step = d.row_scales.size() > 1 ? 1 : 0;
    }
  }

  /// Rows first .. first + count of the job, which has its panel; `at` is the place of row `first` in
  /// the scratch.
  void set_rows(kernels::panel_job& job, std::size_t first, std::size_t count,
                std::size_t at) const {
    job.m = count;
    job.a = rows.copied ? static_cast<const void*>(copied + at * rows.stride)
                        : a.data() + first * a.stride();
    job.a_stride = rows.stride;
    if (row_zeros != nullptr) job.term[0].row = row_zeros + first;
    if (row_sums != nullptr) job.term[1].row = row_sums + first;
    if constexpr (!std::is_same_v<Out, std::int32_t>) {
      job.row_scale = d.row_scales.data() + first * job.row_scale_step;
    }
  }

  /// What the column side of panel p reads: three lines an array, for which a kernel that streams
  /// weights from memory would otherwise wait at the beginning of every panel. Inlined: a function that
  /// only prefetches has no effect in g++ 12's eyes, and its call is dropped.
  ZP_ALWAYS_INLINE void fetch_columns(std::size_t p) const {
    const std::size_t nr = w.format().nr, first = p * nr;
    fetch(w.panel_sums(p), nr);
    if constexpr (!std::is_same_v<Out, std::int32_t>) {
      const std::size_t live = w.n() - first < nr ? w.n() - first : nr;
      if (d.column_scales.size() > 1) fetch(d.column_scales.data() + first, live);
      if (!d.bias.empty()) fetch(d.bias.data() + first, live);
    }
  }
  template <class T>
  ZP_ALWAYS_INLINE static void fetch(const T* from, std::size_t count) {
    const char* const at = reinterpret_cast<const char*>(from);
    for (std::size_t i = 0; i < count * sizeof(T); i += 64) __builtin_prefetch(at + i, 0, 3);
    __builtin_prefetch(at + count * sizeof(T) - 1, 0, 3);
  }

  /// Rows first .. first + count times panel p; `at` as in set_rows.
  void multiply(std::size_t p, std::size_t first, std::size_t count, std::size_t at) const {
    panel_columns columns;
    kernels::panel_job job;
    set_panel(p, first + count < a.rows(), columns, job);
    if (job.next != nullptr && p + 1 < w.panels()) fetch_columns(p + 1);
    if (row_zeros != nullptr) job.term[0].column = w.panel_sums(p);
    Out* const to = out.data() + first * out.stride() + p * w.format().nr;
    if constexpr (code8<Out>) {
      multiply_to_codes(job, first, count, at, to);
    } else {
      set_rows(job, first, count, at);
      job.stride = out.stride();
      if constexpr (std::is_same_v<Out, float>) job.y = to;
      if constexpr (std::is_same_v<Out, std::int32_t>) job.c = to;
      w.format().multiply(job);
      if constexpr (std::is_same_v<Out, float>) {
        if (d.activation != activation_function::none) {
          activate(d.activation, to, count, job.n, out.stride());
        }
      }
    }
  }
  /// The same through floats on the stack, a few tiles of rows at a time.
  void multiply_to_codes(kernels::panel_job& job, std::size_t first, std::size_t count,
                         std::size_t at, Out* to) const {
    const std::size_t nr = w.format().nr;
    alignas(64) float tile[code_writer::max_tile];
    if (job.n < nr) std::fill_n(tile, code_writer::max_tile, 0.0f);
    job.y = tile, job.stride = nr;
    for (std::size_t i = 0; i < count; i += code_writer::tile_rows) {
      const std::size_t some = std::min(code_writer::tile_rows, count - i);
      set_rows(job, first + i, some, at + i);
      w.format().multiply(job);
      if (d.activation != activation_function::none) activate(d.activation, tile, some, nr, nr);
      writer->write(tile, some, job.n, nr, to + i * out.stride(), out.stride());
    }
  }

  /// Blocks of rows; in each, first the rows are prepared, then all panels pass over them.
  template <class Executor>
  void run(const Executor& ex) const {
    const std::size_t mr = w.format().mr;
    for (std::size_t first = 0; first < a.rows(); first += rows.block) {
      const std::size_t count = a.rows() - first < rows.block ? a.rows() - first : rows.block;
      if (rows.copied) {
        in_parts(ex, count, rows.stride, mr,
                 [&](std::size_t at, std::size_t some) { prepare(first + at, some, at); });
      }
      over_panels(ex, w.panels(), count, mr, [&](std::size_t p, std::size_t at, std::size_t some) {
        multiply(p, first + at, some, at);
      });
    }
  }
};

/// Who sees to it that the codes lie in the range that the weights were packed for.
enum class codes_from : std::uint8_t {
  caller,  ///< anybody: they are checked
  layer,   ///< its own quantizer or its own check: a scan of them would find nothing
};

template <class A, class Out, class Executor>
void multiply(matrix_view<const A> a, const packed_weights& w, const dequantization& d,
              matrix_view<Out> out, const Executor& ex, const code_writer* writer = nullptr,
              codes_from origin = codes_from::caller) {
  require_product(a, w, d, out);
  if (out.empty()) return;
  if (origin == codes_from::caller && w.activations()) require_within(a, *w.activations());
  constexpr bool is_signed = std::is_same_v<A, std::int8_t>;
  product<A, Out> job{a, w, d, out, plan_rows(a.rows(), a.stride(), is_signed, w)};
  scratch copied(job.rows.scratch_bytes());
  job.copied = copied.data();
  job.writer = writer;
  const bool zeros = d.row_zero_points.size() > 1, sums = !d.column_zero_points.empty();
  scratch of_rows(((zeros ? 1u : 0u) + (sums ? 1u : 0u)) * a.rows() * sizeof(std::int32_t));
  auto* next = reinterpret_cast<std::int32_t*>(of_rows.data());
  if (zeros) {
    const std::int32_t shift = w.shift(is_signed);
    for (std::size_t i = 0; i < a.rows(); ++i) next[i] = -(d.row_zero_points[i] + shift);
    job.row_zeros = next;
    next += a.rows();
  }
  if (sums) {
    negative_row_sums(a, d.row_zero_points, next);
    job.row_sums = next;
  }
  job.run(ex);
}

}  // namespace detail
}  // namespace zeropoint::inline ZP_BASELINE
