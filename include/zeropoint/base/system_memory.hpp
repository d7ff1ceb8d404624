// Where large memory comes from: zeroed, and on huge pages where it can. Weights are read from end to end
// for every token: with pages of 4 KB the prefetcher stops and the address is looked up every 64 lines,
// which costs decoding 4 to 20 %.
//
//   1.5 MB and more       mapped, from the beginning of a huge page (mapped_memory.hpp)
//   64 KB up to that      a part of a larger mapping (shared_pages.hpp)
//   less                  the heap
#pragma once

#include <zeropoint/base/mapped_memory.hpp>
#include <zeropoint/base/shared_pages.hpp>

#include <cstring>
#include <new>

namespace zeropoint::inline ZP_BASELINE {

namespace detail {

/// Not under the address sanitizer, which watches the ends of heap blocks only.
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

/// Who is to have it back: files with and without a sanitizer exchange buffers.
enum class origin : std::uint8_t { heap, mapping, shared };
struct memory {
  void* data = nullptr;
  origin from = origin::heap;
};

/// `bytes` zeroed bytes, 64-byte aligned. Where there is a limit on address space (RLIMIT_AS) they
/// come without huge pages, and last from what the heap still has. Throws std::bad_alloc.
[[nodiscard]] inline memory allocate_zeroed(std::size_t bytes) {
#if ZP_MAPS_MEMORY
  if (huge_pages_within(bytes) != 0) {
    if (std::byte* const data = map_on_huge_pages(bytes); data != nullptr) {
      return {data, origin::mapping};
    }
    if (std::byte* const data = map_zeroed(mapped_size(bytes)); data != nullptr) {
      // For those that lie within.
      static_cast<void>(::madvise(data, mapped_size(bytes), MADV_HUGEPAGE));
      return {data, origin::mapping};
    }
  } else if (bytes >= shared_pages::smallest) {
    if (void* const data = shared_pages::allocate(bytes); data != nullptr) {
      return {data, origin::shared};
    }
  }
#endif
  return {std::memset(::operator new (bytes, std::align_val_t{64}), 0, bytes), origin::heap};
}

inline void free_memory(const memory& m, std::size_t bytes) noexcept {
#if defined(__linux__)
  if (m.from == origin::mapping) {
    ::munmap(m.data, mapped_size(bytes));
    return;
  }
  if (m.from == origin::shared) return shared_pages::free(m.data);
#endif
  static_cast<void>(bytes);
  ::operator delete (m.data, std::align_val_t{64});
}

}  // namespace detail

/// Returns what freed buffers left for the next ones to the system, as malloc_trim does for the heap.
inline void trim_memory() noexcept {
#if defined(__linux__)
  detail::shared_pages::trim();
#endif
}

}  // namespace zeropoint::inline ZP_BASELINE
