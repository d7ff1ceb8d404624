// GGUF, versions 2 and 3, little-endian:
//
//   "GGUF" | u32 version | u64 tensors | u64 entries | metadata | tensor table | data
//
//   entry of the metadata    text key, u32 type, value; text = u64 length | bytes
//   entry of the table       text name, u32 n, n * u64 size (innermost first), u32 type, u64 offset
//
// The data begins at the next multiple of general.alignment (32), and so does every tensor in it, in
// the order of the table. Opening reads and checks the header and nothing else; a tensor is read
// when it is asked for. Format: ggml-org/ggml, docs/gguf.md. As strict as safetensors.hpp: a gap, an
// overlap, a second tensor of a name or bytes behind the last tensor are errors.
#pragma once

#include <lab/io/file.hpp>
#include <lab/io/ggml_types.hpp>

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace lab {

/// Bytes of a key of the metadata, and of the name of a tensor, at most.
inline constexpr std::size_t gguf_longest_key = 65535, gguf_longest_name = 63;

enum class gguf_kind : std::uint32_t {
  u8,
  i8,
  u16,
  i16,
  u32,
  i32,
  f32,
  boolean,
  text,
  array,
  u64,
  i64,
  f64
};

/// A value of the metadata, or an array of values of one kind, which is never an array itself.
class gguf_value {
 public:
  using element = std::variant<std::uint64_t, std::int64_t, double, bool, std::string>;

  gguf_value(gguf_kind kind, bool is_array, std::vector<std::byte> numbers)
      : kind_(kind), is_array_(is_array), numbers_(std::move(numbers)) {}
  gguf_value(bool is_array, std::vector<std::string> texts)
      : kind_(gguf_kind::text), is_array_(is_array), texts_(std::move(texts)) {}

  /// Of the elements when it is an array.
  [[nodiscard]] gguf_kind kind() const noexcept { return kind_; }
  [[nodiscard]] bool is_array() const noexcept { return is_array_; }
  /// 1 unless it is an array.
  [[nodiscard]] std::size_t size() const noexcept;
  /// Throws zeropoint::error unless i < size().
  [[nodiscard]] element operator[](std::size_t i) const;
  /// What a file holds of them, one after another: numbers or texts, of which the other is empty.
  [[nodiscard]] std::span<const std::byte> numbers() const noexcept { return numbers_; }
  [[nodiscard]] std::span<const std::string> texts() const noexcept { return texts_; }

 private:
  gguf_kind kind_;
  bool is_array_;
  std::vector<std::byte> numbers_;  ///< as in the file
  std::vector<std::string> texts_;
};

/// "42", "\"gpt2\"", "[0, 1, 2, ...] (50257 elements)"; what came from the file is printable().
[[nodiscard]] std::string text_of(const gguf_value& value);

/// One entry of the table. The bytes [begin, end) count from the first byte of the data.
struct gguf_tensor {
  std::string name;
  const ggml_type* type = nullptr;
  std::vector<std::uint64_t> shape;  ///< outermost first, as everywhere else; empty for a scalar
  std::uint64_t begin = 0;
  std::uint64_t end = 0;

  [[nodiscard]] std::uint64_t bytes() const noexcept { return end - begin; }
  /// The product of the shape; it has been checked to fit.
  [[nodiscard]] std::uint64_t elements() const noexcept;
};

/// In the order of the file.
using gguf_entries = std::vector<std::pair<std::string, gguf_value>>;

/// The checked header of one file.
struct gguf_header {
  std::uint32_t version = 3;
  std::uint64_t alignment = 32;
  gguf_entries metadata;
  std::vector<gguf_tensor> tensors;  ///< in the order of their bytes
  std::uint64_t data_begin = 0;      ///< in the file
};

/// Whether a path names such a file: it ends with .gguf and is not a folder.
[[nodiscard]] bool is_gguf(const std::filesystem::path& path);

/// Throws input_error. Memory is at most some ten times the bytes of the header, of which there may
/// be 100 million.
[[nodiscard]] gguf_header read_gguf_header(const input_file& file);

/// One opened file.
class gguf_file {
 public:
  explicit gguf_file(const std::filesystem::path&);

  [[nodiscard]] const gguf_header& header() const noexcept { return header_; }
  [[nodiscard]] const std::vector<gguf_tensor>& tensors() const noexcept { return header_.tensors; }
  [[nodiscard]] std::uint64_t file_bytes() const noexcept { return file_.size(); }
  [[nodiscard]] const std::string& path() const noexcept { return file_.path(); }

  /// Null when there is no such key or tensor.
  [[nodiscard]] const gguf_value* metadata(std::string_view key) const;
  [[nodiscard]] const gguf_tensor* find(std::string_view name) const;
  /// As find(), but a missing tensor is an input_error that names it.
  [[nodiscard]] const gguf_tensor& at(std::string_view name) const;

  /// The stored bytes of a tensor of this file into `out`, whose size is tensor.bytes().
  void read(const gguf_tensor& tensor, std::span<std::byte> out) const;
  /// As float, row-major (ggml_type::decode). Types without a decoder are an input_error.
  [[nodiscard]] std::vector<float> floats(const gguf_tensor& tensor) const;
  /// The same into `out`, whose size is the number of elements.
  void floats(const gguf_tensor& tensor, std::span<float> out) const;

 private:
  void require_decoder(const gguf_tensor& tensor) const;

  input_file file_;
  gguf_header header_;
  std::map<std::string_view, std::size_t> by_name_;
};

}  // namespace lab
