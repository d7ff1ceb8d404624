// Products of int8 activations and 4-bit weights whose scales (and zero points) belong to groups
// along k:
//
//   const packed_int4_weights w(n, k, group, code, params_of);
//   gemm(a, w, d, y)     y [m, n] = f(fma(total, row_scale, bias)), total = sum over groups of
//                        scale(j, g) * (sum over k in g of a(i, k) * (code(j, k) - zero(j, g)))
//
// The sums of a group are exact, the float steps are defined one by one (kernels/int4.hpp): the same
// bits from every kernel, executor and number of threads. 4.5 bits a weight in memory for groups of
// 32 whose scales are float16 numbers.
#pragma once

#include <zeropoint/base/float16.hpp>
#include <zeropoint/gemm/gemm.hpp>
#include <zeropoint/math/params.hpp>

namespace zeropoint::inline ZP_BASELINE {

/// n outputs x k inputs of 4 bits in groups, as one kernel reads them (drawn in kernels/int4.hpp).
/// Immutable once packed; safe to share between threads; remembers its kernel.
class packed_int4_weights {
 public:
  packed_int4_weights() = default;

  /// `code(j, i)` of output j and input i, and `params_of(j, g)` of its group g: codes of 2 to 4 bits,
  /// signed (-8 .. 7) or unsigned (0 .. 15). `group` inputs share params, the last group may be
  /// shorter. Scales are kept as float16 where all of them are such numbers, as float otherwise:
  /// nothing is rounded. Throws `error` for several groups of a size that is not a multiple of 32,
  /// codes or zero points outside 4 bits, groups too long for 32-bit sums, a kernel that does not
  /// run here.
  template <class Code, class ParamsOf>
  packed_int4_weights(std::size_t n, std::size_t k, std::size_t group, Code&& code,
                      ParamsOf&& params_of, const kernels::kernel& kernel = kernels::best())
      : n_(n), k_(k), kernel_(&kernel) {
    ZP_REQUIRE(kernels::runs_here(kernel), "pack: kernel \"", kernel.name,
               "\" needs instructions this processor lacks");
    ZP_REQUIRE(group > 0, "pack: groups of 0 inputs, expected at least 1");
    constexpr std::size_t unit = kernels::int4_group_unit;
    const std::size_t longest = max_depth(128, 15) / unit * unit;
    group_ = group < k ? group : (k + unit - 1) / unit * unit;
    ZP_REQUIRE(group_ % unit == 0, "pack: groups of ", group, " of ", k,
               " inputs, expected a multiple of ", unit, " or one group");
    ZP_REQUIRE(group_ <= longest, "pack: groups of ", group, " inputs, at most ", longest,
               " products of 4 by 8 bits fit 32");
    const std::size_t limit = static_cast<std::size_t>(-1) / 8;
    ZP_REQUIRE(n < limit && k < limit && (n == 0 || k <= limit / 4 / (n + nr())), "pack: ", n,
               " x ", k, " weights exceed the address space");
    for (std::size_t j = 0; j < n; ++j) {
      for (std::size_t g = 0; g < groups(); ++g) look_at(params_of(j, g));
    }
    values_ = aligned_buffer<std::uint8_t>(panels() * panel_bytes());
    for (std::size_t j = 0; j < n; ++j) {
      for (std::size_t g = 0; g < groups(); ++g) fill(j, g, params_of(j, g), code);
    }
  }

  [[nodiscard]] std::size_t n() const noexcept { return n_; }
  [[nodiscard]] std::size_t k() const noexcept { return k_; }
  [[nodiscard]] const kernels::kernel& kernel() const noexcept { return *kernel_; }
  [[nodiscard]] kernels::int4_layout layout() const noexcept { return layout_; }
  /// Memory held: nibbles, scales and zero points with the padding of the last panel and group.
  [[nodiscard]] std::size_t bytes() const noexcept { return values_.size(); }

  /// Inputs that share params: a multiple of 32 (one group alone is rounded up to it).
  [[nodiscard]] std::size_t group() const noexcept { return group_; }
  [[nodiscard]] std::size_t groups() const noexcept {
    return group_ == 0 ? 0 : (k_ + group_ - 1) / group_;
  }
  [[nodiscard]] std::size_t padded_k() const noexcept { return groups() * group_; }
  [[nodiscard]] std::size_t nr() const noexcept { return kernel_->int4->nr; }
  [[nodiscard]] std::size_t panels() const noexcept { return (n_ + nr() - 1) / nr(); }
  [[nodiscard]] std::size_t panel_bytes() const noexcept { return groups() * group_bytes(); }
  [[nodiscard]] const std::uint8_t* panel(std::size_t p) const noexcept {
    return values_.data() + p * panel_bytes();
  }

