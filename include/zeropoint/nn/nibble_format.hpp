// Codes of up to 4 bits for products with floats, in panels of 16 columns, eight inputs to a word:
//
//   word:    input  0  2  4  6  1  3  5  7      two's complement, input 0 in bits 0 .. 3
//   record:  scales [P][16] | zero points [P][16] | up to a line | words [inputs / 8][P][16]
//   unit:    P panels, the records of their groups in ascending k; P is 4, or 1 for those left over
//
// A row of floats reads a unit as one stream of memory, from end to end (nibble_row.hpp).
#pragma once

#include <zeropoint/base/float16.hpp>
#include <zeropoint/nn/float_row.hpp>

namespace zeropoint::inline ZP_BASELINE {
namespace float_panel {

/// The bit of a word where the code of input 8i + u begins.
[[nodiscard]] constexpr std::uint32_t nibble_bit(std::size_t u) noexcept {
  return static_cast<std::uint32_t>(u / 2 * 4 + u % 2 * 16);
}

/// Where codes, scales and zero points of [panels][in][width] lie.
struct nibble_format {
  static constexpr std::size_t line = 64, depth = 8;

  std::size_t in = 0, group_size = 1;  ///< a multiple of 8, or >= in
  bool half_scales = false;            ///< float16, else float
  bool has_zeros = false;              ///< int8

  [[nodiscard]] constexpr std::size_t scale_bytes(std::size_t unit) const noexcept {
    return unit * width * (half_scales ? sizeof(float16) : sizeof(float));
  }
  [[nodiscard]] constexpr std::size_t head_bytes(std::size_t unit) const noexcept {
    const std::size_t bytes = scale_bytes(unit) + (has_zeros ? unit * width : 0);
    return (bytes + line - 1) / line * line;
  }
  [[nodiscard]] constexpr std::size_t record_bytes(std::size_t unit) const noexcept {
    return head_bytes(unit) + (group_size + depth - 1) / depth * unit * line;
  }
  [[nodiscard]] constexpr std::size_t unit_bytes(std::size_t unit) const noexcept {
    const std::size_t groups = (in + group_size - 1) / group_size;
    return groups * head_bytes(unit) + (in + depth - 1) / depth * unit * line;
  }
  [[nodiscard]] constexpr std::size_t bytes(std::size_t panels) const noexcept {
    return panels / together * unit_bytes(together) + panels % together * unit_bytes(1);
  }
};

/// Panel `index` of the `panels` of a unit.
struct nibble_panel {
  const nibble_format* format = nullptr;
  const std::byte* unit = nullptr;
  std::size_t panels = 1, index = 0;

  [[nodiscard]] const std::byte* record(std::size_t group) const noexcept {
    return unit + group * format->record_bytes(panels);
  }
  [[nodiscard]] const std::byte* scales(std::size_t group) const noexcept {
    return record(group) + index * format->scale_bytes(1);
  }
  [[nodiscard]] const std::byte* zeros(std::size_t group) const noexcept {
    return record(group) + format->scale_bytes(panels) + index * width;
  }
  /// The words of input k; the next eight inputs are step() bytes further on, within the group.
  [[nodiscard]] const std::byte* words(std::size_t k) const noexcept {
    const std::size_t group = k / format->group_size, inside = k - group * format->group_size;
    return record(group) + format->head_bytes(panels) + inside / nibble_format::depth * step() +
           index * nibble_format::line;
  }
  [[nodiscard]] std::size_t step() const noexcept { return panels * nibble_format::line; }
};

/// Panel p of `panels`, whose units begin at `records`.
[[nodiscard]] constexpr nibble_panel nibble_panel_at(const nibble_format& f,
                                                     const std::byte* records, std::size_t panels,
                                                     std::size_t p) noexcept {
  const std::size_t whole = panels / together, unit = p / together;
  const std::byte* at = records + smaller(unit, whole) * f.unit_bytes(together);
  if (unit < whole) return {&f, at, together, p % together};
  return {&f, at + p % together * f.unit_bytes(1), 1, 0};
}

struct nibble_job {
  const nibble_format* format = nullptr;
  std::size_t panels = 0;
  const float* x = nullptr;            ///< [in]
  const std::byte* records = nullptr;  ///< units of `together` panels, then of one; 64-aligned
  float* sum = nullptr;                ///< [panels][width]; written
};

}  // namespace float_panel
}  // namespace zeropoint::inline ZP_BASELINE
