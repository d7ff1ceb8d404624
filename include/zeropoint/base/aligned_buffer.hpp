// Owning array of trivially copyable elements, 64-byte aligned, zero-initialised: one cache line,
// one zmm. A large one lies on huge pages where the system gives them on request (Linux).
#pragma once

#include <zeropoint/base/error.hpp>

#include <cstring>
#include <limits>
#include <new>
#include <span>
#include <type_traits>
#include <utility>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace zeropoint::inline ZP_BASELINE {

namespace detail {

// Weights are read from end to end for every token: with pages of 4 KB the prefetcher stops and the
// address is looked up every 64 lines, which costs decoding 4 to 5 %.
inline constexpr std::size_t huge_page = std::size_t{1} << 21;

/// A rest of three quarters of a huge page or more becomes a whole one.
[[nodiscard]] constexpr std::size_t huge_pages_within(std::size_t bytes) noexcept {
  return bytes / huge_page + (bytes % huge_page >= huge_page / 4 * 3 ? 1 : 0);
}

[[nodiscard]] constexpr std::size_t alignment_of(std::size_t bytes) noexcept {
  return huge_pages_within(bytes) != 0 ? huge_page : 64;
}

/// Not initialised. Free with operator delete and alignment_of(bytes).
[[nodiscard]] inline void* allocate_aligned(std::size_t bytes) {
  const std::size_t whole = huge_pages_within(bytes) * huge_page;
  void* data =
      ::operator new (bytes < whole ? whole : bytes, std::align_val_t{alignment_of(bytes)});
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  if (whole != 0) static_cast<void>(::madvise(data, whole, MADV_HUGEPAGE));  // a wish: may fail
#endif
  return data;
}

}  // namespace detail

template <class T>
class aligned_buffer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  static constexpr std::size_t alignment = 64;  ///< at least

  aligned_buffer() = default;

  /// `size` zeroed elements. Throws `error` when the size in bytes does not fit std::size_t.
  explicit aligned_buffer(std::size_t size) : size_(size) {
    if (size == 0) return;
    ZP_REQUIRE(size <= (std::numeric_limits<std::size_t>::max() - detail::huge_page) / sizeof(T),
               "aligned_buffer: ", size, " elements of ", sizeof(T),
               " bytes exceed the address space");
    data_ = static_cast<T*>(detail::allocate_aligned(size * sizeof(T)));
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
  ~aligned_buffer() {
    ::operator delete (data_, std::align_val_t{detail::alignment_of(size_ * sizeof(T))});
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
};

}  // namespace zeropoint::inline ZP_BASELINE
