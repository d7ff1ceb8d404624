// Memory from the system itself, on huge pages where it gives them on request (Linux). What the heap has
// handed out before consists of small pages that are there already, and stays so.
#pragma once

#include <zeropoint/base/platform.hpp>

#include <cstddef>
#include <cstdint>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace zeropoint::inline ZP_BASELINE {

namespace detail {

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

#if defined(__linux__)

[[nodiscard]] inline std::byte* map_zeroed(std::size_t bytes) noexcept {
  void* const got =
      ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return got == MAP_FAILED ? nullptr : static_cast<std::byte*>(got);
}

/// `bytes` bytes, rounded up to mapped_size, from the beginning of a huge page; null where address space
/// is short: to find a beginning takes 2 MB more of it for a moment.
[[nodiscard]] inline std::byte* map_on_huge_pages(std::size_t bytes) noexcept {
  const std::size_t size = mapped_size(bytes);
  std::byte* const first = map_zeroed(size + huge_page);
  if (first == nullptr) return nullptr;
  const std::size_t in_front =
      (huge_page - reinterpret_cast<std::uintptr_t>(first) % huge_page) % huge_page;
  std::byte* const data = first + in_front;
  if (in_front != 0) ::munmap(first, in_front);
  if (in_front != huge_page) ::munmap(data + size, huge_page - in_front);
  // A wish: may fail.
  static_cast<void>(::madvise(data, huge_pages_within(bytes) * huge_page, MADV_HUGEPAGE));
  return data;
}
#endif

}  // namespace detail

}  // namespace zeropoint::inline ZP_BASELINE
