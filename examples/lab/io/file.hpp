// Files with checked sizes: nothing is read that the caller did not bound, nothing is written in
// place.
#pragma once

#include <lab/io/error.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace lab {

/// A regular file opened for reading at any place. Throws input_error when it does not exist, is a
/// folder, or cannot be opened.
class input_file {
 public:
  explicit input_file(const std::filesystem::path&);
  input_file(input_file&&) noexcept;
  input_file& operator=(input_file&&) noexcept;
  ~input_file();

  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  /// Exactly out.size() bytes from `offset`; an input_error when the file ends before.
  void read(std::uint64_t offset, std::span<std::byte> out) const;

 private:
  std::string path_;
  std::uint64_t size_ = 0;
  int descriptor_ = -1;
};

/// A new file that appears under its name only when finish() is called: it is written beside it
/// under a temporary name, which the destructor removes otherwise.
class output_file {
 public:
  explicit output_file(const std::filesystem::path&);
  output_file(const output_file&) = delete;
  output_file& operator=(const output_file&) = delete;
  ~output_file();

  void write(std::span<const std::byte> data);
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }
  void finish();

 private:
  std::string path_;
  std::string temporary_;
  int descriptor_ = -1;
};

/// The whole file; an input_error when it is larger than `limit` bytes.
[[nodiscard]] std::string read_file(const std::filesystem::path&, std::uint64_t limit);
/// A whole output_file.
void write_file(const std::filesystem::path&, std::string_view text);

}  // namespace lab
