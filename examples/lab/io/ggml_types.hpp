// The element types of GGUF tensors, and what their bytes mean as float.
//
//           block of 32 elements, little-endian                       element i
//   Q4_0    float16 d | 16 bytes of nibbles                            d * (nibble - 8)
//   Q4_1    float16 d | float16 m | 16 bytes of nibbles                d * nibble + m
//   Q8_0    float16 d | 32 int8                                        d * int8
//
// Element i < 16 is the low nibble of byte i, element i + 16 the high one. F32, F16 and BF16 have
// blocks of one element. Format: ggml-org/ggml, docs/gguf.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace lab {

struct ggml_type {
  /// Whole blocks to out.size() floats, as ggml and the package gguf do, to the bit: d has 11 bits
  /// and a code at most 8, so that their product is exact and only the sum with m rounds. A
  /// signalling NaN of F16 or BF16 becomes quiet.
  using decoder = void (*)(std::span<const std::byte> blocks, std::span<float> out);
  /// The inverse, as the reference quantizers of ggml do (presets.hpp). Throws zeropoint::error for a
  /// value that is not finite or too large for the scale of a block, a float16.
  using encoder = void (*)(std::span<const float> values, std::span<std::byte> blocks);

  std::uint32_t number = 0;  ///< in a file
  std::string_view name;     ///< "Q8_0"
  std::uint32_t block = 1;   ///< elements of a block
  std::uint32_t bytes = 1;   ///< bytes of a block
  decoder decode = nullptr;  ///< null for a type that can be listed, not read
  encoder encode = nullptr;  ///< null for a type that is not written
};

/// Null for a number that no type has, or had and gave up.
[[nodiscard]] const ggml_type* find_ggml_type(std::uint32_t number) noexcept;

/// Numbers of the types that are written.
enum ggml_type_number : std::uint32_t { ggml_f32 = 0, ggml_q4_0 = 2, ggml_q8_0 = 8 };
[[nodiscard]] const ggml_type& ggml_type_of(ggml_type_number number) noexcept;

}  // namespace lab
