// Quantized weights in panels of 16 outputs, a byte per code: what float_panel.hpp multiplies with.
// Four panels are a unit, as nibble_format.hpp has it: what one row reads is one stream of memory.
// Zero points are kept where one of them is not 0.
#pragma once

#include <zeropoint/base/aligned_buffer.hpp>
#include <zeropoint/nn/float_panel.hpp>
#include <zeropoint/nn/weight.hpp>

#include <algorithm>

namespace zeropoint::inline ZP_BASELINE {

class byte_panels {
 public:
  explicit byte_panels(const quantized_weight& w)
      : out_(w.out()),
        in_(w.in()),
        group_size_(std::min(w.group_size(), std::max<std::size_t>(in_, 1))),
        codes_(panels() * in_ * width),
        scales_(panels() * groups() * width) {
    for (std::size_t j = 0; j < out_; ++j) {
      for (std::size_t k = 0; k < in_; ++k) codes_[code_at(j, k)] = w.code(j, k);
      for (std::size_t g = 0; g < groups(); ++g) {
        const params p = w.params_at(j, g * group_size_);
        const std::size_t at = group_at(j, g);
        scales_[at] = p.scale;
        if (p.zero_point == 0) continue;
        if (zeros_.empty()) zeros_ = aligned_buffer<float>(scales_.size());
        zeros_[at] = static_cast<float>(p.zero_point);
      }
    }
  }

  /// sum [count][width] of panels first .. first + count with x [in]; first is a multiple of 4, and
  /// count unless it ends with the last panel.
  void multiply_row(const float_panel::variant& v, const float* x, std::size_t first,
                    std::size_t count, float* sum) const {
    float_panel::row_job job;
    job.panels = count;
    job.in = in_;
    job.group_size = group_size_;
    job.x = x;
    job.codes = codes_.data() + first * in_ * width;
    job.scale = scales_.data() + first * groups() * width;
    job.zero = zeros_.empty() ? nullptr : zeros_.data() + first * groups() * width;
    job.sum = sum;
    v.row(job);
  }
  /// Inputs first .. first + depth of panel p, all of one group: code - zero [depth][width] and the
  /// scales [width].
  void expand(const float_panel::variant& v, std::size_t p, std::size_t first, std::size_t depth,
              float* w, float* scale) const noexcept {
    static constexpr float none[width] = {};
    const std::size_t from = float_panel::unit_place(p, panels(), in_, first),
                      step = float_panel::unit_place(p, panels(), in_, first + 1) - from,
                      at = float_panel::unit_place(p, panels(), groups(), first / group_size_);
    v.expand(depth, codes_.data() + from, step, zeros_.empty() ? none : zeros_.data() + at, w);
    std::copy_n(scales_.data() + at, width, scale);
  }

  [[nodiscard]] std::size_t group_size() const noexcept { return group_size_; }
  [[nodiscard]] std::int32_t code(std::size_t j, std::size_t k) const noexcept {
    return codes_[code_at(j, k)];
  }
  [[nodiscard]] float scale(std::size_t j, std::size_t k) const noexcept {
    return scales_[group_at(j, k / group_size_)];
  }
  [[nodiscard]] std::int32_t zero_point(std::size_t j, std::size_t k) const noexcept {
    return zeros_.empty() ? 0 : static_cast<std::int32_t>(zeros_[group_at(j, k / group_size_)]);
  }
  [[nodiscard]] std::size_t bytes() const noexcept {
    return codes_.size() + (scales_.size() + zeros_.size()) * sizeof(float);
  }

 private:
  static constexpr std::size_t width = float_panel::width;

  [[nodiscard]] std::size_t panels() const noexcept { return (out_ + width - 1) / width; }
  [[nodiscard]] std::size_t groups() const noexcept {
    return (in_ + group_size_ - 1) / group_size_;
  }
  [[nodiscard]] std::size_t code_at(std::size_t j, std::size_t k) const noexcept {
    return float_panel::unit_place(j / width, panels(), in_, k) + j % width;
  }
  [[nodiscard]] std::size_t group_at(std::size_t j, std::size_t g) const noexcept {
    return float_panel::unit_place(j / width, panels(), groups(), g) + j % width;
  }

  std::size_t out_, in_, group_size_;
  aligned_buffer<std::int8_t> codes_;  ///< [units][in][panels of the unit][width]
  aligned_buffer<float> scales_;       ///< [units][groups][panels of the unit][width]
  aligned_buffer<float> zeros_;        ///< as scales_, zero points as floats; empty: all are 0
};

}  // namespace zeropoint::inline ZP_BASELINE
