// Writing a GGUF file piece by piece, for tensors that are not all in memory at once: version 3, in the
// layout of gguf.hpp with an alignment of 32.
#pragma once

#include <lab/io/gguf.hpp>

namespace lab {

/// What the table says of a tensor.
struct gguf_layout {
  std::string name;
  const ggml_type* type = nullptr;
  std::vector<std::uint64_t> shape;  ///< outermost first

  /// Throws zeropoint::error for rows that are not whole blocks.
  [[nodiscard]] std::uint64_t bytes() const;
};

class gguf_writer {
 public:
  /// Writes the header, into a temporary file as output_file does. Throws zeropoint::error for a key
  /// or a name that appears twice or is too long, and for a shape that the reader would refuse.
  gguf_writer(const std::filesystem::path& path, const gguf_entries& metadata,
              std::span<const gguf_layout> tensors);

  /// The bytes of the next tensor of the table, all of them.
  void write(std::span<const std::byte> tensor);
  /// The file appears. Requires that all tensors have come.
  void finish();

 private:
  output_file file_;
  std::vector<std::uint64_t> sizes_;
  std::size_t written_ = 0;
};

/// Values of the kinds that models need.
[[nodiscard]] gguf_value gguf_u32(std::uint32_t value);
[[nodiscard]] gguf_value gguf_f32(float value);
[[nodiscard]] gguf_value gguf_boolean(bool value);
[[nodiscard]] gguf_value gguf_text(std::string value);
[[nodiscard]] gguf_value gguf_texts(std::vector<std::string> values);
[[nodiscard]] gguf_value gguf_i32s(std::span<const std::int32_t> values);
[[nodiscard]] gguf_value gguf_f32s(std::span<const float> values);

}  // namespace lab
