// What all quantized linear layers share: the weight after quantization, addressed [out, in]
// whatever the layout it came in, its params and what quantizing it cost.
//
//   y [m, out] = x [m, in] * W^T + bias,   W(j, k) = scale * (code(j, k) - zero_point)
#pragma once

#include <zeropoint/base/executor.hpp>
#include <zeropoint/base/float16.hpp>
#include <zeropoint/math/quantize.hpp>

#include <functional>
#include <utility>
#include <vector>

namespace zeropoint::inline ZP_BASELINE {

/// Which weights share one scale, chosen at run time: per_tensor, per_output_channel (the default
/// of every layer) or per_group{size}.
class weight_granularity {
 public:
  constexpr weight_granularity(per_tensor_t) noexcept : kind_(kind::tensor) {}           // NOLINT
  constexpr weight_granularity(per_output_channel_t) noexcept : kind_(kind::channel) {}  // NOLINT
  constexpr weight_granularity(per_group g) noexcept : kind_(kind::group), group_(g) {}  // NOLINT

  [[nodiscard]] constexpr bool is_grouped() const noexcept { return kind_ == kind::group; }
  /// f(per_tensor), f(per_output_channel) or f(per_group{...}).
  template <class F>
  decltype(auto) visit(F&& f) const {
    if (kind_ == kind::tensor) return f(per_tensor);
    if (kind_ == kind::channel) return f(per_output_channel);
    return f(group_);
  }

 private:
  enum class kind : std::uint8_t { tensor, channel, group };
  kind kind_;
  per_group group_{};
};

/// A linear_weight or conv1d_weight as int8 codes. Layers build their own form from it and let it
/// go.
class quantized_weight {
 public:
  /// Throws `error` for an unsigned scheme or a weight that is not finite.
  template <weight Weight>
  quantized_weight(const Weight& w, weight_granularity granularity, const scheme& s)
      : is_transposed_(Weight::output == axis::columns), is_grouped_(granularity.is_grouped()) {
    ZP_REQUIRE(s.is_signed, "linear: weights need a signed scheme, got codes ", s.qmin(), " .. ",
               s.qmax());
    auto [codes, damage] =
        granularity.visit([&](const auto& g) { return quantize<std::int8_t>(w, g, s); });
    codes_ = std::move(codes);
    statistics_ = damage;
  }

  /// The same with scales that are float16 numbers, the nearest to those that fit: off by at most
  /// 2^-11 (more below 2^-14), so that what clips, clips within its last step. Throws `error` for a
  /// scale beyond float16's 65504.
  template <weight Weight>
  [[nodiscard]] static quantized_weight with_half_scales(const Weight& w,
                                                         weight_granularity granularity,
                                                         const scheme& s) {
    quantized_weight q(w, granularity, s);
    params_table table = q.codes_.table();
    for (std::size_t b = 0; b < table.count(); ++b) {
      params p = table[b];
      const float nearest = to_float(to_float16(p.scale));
      ZP_REQUIRE(std::isfinite(nearest), "linear: scale ", p.scale, " exceeds float16's 65504");
      p.scale = nearest == 0 ? 0x1p-24f : nearest;
      table.set(b, p);
    }
    auto [codes, damage] = quantize<std::int8_t>(w.values, std::move(table));
    q.codes_ = std::move(codes);
    q.statistics_ = damage;
    return q;
  }

  /// Codes [out, in] that are ready, with what choosing them cost. Throws `error` for blocks that no
  /// weight_granularity has, a code outside the scheme, or statistics of another number of weights.
  quantized_weight(quantized_matrix<std::int8_t> codes, const quantization_statistics& statistics)
      : codes_(std::move(codes)),
        statistics_(statistics),
        is_transposed_(false),
        is_grouped_(codes_.block().cols < codes_.cols()) {
    ZP_REQUIRE(codes_.block().rows == 1 || codes_.table().count() <= 1, "linear: codes of ", out(),
               " x ", in(), " in blocks of ", codes_.block().rows, " x ", codes_.block().cols,
               ", expected one block or blocks of 1 row");
    ZP_REQUIRE(statistics.count == out() * in(), "linear: statistics of ", statistics.count,
               " weights for codes of ", out(), " x ", in());
    for (std::size_t j = 0; j < out(); ++j) {
      for (const std::int8_t q : codes_.values().row(j)) {
        ZP_REQUIRE(q >= codes_.scheme().qmin() && q <= codes_.scheme().qmax(), "linear: code ",
                   static_cast<int>(q), " of output ", j, ", expected ", codes_.scheme().qmin(),
                   " .. ", codes_.scheme().qmax());
      }
    }
  }

