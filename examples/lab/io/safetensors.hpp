// safetensors: 8 bytes little-endian N | N bytes of JSON | the tensors, one after another.
//
//   {"wte.weight":{"dtype":"F16","shape":[4096,256],"data_offsets":[0,2097152]}, ...}
//
// Opening reads and checks the header and nothing else; a tensor is read when it is asked for.
// Format: huggingface/safetensors README. Stricter than the reference reader: a duplicate key, an
// unknown field of a tensor, or a byte that no tensor owns is an error.
#pragma once

#include <lab/io/error.hpp>
#include <lab/io/file.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lab {

/// In the order in which the reference writer sorts them: by the alignment of the element.
/// `unknown` is any other name: such a tensor can be listed, not read.
enum class dtype : std::uint8_t {
  unknown,
  boolean,
  f4,
  f6_e2m3,
  f6_e3m2,
  u8,
  i8,
  f8_e5m2,
  f8_e4m3,
  f8_e8m0,
  f8_e4m3fnuz,
  f8_e5m2fnuz,
  i16,
  u16,
  f16,
  bf16,
  i32,
  u32,
  f32,
  c64,
  f64,
  i64,
  u64
};

/// "F16", "I8", ...; "unknown" for dtype::unknown.
[[nodiscard]] std::string_view name(dtype) noexcept;
/// The inverse of name(); dtype::unknown for any other text.
[[nodiscard]] dtype dtype_named(std::string_view) noexcept;
/// Bits of one element: 4, 6, 8, 16, 32 or 64; 0 for dtype::unknown.
[[nodiscard]] unsigned bits(dtype) noexcept;

/// One entry of a header. The bytes [begin, end) count from the first byte after the header.
struct tensor_info {
  std::string name;
  dtype type = dtype::unknown;
  std::string type_name;             ///< as written in the file; differs from name(type) if unknown
  std::vector<std::uint64_t> shape;  ///< empty for a scalar
  std::uint64_t begin = 0;
  std::uint64_t end = 0;

  [[nodiscard]] std::uint64_t bytes() const noexcept { return end - begin; }
  /// The product of the shape; it has been checked to fit.
  [[nodiscard]] std::uint64_t elements() const noexcept;
};

/// "[4096, 256]"
[[nodiscard]] std::string shape_text(std::span<const std::uint64_t> shape);

/// The checked header of one file.
struct safetensors_header {
  std::vector<tensor_info> tensors;  ///< in the order of their bytes
  std::map<std::string, std::string> metadata;
  std::uint64_t data_begin = 0;  ///< 8 + N: where the bytes of the tensors begin in the file
};

/// Parses the N bytes of JSON of a file with `data_bytes` bytes after the header. `file` is for
/// messages. Throws input_error; memory and time are O(n log n) in the size of the text.
[[nodiscard]] safetensors_header parse_safetensors_header(std::string_view text,
                                                          std::uint64_t data_bytes,
                                                          const std::string& file);

/// One opened file.
class safetensors_file {
 public:
  /// Opens, checks the header against the size of the file, reads no tensor.
  explicit safetensors_file(const std::filesystem::path&);

  [[nodiscard]] const std::vector<tensor_info>& tensors() const noexcept { return header_.tensors; }
  [[nodiscard]] const std::map<std::string, std::string>& metadata() const noexcept {
    return header_.metadata;
  }
  [[nodiscard]] std::uint64_t file_bytes() const noexcept { return file_.size(); }
  [[nodiscard]] const std::string& path() const noexcept { return file_.path(); }

  /// The bytes of a tensor of this file into `out`, whose size is info.bytes().
  void read(const tensor_info& info, std::span<std::byte> out) const;
  /// A piece of them: out.size() bytes from byte `from` of the tensor.
  void read(const tensor_info& info, std::uint64_t from, std::span<std::byte> out) const;

 private:
  input_file file_;
  safetensors_header header_;
};

/// What models read: one file, or the shards that an index file names. Names are unique over all
/// shards, and the index and the shards agree exactly.
class safetensors {
 public:
  /// A .safetensors file, a model.safetensors.index.json, or a folder that holds
  /// model.safetensors or model.safetensors.index.json.
  explicit safetensors(const std::filesystem::path&);

  struct entry {
    tensor_info info;
    std::size_t file = 0;  ///< index into files()
  };
  [[nodiscard]] const std::vector<safetensors_file>& files() const noexcept { return files_; }
  /// Sorted by name.
  [[nodiscard]] const std::map<std::string, entry, std::less<>>& tensors() const noexcept {
    return tensors_;
  }
  /// What messages about the whole checkpoint name.
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

  [[nodiscard]] bool contains(std::string_view name) const { return find(name) != nullptr; }
  /// Null when there is no such tensor.
  [[nodiscard]] const tensor_info* find(std::string_view name) const;
  /// As find(), but a missing tensor is an input_error that names it.
  [[nodiscard]] const tensor_info& at(std::string_view name) const;

  /// The stored bytes.
  [[nodiscard]] std::vector<std::byte> bytes(std::string_view name) const;
  /// As float, row-major: exact for F16, BF16, F32, BOOL and integers of up to 16 bits; F64, I32,
  /// U32, I64 and U64 round to nearest even. Other types are refused.
  [[nodiscard]] std::vector<float> floats(std::string_view name) const;
  /// The same into `out`, whose size is the number of elements.
  void floats(std::string_view name, std::span<float> out) const;
  /// A piece of them: out.size() elements from element `first` on.
  void floats_from(std::string_view name, std::uint64_t first, std::span<float> out) const;

 private:
  [[nodiscard]] const entry& require(std::string_view name) const;

  std::string path_;
  std::vector<safetensors_file> files_;
  std::map<std::string, entry, std::less<>> tensors_;
};

/// One tensor to write. The data is borrowed; its size is what type and shape say.
struct tensor_source {
  std::string name;
  dtype type = dtype::unknown;
  std::vector<std::uint64_t> shape;
  std::span<const std::byte> data;
};

/// Writes a file that the reference reader accepts, through a temporary file in the same folder and
/// a rename, so that a reader of an older file of that name is never disturbed. Metadata first,
/// then tensors by descending alignment and name; the header padded with spaces to a multiple of 8:
/// writing what was read from a file of this layout gives the same bytes.
void write_safetensors(const std::filesystem::path&, std::span<const tensor_source> tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace lab
