// Tensors to write and the bytes that they borrow.
#pragma once

#include <lab/io/safetensors.hpp>

#include <deque>

namespace lab {

class tensor_list {
 public:
  void add(std::string name, dtype type, std::vector<std::uint64_t> shape,
           std::vector<std::byte> bytes) {
    storage_.push_back(std::move(bytes));
    tensors_.push_back({std::move(name), type, std::move(shape), storage_.back()});
  }
  template <class T>
  void add(std::string name, dtype type, std::vector<std::uint64_t> shape,
           std::span<const T> values) {
    const auto bytes = std::as_bytes(values);
    add(std::move(name), type, std::move(shape), {bytes.begin(), bytes.end()});
  }
  [[nodiscard]] std::span<const tensor_source> all() const noexcept { return tensors_; }

 private:
  std::deque<std::vector<std::byte>> storage_;  // does not move what it holds
  std::vector<tensor_source> tensors_;
};

}  // namespace lab
