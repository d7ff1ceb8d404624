// Writing a safetensors file piece by piece, for tensors that are not all in memory at once. The
// layout is that of write_safetensors() (safetensors.hpp).
#pragma once

#include <lab/io/safetensors.hpp>

namespace lab {

/// What the header says of a tensor.
struct tensor_layout {
  std::string name;
  dtype type = dtype::unknown;
  std::vector<std::uint64_t> shape;
  std::uint64_t bytes = 0;
};

class safetensors_writer {
 public:
  /// Writes the header, into a temporary file as output_file does. Throws zeropoint::error for a
  /// header that the reader would refuse.
  safetensors_writer(const std::filesystem::path& path, std::vector<tensor_layout> tensors,
                     const std::map<std::string, std::string>& metadata = {});

  /// In the order of their bytes: what write() expects.
  [[nodiscard]] const std::vector<tensor_layout>& tensors() const noexcept { return tensors_; }
  /// The next bytes, of any number.
  void write(std::span<const std::byte> data);
  /// The file appears. Requires that all bytes have come.
  void finish();

 private:
  std::vector<tensor_layout> tensors_;
  output_file file_;
  std::uint64_t missing_ = 0;
};

}  // namespace lab
