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

/// A new file that appears under its name only when finish() is called, and then replaces what is there.
/// Until then it has no name at all where the file system can do that (Linux: O_TMPFILE), so that a
/// process that is killed leaves nothing; elsewhere it is <path>.XXXXXX with six other characters, which
/// the destructor removes and a killed process leaves. What cannot be opened is an input_error; a disk
/// that is full or broken is not the caller's mistake, and a std::runtime_error.
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
  void open_temporary();
  void give_name();

  std::string path_;
  std::string temporary_;  ///< of a file that has a name already
  bool nameless_ = false;
  int descriptor_ = -1;
};

/// Throws input_error when output_file could not be made for this path. Leaves nothing behind.
void require_writable(const std::filesystem::path&);
/// A folder and those above it, unless they exist; an input_error when that is impossible.
void make_folder(const std::filesystem::path&);
/// Throws input_error when make_folder() would, or when no file could be written in it. Leaves nothing
/// behind.
void require_folder(const std::filesystem::path&);

/// The whole file; an input_error when it is larger than `limit` bytes.
[[nodiscard]] std::string read_file(const std::filesystem::path&, std::uint64_t limit);
/// A whole output_file.
void write_file(const std::filesystem::path&, std::string_view text);

}  // namespace lab
