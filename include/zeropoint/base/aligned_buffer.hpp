// Owning array of trivially copyable elements, 64-byte aligned, zero-initialised: one cache line,
// one zmm. A large one lies on huge pages where it can (system_memory.hpp).
#pragma once

#include <zeropoint/base/error.hpp>
#include <zeropoint/base/system_memory.hpp>

#include <cstring>
#include <limits>
#include <span>
#include <type_traits>
#include <utility>

namespace zeropoint::inline ZP_BASELINE {

template <class T>
class aligned_buffer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  static constexpr std::size_t alignment = 64;  ///< at least

  aligned_buffer() = default;

  /// `size` zeroed elements. Throws `error` when the size in bytes does not fit std::size_t.
  explicit aligned_buffer(std::size_t size) : size_(size) {
    if (size == 0) return;
    ZP_REQUIRE(size <= std::numeric_limits<std::size_t>::max() / 2 / sizeof(T),
               "aligned_buffer: ", size, " elements of ", sizeof(T),
               " bytes exceed the address space");
    const detail::memory got = detail::allocate_zeroed(size * sizeof(T));
    data_ = static_cast<T*>(got.data);
    from_ = got.from;
  }

  aligned_buffer(const aligned_buffer& other) : aligned_buffer(other.size_) {
    if (size_ != 0) std::memcpy(static_cast<void*>(data_), other.data_, size_ * sizeof(T));
  }
  aligned_buffer(aligned_buffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)),
        from_(std::exchange(other.from_, detail::origin::heap)) {}
  aligned_buffer& operator=(aligned_buffer other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(from_, other.from_);
    return *this;
  }
  ~aligned_buffer() {
    if (data_ != nullptr) detail::free_memory({data_, from_}, size_ * sizeof(T));
  }

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
  detail::origin from_ = detail::origin::heap;
};

}  // namespace zeropoint::inline ZP_BASELINE
