// Which codes a quantization used: how much of its grid the values of a matrix fill.
#pragma once

#include <zeropoint/base/platform.hpp>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace zeropoint::inline ZP_BASELINE {

/// A set of 8-bit codes; signed ones count by their two's complement byte.
class level_set {
 public:
  constexpr void insert(std::int32_t code) noexcept {
    const auto byte = static_cast<std::uint8_t>(code);
    words_[byte / 64] |= std::uint64_t{1} << (byte % 64);
  }
  /// Inserts every code whose flag is 1; the others are 0.
  void insert_flags(const std::array<std::uint8_t, 256>& flags) noexcept {
    for (std::size_t i = 0; i < flags.size(); i += 8) {
      std::uint64_t eight = 0;
      std::memcpy(&eight, flags.data() + i, 8);
      // The product gathers bit 0 of byte j at bit 56 + j.
      words_[i / 64] |= (eight * 0x0102040810204080u >> 56) << (i % 64);
    }
  }
  /// The same of codes c whose bit, c % 8 of byte c / 8, is set.
  void insert_bits(const std::uint8_t (&bits)[32]) noexcept {
    for (std::size_t i = 0; i < 32; ++i) words_[i / 8] |= std::uint64_t{bits[i]} << (i % 8 * 8);
  }
  [[nodiscard]] constexpr bool contains(std::int32_t code) const noexcept {
    const auto byte = static_cast<std::uint8_t>(code);
    return (words_[byte / 64] >> (byte % 64) & 1u) != 0;
  }
  [[nodiscard]] constexpr std::size_t size() const noexcept {
    std::size_t n = 0;
    for (std::uint64_t word : words_) n += static_cast<std::size_t>(std::popcount(word));
    return n;
  }
  constexpr void merge(const level_set& other) noexcept {
    for (std::size_t i = 0; i < words_.size(); ++i) words_[i] |= other.words_[i];
  }
  friend constexpr bool operator==(const level_set&, const level_set&) = default;

 private:
  std::array<std::uint64_t, 4> words_{};
};

}  // namespace zeropoint::inline ZP_BASELINE
