// Memory for the length of a call, where zeroing it or asking the heap for it would be seen.
#pragma once

#include <zeropoint/base/platform.hpp>

#include <cstddef>
#include <new>
#include <span>
#include <type_traits>

namespace zeropoint::inline ZP_BASELINE {
namespace detail {

/// Uninitialised bytes, 64-byte aligned; up to `Inside` of them live inside the object.
template <std::size_t Inside>
class scratch_of {
 public:
  explicit scratch_of(std::size_t bytes) {
    if (bytes > sizeof inside_) {
      heap_ = static_cast<std::byte*>(::operator new (bytes, std::align_val_t{64}));
    }
  }
  scratch_of(const scratch_of&) = delete;
  scratch_of& operator=(const scratch_of&) = delete;
  ~scratch_of() {
    if (heap_ != nullptr) ::operator delete (heap_, std::align_val_t{64});
  }
  [[nodiscard]] std::byte* data() noexcept { return heap_ != nullptr ? heap_ : inside_; }
  /// The same memory for values of a trivial type.
  template <class T>
  [[nodiscard]] T* as() noexcept {
    static_assert(std::is_trivially_destructible_v<T>);
    return reinterpret_cast<T*>(data());
  }

 private:
  alignas(64) std::byte inside_[Inside];
  std::byte* heap_ = nullptr;
};

/// For the codes of a few rows.
using scratch = scratch_of<8192>;
/// For one row of floats, of up to 8192: a token that is decoded asks the heap for nothing.
using row_scratch = scratch_of<32768>;

/// `size` copies of a value, without an allocation up to `Inside` of them: the params of a few rows.
template <class T, std::size_t Inside>
class scratch_array {
  static_assert(std::is_trivially_destructible_v<T>);

 public:
  explicit scratch_array(std::size_t size, const T& value = {}) : size_(size) {
    if (size > Inside) data_ = heap_ = new T[size];
    fill(value);
  }
  scratch_array(const scratch_array&) = delete;
  scratch_array& operator=(const scratch_array&) = delete;
  ~scratch_array() { delete[] heap_; }

  void fill(const T& value) noexcept {
    for (T& x : span()) x = value;
  }
  [[nodiscard]] std::span<T> span() noexcept { return {data_, size_}; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }

 private:
  T inside_[Inside];
  T *heap_ = nullptr, *data_ = inside_;
  std::size_t size_;
};

}  // namespace detail
}  // namespace zeropoint::inline ZP_BASELINE
