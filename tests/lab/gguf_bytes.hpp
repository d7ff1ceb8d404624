// Builds the bytes of a GGUF file, right or wrong.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace test {

/// Bytes appended one number after another, little-endian as this machine.
class gguf_bytes {
 public:
  template <class T>
  gguf_bytes& put(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  gguf_bytes& u32(std::uint32_t value) { return put(value); }
  gguf_bytes& u64(std::uint64_t value) { return put(value); }
  gguf_bytes& raw(std::string_view text) {
    bytes_.append(text);
    return *this;
  }
  gguf_bytes& text(std::string_view text) { return u64(text.size()).raw(text); }
  /// An entry of the table; `sizes` innermost first.
  gguf_bytes& tensor(std::string_view name, const std::vector<std::uint64_t>& sizes,
                     std::uint32_t type, std::uint64_t offset) {
    text(name).u32(static_cast<std::uint32_t>(sizes.size()));
    for (const std::uint64_t size : sizes) u64(size);
    return u32(type).u64(offset);
  }
  gguf_bytes& preamble(std::uint64_t tensors, std::uint64_t entries, std::uint32_t version = 3) {
    return raw("GGUF").u32(version).u64(tensors).u64(entries);
  }
  gguf_bytes& pad(std::size_t alignment = 32) {
    bytes_.append((alignment - bytes_.size() % alignment) % alignment, '\0');
    return *this;
  }
  [[nodiscard]] std::size_t size() const { return bytes_.size(); }
  [[nodiscard]] const std::string& get() const { return bytes_; }

 private:
  std::string bytes_;
};

}  // namespace test
