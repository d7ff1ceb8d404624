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

/// Of memory: a rest of three quarters of a huge page or more becomes a whole one.
[[nodiscard]] constexpr std::size_t huge_pages_within(std::size_t bytes) noexcept {
  return bytes / huge_page + (bytes % huge_page >= huge_page / 4 * 3 ? 1 : 0);
}

/// Whole huge pages, and of a rest that is none whole pages of any size in use (64 KB).
[[nodiscard]] constexpr std::size_t mapped_size(std::size_t bytes) noexcept {
  const std::size_t whole = huge_pages_within(bytes) * huge_page, page = std::size_t{1} << 16;
  return bytes <= whole ? whole : (bytes + page - 1) / page * page;
}

/// Whether large memory comes from the system itself: what the heap has handed out before consists of
/// small pages that are there already, and stays so. Not under the address sanitizer, which watches the
/// ends of heap blocks only.
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ZP_MAPS_MEMORY 0
#endif
#endif
#if !defined(ZP_MAPS_MEMORY)
#if defined(__linux__) && !defined(__SANITIZE_ADDRESS__)
#define ZP_MAPS_MEMORY 1
#else
#define ZP_MAPS_MEMORY 0
#endif
#endif

/// Zeroed memory, and who is to have it back: files with and without a sanitizer exchange buffers.
struct memory {
  void* data = nullptr;
  bool mapped = false;
};

#if ZP_MAPS_MEMORY
[[nodiscard]] inline std::byte* map_zeroed(std::size_t bytes) noexcept {
  void* const got =
      ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return got == MAP_FAILED ? nullptr : static_cast<std::byte*>(got);
}
#endif

/// `bytes` bytes, 64-byte aligned, or from where huge pages fit at the beginning of one. To find such
/// a beginning takes 2 MB more of address space for a moment; where there is a limit on it (RLIMIT_AS)
/// and only the bytes themselves are left, they come without, and last from what the heap still has.
[[nodiscard]] inline memory allocate_zeroed(std::size_t bytes) {
#if ZP_MAPS_MEMORY
  if (const std::size_t whole = huge_pages_within(bytes) * huge_page; whole != 0) {
    const std::size_t size = mapped_size(bytes);
    if (std::byte* const first = map_zeroed(size + huge_page); first != nullptr) {
      const std::size_t in_front =
          (huge_page - reinterpret_cast<std::uintptr_t>(first) % huge_page) % huge_page;
      std::byte* const data = first + in_front;
      if (in_front != 0) ::munmap(first, in_front);
      if (in_front != huge_page) ::munmap(data + size, huge_page - in_front);
      static_cast<void>(::madvise(data, whole, MADV_HUGEPAGE));  // a wish: may fail
      return {data, true};
    }
    if (std::byte* const data = map_zeroed(size); data != nullptr) {
      static_cast<void>(::madvise(data, size, MADV_HUGEPAGE));  // for those that lie within
      return {data, true};
    }
  }
#endif
  return {std::memset(::operator new (bytes, std::align_val_t{64}), 0, bytes), false};
}

inline void free_memory(const memory& m, std::size_t bytes) noexcept {
#if defined(__linux__)
  if (m.mapped) {
    ::munmap(m.data, mapped_size(bytes));
    return;
  }
#endif
  static_cast<void>(bytes);
  ::operator delete (m.data, std::align_val_t{64});
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
    ZP_REQUIRE(size <= std::numeric_limits<std::size_t>::max() / 2 / sizeof(T),
               "aligned_buffer: ", size, " elements of ", sizeof(T),
               " bytes exceed the address space");
    const detail::memory got = detail::allocate_zeroed(size * sizeof(T));
    data_ = static_cast<T*>(got.data);
    mapped_ = got.mapped;
  }

  aligned_buffer(const aligned_buffer& other) : aligned_buffer(other.size_) {
    if (size_ != 0) std::memcpy(static_cast<void*>(data_), other.data_, size_ * sizeof(T));
  }
  aligned_buffer(aligned_buffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)),
        mapped_(std::exchange(other.mapped_, false)) {}
  aligned_buffer& operator=(aligned_buffer other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(mapped_, other.mapped_);
    return *this;
  }
  ~aligned_buffer() {
    if (data_ != nullptr) detail::free_memory({data_, mapped_}, size_ * sizeof(T));
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
  bool mapped_ = false;
};

}  // namespace zeropoint::inline ZP_BASELINE