  /// Out of the panels: weight (j, i) is scale * (code - zero_point), codes 0 .. 15 (a signed code
  /// and its zero point + 8).
  [[nodiscard]] std::int32_t code(std::size_t j, std::size_t i) const noexcept {
    const std::uint8_t byte = values_[nibbles_at(j, i / group_) + nibble_at(j, i % group_)];
    return i % 8 < 4 ? byte & 15 : byte >> 4;
  }
  [[nodiscard]] params params_at(std::size_t j, std::size_t g) const noexcept {
    const std::uint8_t* scales = values_.data() + group_at(j, g);
    params p{1, 8, 0, 15};
    if (layout_.half_scales) {
      float16 half;
      std::memcpy(&half, scales + 2 * (j % nr()), 2);
      p.scale = to_float(half);
    } else {
      std::memcpy(&p.scale, scales + 4 * (j % nr()), 4);
    }
    if (layout_.zeros) p.zero_point = scales[nr() * (layout_.half_scales ? 2 : 4) + j % nr()];
    return p;
  }

 private:
  /// What one group's params say about the layout of all.
  void look_at(const params& p) {
    const std::int32_t shift = p.qmin < 0 ? 8 : 0;
    ZP_REQUIRE(p.qmin + shift >= 0 && p.qmax + shift <= 15 && p.zero_point + shift >= 0 &&
                   p.zero_point + shift <= 15,
               "pack: codes ", p.qmin, " .. ", p.qmax, " around ", p.zero_point,
               ", expected within -8 .. 7 or 0 .. 15");
    layout_.half_scales = layout_.half_scales && to_float(to_float16(p.scale)) == p.scale;
    layout_.zeros = layout_.zeros || p.zero_point + shift != 8;
  }
  template <class Code>
  void fill(std::size_t j, std::size_t g, const params& p, Code& code) {
    const std::size_t column = j % nr();
    const std::int32_t shift = p.qmin < 0 ? 8 : 0;
    std::uint8_t* scales = values_.data() + group_at(j, g);
    if (layout_.half_scales) {
      const float16 half = to_float16(p.scale);
      std::memcpy(scales + 2 * column, &half, 2);
    } else {
      std::memcpy(scales + 4 * column, &p.scale, 4);
    }
    if (layout_.zeros) {
      scales[nr() * (layout_.half_scales ? 2 : 4) + column] =
          static_cast<std::uint8_t>(p.zero_point + shift);
    }
    std::uint8_t* to = values_.data() + nibbles_at(j, g);
    for (std::size_t i = 0; i < group_ && g * group_ + i < k_; ++i) {
      const std::int32_t q = code(j, g * group_ + i);
      ZP_REQUIRE(q >= p.qmin && q <= p.qmax, "pack: code ", q, " of output ", j, ", input ",
                 g * group_ + i, ", expected ", p.qmin, " .. ", p.qmax);
      const auto nibble = static_cast<unsigned>(q + shift) << (i % 8 < 4 ? 0 : 4);
      std::uint8_t& byte = to[nibble_at(j, i)];
      byte = static_cast<std::uint8_t>(byte | nibble);
    }
  }

  [[nodiscard]] std::size_t group_bytes() const noexcept {
    return layout_.group_bytes(nr(), group_);
  }
  /// Where output j's panel has group g; its nibbles; and in them the byte of input i of the group.
  [[nodiscard]] std::size_t group_at(std::size_t j, std::size_t g) const noexcept {
    return j / nr() * panel_bytes() + g * group_bytes();
  }
  [[nodiscard]] std::size_t nibbles_at(std::size_t j, std::size_t g) const noexcept {
    return group_at(j, g) + group_bytes() - nr() * group_ / 2;
  }
  [[nodiscard]] std::size_t nibble_at(std::size_t j, std::size_t i) const noexcept {
    return (i / 8 * nr() + j % nr()) * 4 + i % 4;
  }

  std::size_t n_ = 0, k_ = 0, group_ = 0;
  const kernels::kernel* kernel_ = &kernels::scalar::table;
  kernels::int4_layout layout_{true, false};
  aligned_buffer<std::uint8_t> values_;
};

/// Integers to real numbers; the scales of the weights are packed with them.
struct int4_dequantization {
  std::span<const float> row_scales = {};  ///< 1 or m: scales of the activations
  std::span<const float> bias = {};        ///< none or n
  activation_function activation = activation_function::none;
};

namespace detail {

/// One multiplication by 4-bit weights, block of rows by block of rows.
struct int4_product {
  matrix_view<const std::int8_t> a;
  const packed_int4_weights& w;
  const int4_dequantization& d;
  matrix_view<float> y;
  row_plan rows;
  std::byte* copied = nullptr;         ///< [rows.block] rows of rows.stride bytes
  std::int32_t* minus_sums = nullptr;  ///< [rows.block][groups]

