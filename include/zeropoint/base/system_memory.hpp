// Where large memory comes from: zeroed, and on huge pages where the system gives them on request
// (Linux). Weights are read from end to end for every token: with pages of 4 KB the prefetcher stops
// and the address is looked up every 64 lines, which costs decoding 4 to 20 %.
//
//   1.5 MB and more       mapped, from the beginning of a huge page
//   64 KB up to that      a part of a larger mapping (shared_pages)
//   less                  the heap
//
// Not simply the heap: what it has handed out before consists of small pages that are there already, and
// stays so.
#pragma once

#include <zeropoint/base/platform.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>

#if defined(__linux__)
#include <pthread.h>
#include <sys/mman.h>

#include <mutex>
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

/// Blocks that are too small for huge pages of their own, in areas of four of them: first fit, and what
/// lies free side by side becomes one. An area without a block is unmapped, but for one, which the next
/// temporary takes. One for the process, whoever asks; a forked child goes on with a copy.
class shared_pages {
 public:
  static constexpr std::size_t smallest = std::size_t{1} << 16, area_bytes = 4 * huge_page;

  /// Null where nothing can be mapped.
  [[nodiscard]] static void* allocate(std::size_t bytes) noexcept {
    const std::size_t size = sizeof(block) + (bytes + 63) / 64 * 64;
    if (size > area_bytes - sizeof(area)) return nullptr;
    const std::lock_guard lock(guard());
    block* fit = nullptr;
    for (area* a = areas(); a != nullptr && fit == nullptr; a = a->next) fit = a->take(size);
    if (fit == nullptr) {
      std::byte* const mapped = map_on_huge_pages(area_bytes);
      if (mapped == nullptr) return nullptr;
      areas() = ::new (mapped) area(areas());
      fit = areas()->take(size);
    }
    auto* const data = reinterpret_cast<std::byte*>(fit + 1);
    if (fit->was_used) std::memset(data, 0, bytes);
    return data;
  }
  static void free(void* data) noexcept {
    const std::lock_guard lock(guard());
    for (area* a = areas(); a != nullptr; a = a->next) {
      if (a->holds(data)) a->give_back(static_cast<block*>(data) - 1);
    }
    unmap_empty(1);
  }
  /// Unmaps the area that waits for the next temporary; huge pages within free blocks go back as well.
  static void trim() noexcept {
    const std::lock_guard lock(guard());
    unmap_empty(0);
    for (area* a = areas(); a != nullptr; a = a->next) a->return_free_pages();
  }
  /// Bytes that are mapped for blocks.
  [[nodiscard]] static std::size_t mapped() noexcept {
    const std::lock_guard lock(guard());
    std::size_t all = 0;
    for (const area* a = areas(); a != nullptr; a = a->next) all += area_bytes;
    return all;
  }

 private:
  /// In front of its bytes, which begin a line of the cache.
  struct alignas(64) block {
    std::size_t size = 0;  ///< with this header
    bool used = false;
    bool was_used = false;  ///< so its bytes are not zero any more
  };
  /// In front of its blocks, which fill it.
  struct alignas(64) area {
    area* next;
    std::size_t used = 0;  ///< blocks

    explicit area(area* behind) noexcept : next(behind) {
      ::new (first()) block{area_bytes - sizeof(area)};
    }
    [[nodiscard]] block* first() noexcept { return reinterpret_cast<block*>(this + 1); }
    [[nodiscard]] block* end() noexcept {
      return reinterpret_cast<block*>(reinterpret_cast<std::byte*>(this) + area_bytes);
    }
    [[nodiscard]] static block* behind(block* b) noexcept {
      return reinterpret_cast<block*>(reinterpret_cast<std::byte*>(b) + b->size);
    }
    [[nodiscard]] bool holds(const void* data) const noexcept {
      const auto at = reinterpret_cast<std::uintptr_t>(data);
      const auto begin = reinterpret_cast<std::uintptr_t>(this);
      return at - begin < area_bytes;
    }
    /// Makes one of a free block and those that lie free behind it.
    void merge_behind(block& b) noexcept {
      for (block* n = behind(&b); n != end() && !n->used; n = behind(&b)) {
        b.was_used = b.was_used || n->was_used;
        // Its header is among the bytes now.
        if (!b.was_used) std::memset(static_cast<void*>(n), 0, sizeof(block));
        b.size += n->size;
      }
    }
    /// The first free block of that size, or null.
    [[nodiscard]] block* take(std::size_t size) noexcept {
      for (block* b = first(); b != end(); b = behind(b)) {
        if (b->used) continue;
        merge_behind(*b);
        if (b->size < size) continue;
        if (b->size - size > sizeof(block)) {
          auto* const rest = reinterpret_cast<block*>(reinterpret_cast<std::byte*>(b) + size);
          ::new (rest) block{b->size - size, false, b->was_used};
          b->size = size;
        }
        b->used = true;
        ++used;
        return b;
      }
      return nullptr;
    }
    void return_free_pages() noexcept {
      for (block* b = first(); b != end(); b = behind(b)) {
        if (b->used) continue;
        merge_behind(*b);
        const auto begin = reinterpret_cast<std::uintptr_t>(b + 1);
        const std::size_t skipped = (huge_page - begin % huge_page) % huge_page;
        const std::size_t size = b->size - sizeof(block);
        if (size < skipped + huge_page) continue;
        static_cast<void>(::madvise(reinterpret_cast<std::byte*>(b + 1) + skipped,
                                    (size - skipped) / huge_page * huge_page, MADV_DONTNEED));
      }
    }
    void give_back(block* b) noexcept {
      b->used = false;
      b->was_used = true;
      --used;
    }
  };

  /// All empty areas but the first `kept`.
  static void unmap_empty(std::size_t kept) noexcept {
    for (area** at = &areas(); *at != nullptr;) {
      area& here = **at;
      if (here.used != 0 || kept != 0) {
        if (here.used == 0) --kept;
        at = &here.next;
      } else {
        *at = here.next;
        ::munmap(&here, area_bytes);
      }
    }
  }
  [[nodiscard]] static area*& areas() noexcept {
    static constinit area* first = nullptr;
    return first;
  }
  /// Held while the process forks: the child finds no block half made.
  [[nodiscard]] static std::mutex& guard() noexcept {
    static constinit std::mutex mutex;
    static const int registered =
        ::pthread_atfork([] { mutex.lock(); }, [] { mutex.unlock(); }, [] { mutex.unlock(); });
    static_cast<void>(registered);
    return mutex;
  }
};
#endif

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
