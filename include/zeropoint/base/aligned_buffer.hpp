// Owning array of trivially copyable elements, 64-byte aligned, zero-initialised: one cache line,
// one zmm.
#pragma once

#include <zeropoint/base/error.hpp>

#include <cstring>
#include <limits>
#include <new>
#include <span>
#include <type_traits>
#include <utility>

namespace zeropoint::inline ZP_BASELINE {

template <class T>
class aligned_buffer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  static constexpr std::size_t alignment = 64;

  aligned_buffer() = default;

  /// `size` zeroed elements. Throws `error` when the size in bytes does not fit std::size_t.
  explicit aligned_buffer(std::size_t size) : size_(size) {
    if (size == 0) return;
    ZP_REQUIRE(size <= (std::numeric_limits<std::size_t>::max() - alignment) / sizeof(T),
               "aligned_buffer: ", size, " elements of ", sizeof(T),
               " bytes exceed the address space");
    data_ = static_cast<T*>(::operator new (size * sizeof(T), std::align_val_t{alignment}));
    std::memset(static_cast<void*>(data_), 0, size * sizeof(T));
  }

  aligned_buffer(const aligned_buffer& other) : aligned_buffer(other.size_) {
    if (size_ != 0) std::memcpy(static_cast<void*>(data_), other.data_, size_ * sizeof(T));
  }
  aligned_buffer(aligned_buffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  aligned_buffer& operator=(aligned_buffer other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~aligned_buffer() { ::operator delete (data_, std::align_val_t{alignment}); }

  [[nodiscard]] T* data() noexcept { return data_; }
  [[nodiscard]] const T* data() const noexcept { return data_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] T& operator[](std::size_t i) noexcept { return data_[i]; }
  [[nodiscard]] const T& operator[](std::size_t i) const noexcept { return data_[i]; }
  [[nodiscard]] T* begin() noexcept { return data_; }
  [[nodiscard]] T* end() noexcept { return data_ + size_; }
  [[nodiscard]] const T* begin() const noexcept { return data_; }
  [[nodiscard]] const T* end() const noexcept { return data_ + size_; }
  [[nodiscard]] std::span<T> span() noexcept { return {data_, size_}; }
  [[nodiscard]] std::span<const T> span() const noexcept { return {data_, size_}; }

 private:
  T* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace zeropoint::inline ZP_BASELINE
