// Typed and bounded access to the metadata of a GGUF file; every failure names file and key.
#pragma once

#include <lab/io/gguf.hpp>

#include <optional>

namespace lab {

class gguf_metadata {
 public:
  /// `file` has to stay.
  explicit gguf_metadata(const gguf_file& file) : file_(&file) {}

  /// An integer of any width.
  [[nodiscard]] std::uint64_t integer(std::string_view key, std::uint64_t low,
                                      std::uint64_t high) const;
  [[nodiscard]] std::optional<std::uint64_t> maybe_integer(std::string_view key, std::uint64_t low,
                                                           std::uint64_t high) const;
  /// f32 or f64.
  [[nodiscard]] double real(std::string_view key) const;
  [[nodiscard]] std::optional<double> maybe_real(std::string_view key) const;
  [[nodiscard]] bool boolean(std::string_view key, bool fallback) const;
  [[nodiscard]] std::string text(std::string_view key) const;
  [[nodiscard]] std::optional<std::string> maybe_text(std::string_view key) const;
  [[nodiscard]] std::vector<std::string> texts(std::string_view key) const;
  [[nodiscard]] std::vector<float> reals(std::string_view key) const;
  /// Null when there is no such key; an error unless it is an array of integers.
  [[nodiscard]] const gguf_value* maybe_integers(std::string_view key) const;

  /// Throws: "<file>: metadata <key>: <parts>".
  template <class... Parts>
  [[noreturn]] void wrong(std::string_view key, const Parts&... parts) const {
    reject({file_->path()}, "metadata ", printable(key), ": ", parts...);
  }
  [[nodiscard]] const gguf_file& file() const noexcept { return *file_; }

 private:
  const gguf_file* file_;
};

/// An element of an integer kind; nothing for one below 0.
[[nodiscard]] std::optional<std::uint64_t> unsigned_of(const gguf_value::element& value);

}  // namespace lab