  [[nodiscard]] const std::int8_t* row(std::size_t first, std::size_t at) const noexcept {
    return rows.copied ? reinterpret_cast<const std::int8_t*>(copied + at * rows.stride)
                       : a.data() + (first + at) * a.stride();
  }
  /// Row first + at: padded with zeros where it has to be, and the sums of its groups.
  void prepare(std::size_t first, std::size_t at) const {
    if (rows.copied) {
      std::byte* to = copied + at * rows.stride;
      std::memcpy(to, a.data() + (first + at) * a.stride(), w.k());
      std::memset(to + w.k(), 0, w.padded_k() - w.k());
    }
    const std::int8_t* from = row(first, at);
    for (std::size_t g = 0; g < w.groups(); ++g, from += w.group()) {
      std::int32_t sum = 0;
      for (std::size_t k = 0; k < w.group(); ++k) sum += from[k];
      minus_sums[at * w.groups() + g] = -sum;
    }
  }
  /// `count` rows from `at` of the block that starts at row `first`, times panel p.
  void multiply(std::size_t p, std::size_t first, std::size_t at, std::size_t count) const {
    const std::size_t nr = w.nr(), column = p * nr;
    alignas(64) panel_copy<float> bias;
    kernels::int4_job job;
    job.m = count, job.n = w.n() - column < nr ? w.n() - column : nr;
    job.groups = w.groups(), job.group = w.group();
    job.a = row(first, at), job.a_stride = rows.stride;
    job.minus_sums = minus_sums + at * w.groups();
    job.b = w.panel(p);
    const bool more = first + at + count < a.rows(), last = p + 1 == w.panels();
    const std::size_t kept = a.rows() == 1 ? second_level_of_a_row : second_level;
    if (w.bytes() > kept && (more || !last)) job.next = w.panel(last ? 0 : p + 1);
    job.y = y.data() + (first + at) * y.stride() + column, job.stride = y.stride();
    job.row_scale_step = d.row_scales.size() > 1 ? 1 : 0;
    job.row_scale = d.row_scales.data() + (first + at) * job.row_scale_step;
    job.bias = panel_values(d.bias, column, job.n, nr, bias);
    w.kernel().int4->of(w.layout())(job);
    if (d.activation != activation_function::none) {
      activate(d.activation, job.y, count, job.n, job.stride);
    }
  }
  template <class Executor>
  void run(const Executor& ex) const {
    for (std::size_t first = 0; first < a.rows(); first += rows.block) {
      const std::size_t count = a.rows() - first < rows.block ? a.rows() - first : rows.block;
      in_parts(ex, count, w.padded_k(), 1, [&](std::size_t at, std::size_t some) {
        for (std::size_t i = at; i < at + some; ++i) prepare(first, i);
      });
      over_panels(
          ex, w.panels(), count, w.kernel().int4->mr,
          [&](std::size_t p, std::size_t at, std::size_t some) { multiply(p, first, at, some); });
    }
  }
};

}  // namespace detail

/// y [m, n] of a [m, k]: see the head of this file. Throws `error` for shapes that do not match and
/// an output that overlaps `a`. Spans of `d` must not overlap y.
template <executor Executor = serial>
void gemm(matrix_view<const std::int8_t> a, const packed_int4_weights& w,
          const int4_dequantization& d, matrix_view<float> y, const Executor& ex = {}) {
  const std::size_t m = a.rows(), n = w.n();
  detail::require_shapes(a, w.n(), w.k(), y);
  ZP_REQUIRE(m == 0 || d.row_scales.size() == 1 || d.row_scales.size() == m,
             "gemm: ", d.row_scales.size(), " row scales, expected 1 or ", m);
  ZP_REQUIRE(d.bias.empty() || d.bias.size() == n, "gemm: ", d.bias.size(),
             " bias values, expected 0 or ", n);
  if (y.empty()) return;
  const bool copy = w.k() != w.padded_k() || detail::rows_collide(m, a.stride());
  const detail::row_plan rows =
      detail::plan_block(m, copy, copy ? w.padded_k() : a.stride(), w.kernel().int4->mr);
  detail::scratch copied(rows.scratch_bytes());
  detail::scratch sums(rows.block * w.groups() * sizeof(std::int32_t));
  detail::int4_product{
      a, w, d, y, rows, copied.data(), reinterpret_cast<std::int32_t*>(sums.data())}
      .run(ex);
}

}  // namespace zeropoint::inline ZP_BASELINE
