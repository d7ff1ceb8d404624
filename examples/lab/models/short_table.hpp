// A table of floats in 16 bits each, where that changes none of them: what a float16 or bfloat16 file
// holds.
#pragma once

#include <zeropoint/base/float16.hpp>

#include <optional>
#include <variant>
#include <vector>

namespace lab {

class short_table {
 public:
  /// Nothing unless all values are float16 numbers, or all bfloat16 numbers.
  [[nodiscard]] static std::optional<short_table> of(std::span<const float> values);
  /// to[i] = value first + i, the bits that of() was given.
  void read(std::size_t first, std::span<float> to) const;
  [[nodiscard]] std::size_t size() const noexcept;
  [[nodiscard]] std::size_t bytes() const noexcept { return 2 * size(); }

 private:
  std::variant<std::vector<zeropoint::float16>, std::vector<zeropoint::bfloat16>> values_;
};

}  // namespace lab