  [[nodiscard]] std::size_t out() const noexcept {
    return is_transposed_ ? codes_.cols() : codes_.rows();
  }
  [[nodiscard]] std::size_t in() const noexcept {
    return is_transposed_ ? codes_.rows() : codes_.cols();
  }
  [[nodiscard]] std::int8_t code(std::size_t j, std::size_t k) const {
    return is_transposed_ ? codes_.values()(k, j) : codes_.values()(j, k);
  }
  [[nodiscard]] params params_at(std::size_t j, std::size_t k) const {
    return is_transposed_ ? codes_.params_at(k, j) : codes_.params_at(j, k);
  }
  /// Whether the params change along the inputs.
  [[nodiscard]] bool is_grouped() const noexcept { return is_grouped_; }
  /// Consecutive inputs k that share one params.
  [[nodiscard]] std::size_t group_size() const noexcept {
    return is_transposed_ ? codes_.block().rows : codes_.block().cols;
  }
  /// One per tensor or per output, in order of outputs. Not for groups.
  [[nodiscard]] std::span<const float> scales() const noexcept { return codes_.scales(); }
  [[nodiscard]] std::span<const std::int32_t> zero_points() const noexcept {
    return codes_.zero_points();
  }
  [[nodiscard]] const scheme& kind() const noexcept { return codes_.scheme(); }
  [[nodiscard]] const quantization_statistics& statistics() const noexcept { return statistics_; }
  /// Bytes in a file: codes packed to their bits output by output, a float per scale, a byte per
  /// zero point.
  [[nodiscard]] std::size_t stored_bytes() const noexcept {
    const auto bits = static_cast<std::size_t>(codes_.scheme().bits);
    return out() * ((in() * bits + 7) / 8) + scales().size() * sizeof(float) + zero_points().size();
  }

 private:
  quantized_matrix<std::int8_t> codes_;
  quantization_statistics statistics_;
  bool is_transposed_, is_grouped_;
};

/// Shape, bias and the account of the weights: the same for every layer.
class linear_base {
 public:
  [[nodiscard]] std::size_t in() const noexcept { return in_; }
  [[nodiscard]] std::size_t out() const noexcept { return out_; }
  [[nodiscard]] std::span<const float> bias() const noexcept { return bias_; }
  /// The scheme of the weights.
  [[nodiscard]] const scheme& weights() const noexcept { return scheme_; }
  /// What quantizing the weights cost.
  [[nodiscard]] const quantization_statistics& weight_statistics() const noexcept {
    return statistics_;
  }
  /// Bytes the weights take in a file, without the bias.
  [[nodiscard]] std::size_t stored_bytes() const noexcept { return stored_bytes_; }

 protected:
  linear_base(const quantized_weight& w, std::span<const float> bias)
      : in_(w.in()),
        out_(w.out()),
        bias_(bias.begin(), bias.end()),
        scheme_(w.kind()),
        statistics_(w.statistics()),
        stored_bytes_(w.stored_bytes()) {
    ZP_REQUIRE(bias.empty() || bias.size() == out_, "linear: ", bias.size(),
               " bias values, expected 0 or ", out_);
  }

  void require_columns(std::size_t x_cols, std::size_t y_cols, std::size_t x_rows,
                       std::size_t y_rows) const {
    ZP_REQUIRE(x_cols == in_, "linear: x has ", x_cols, " columns, the layer has ", in_, " inputs");
    ZP_REQUIRE(y_cols == out_, "linear: y has ", y_cols, " columns, the layer has ", out_,
               " outputs");
    ZP_REQUIRE(x_rows == y_rows, "linear: x has ", x_rows, " rows, y has ", y_rows);
  }
  /// x [m, in], y [m, out], no shared bytes.
  void require_shapes(matrix_view<const float> x, matrix_view<const float> y) const {
    require_columns(x.cols(), y.cols(), x.rows(), y.rows());
    if (x.empty() || y.empty()) return;
    const float *x_end = &x(x.rows() - 1, in_ - 1), *y_end = &y(y.rows() - 1, out_ - 1);
    const std::less<const float*> before;
    ZP_REQUIRE(before(x_end, y.data()) || before(y_end, x.data()),
               "linear: x and y share memory: x of ", x.rows(), " x ", in_, ", y of ", y.rows(),
               " x ", out_);
  }
  [[nodiscard]] float bias_at(std::size_t j) const noexcept {
    return bias_.empty() ? 0.0f : bias_[j];
  }

 private:
  std::size_t in_, out_;
  std::vector<float> bias_;
  scheme scheme_;
  quantization_statistics statistics_;
  std::size_t stored_bytes_;
};

}  // namespace zeropoint::inline ZP_BASELINE
