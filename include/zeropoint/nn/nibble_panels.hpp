// Quantized weights of up to 4 bits in panels of 16 outputs, two codes to a byte, as
// nibble_format.hpp draws them. Scales are kept as float16 where every one of them is such a
// number, as float otherwise: nothing is rounded. Zero points are bytes, and kept where one of them
// is not 0.
#pragma once

#include <zeropoint/base/aligned_buffer.hpp>
#include <zeropoint/nn/float_panel.hpp>
#include <zeropoint/nn/weight.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>

namespace zeropoint::inline ZP_BASELINE {

class nibble_panels {
 public:
  /// Whether w can be kept here: at most 4 bits, zero points of a byte, and groups that begin at a
  /// word's first input.
  [[nodiscard]] static bool fits(const quantized_weight& w) {
    const auto small = [](std::int32_t z) { return z >= -128 && z <= 127; };
    return w.kind().bits <= 4 && w.in() != 0 &&
           (w.group_size() % word_inputs == 0 || w.group_size() >= w.in()) &&
           std::all_of(w.zero_points().begin(), w.zero_points().end(), small);
  }

  explicit nibble_panels(const quantized_weight& w)
      : out_(w.out()), format_(format_of(w)), records_(format_.bytes(panels())) {
    for (std::size_t j = 0; j < out_; ++j) {
      for (std::size_t k = 0; k < w.in();) {
        const std::size_t at = word_at(j, k), end = std::min(w.in(), k + word_inputs);
        std::uint32_t word = 0;
        for (; k < end; ++k) word |= (static_cast<std::uint32_t>(w.code(j, k)) & 15u) << bit_of(k);
        store(at, word);
      }
      for (std::size_t k = 0; k < w.in(); k += format_.group_size) {
        const params p = w.params_at(j, k);
        if (format_.half_scales) store(scale_at(j, k), to_float16(p.scale));
        if (!format_.half_scales) store(scale_at(j, k), p.scale);
        if (format_.has_zeros) store(zero_at(j, k), static_cast<std::int8_t>(p.zero_point));
      }
    }
  }

  /// sum [count][width] of panels first .. first + count with x [in]; first is a multiple of 4, and
  /// count unless it ends with the last panel.
  void multiply_row(const float_panel::variant& v, const float* x, std::size_t first,
                    std::size_t count, float* sum) const {
    float_panel::nibble_job job;
    job.format = &format_;
    job.panels = count;
    job.x = x;
    job.records = panel(first).unit;
    job.sum = sum;
    v.nibble_row(job);
  }
  /// Inputs first .. first + depth of panel p, all of one group: code - zero [depth][width] and the
  /// scales [width]; first is a multiple of 8.
  void expand(const float_panel::variant& v, std::size_t p, std::size_t first, std::size_t depth,
              float* w, float* scale) const noexcept {
    v.expand_nibbles(float_panel::segment_at(panel(p), first, depth), w, scale);
  }

  [[nodiscard]] std::size_t group_size() const noexcept { return format_.group_size; }
  [[nodiscard]] std::int32_t code(std::size_t j, std::size_t k) const noexcept {
    const std::uint32_t nibble = load<std::uint32_t>(word_at(j, k)) >> bit_of(k) & 15u;
    return static_cast<std::int32_t>(nibble ^ 8u) - 8;
  }
  [[nodiscard]] float scale(std::size_t j, std::size_t k) const noexcept {
    return format_.half_scales ? to_float(load<float16>(scale_at(j, k)))
                               : load<float>(scale_at(j, k));
  }
  [[nodiscard]] std::int32_t zero_point(std::size_t j, std::size_t k) const noexcept {
    return format_.has_zeros ? load<std::int8_t>(zero_at(j, k)) : 0;
  }
  [[nodiscard]] std::size_t bytes() const noexcept { return records_.size(); }
  [[nodiscard]] const float_panel::nibble_format& format() const noexcept { return format_; }
  [[nodiscard]] std::span<const std::byte> records() const noexcept { return records_.span(); }

 private:
  static constexpr std::size_t width = float_panel::width;
  static constexpr std::size_t word_inputs = float_panel::nibble_format::depth;

  [[nodiscard]] static float_panel::nibble_format format_of(const quantized_weight& w) {
    float_panel::nibble_format f{w.in(), std::min(w.group_size(), w.in()), true, false};
    for (const float s : w.scales()) {
      f.half_scales = f.half_scales && std::isfinite(s) && to_float(to_float16(s)) == s;
    }
    for (const std::int32_t z : w.zero_points()) f.has_zeros = f.has_zeros || z != 0;
    return f;
  }
  [[nodiscard]] std::size_t panels() const noexcept { return (out_ + width - 1) / width; }
  [[nodiscard]] float_panel::nibble_panel panel(std::size_t p) const noexcept {
    return float_panel::nibble_panel_at(format_, records_.data(), panels(), p);
  }
  [[nodiscard]] static constexpr std::uint32_t bit_of(std::size_t k) noexcept {
    return float_panel::nibble_bit(k % word_inputs);
  }

  // Places in records_ of what belongs to output j and input k.
  [[nodiscard]] std::size_t place(const std::byte* at) const noexcept {
    return static_cast<std::size_t>(at - records_.data());
  }
  [[nodiscard]] std::size_t word_at(std::size_t j, std::size_t k) const noexcept {
    return place(panel(j / width).words(k)) + j % width * sizeof(std::uint32_t);
  }
  [[nodiscard]] std::size_t scale_at(std::size_t j, std::size_t k) const noexcept {
    return place(panel(j / width).scales(k / format_.group_size)) +
           j % width * format_.scale_bytes(1) / width;
  }
  [[nodiscard]] std::size_t zero_at(std::size_t j, std::size_t k) const noexcept {
    return place(panel(j / width).zeros(k / format_.group_size)) + j % width;
  }
  template <class T>
  [[nodiscard]] T load(std::size_t at) const noexcept {
    T value;
    std::memcpy(&value, records_.data() + at, sizeof value);
    return value;
  }
  template <class T>
  void store(std::size_t at, T value) noexcept {
    std::memcpy(records_.data() + at, &value, sizeof value);
  }

  std::size_t out_;
  float_panel::nibble_format format_;
  aligned_buffer<std::byte> records_;  ///< units of 4 panels, then of one
};

}  // namespace zeropoint::inline ZP_BASELINE
