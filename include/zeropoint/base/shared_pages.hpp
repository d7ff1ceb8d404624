// Blocks that are too small for huge pages of their own, in areas of four of them: first fit, and what
// lies free side by side becomes one. An area without a block is unmapped, but for one, which the next
// temporary takes. There is a pool for every baseline (platform.hpp) in every module of a program; a block
// knows its own, so that whoever has it may free it.
//
// fork(): no lock is held over it, which would hang programs whose own handlers allocate. The child begins
// with an empty pool; its copies of the parent's blocks live on, and freed they are lost to it.
#pragma once

#include <zeropoint/base/mapped_memory.hpp>

#if defined(__linux__)
#include <atomic>
#include <cstring>
#include <new>

#include <pthread.h>

namespace zeropoint::inline ZP_BASELINE {

namespace detail {

namespace pages {

inline constexpr std::size_t area_bytes = 4 * huge_page;

struct area;
struct pool;

/// In front of its bytes, which begin a line of the cache.
struct alignas(64) block {
  std::size_t size = 0;  ///< with this header
  area* home = nullptr;
  pool* owner = nullptr;
  std::uint32_t generation = 0;  ///< of the pool
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
  /// Makes one of a free block and those that lie free behind it, whose headers are bytes of it then.
  void merge_behind(block& b) noexcept {
    for (block* n = behind(&b); n != end() && !n->used; n = behind(&b)) {
      b.was_used = true;
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
        ::new (rest) block{b->size - size};
        rest->was_used = b->was_used;
        b->size = size;
      }
      b->home = this;
      b->used = true;
      ++used;
      return b;
    }
    return nullptr;
  }
  void give_back(block& b) noexcept {
    b.used = false;
    b.was_used = true;
    --used;
  }
  /// Huge pages within free blocks to the system.
  void return_free() noexcept {
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
};

/// Constant-initialised and never destroyed: buffers may be older or younger than anything.
struct pool {
  std::atomic<std::uint32_t> locked{0};
  std::atomic<bool> follows_forks{false};
  std::uint32_t generation = 0;
  area* areas = nullptr;

  [[nodiscard]] block* take(std::size_t size) noexcept {
    for (area* a = areas; a != nullptr; a = a->next) {
      if (block* const b = a->take(size); b != nullptr) {
        b->owner = this;
        b->generation = generation;
        return b;
      }
    }
    return nullptr;
  }
  /// All empty areas but the first `kept`, as a list.
  [[nodiscard]] area* take_empty(std::size_t kept) noexcept {
    area* taken = nullptr;
    for (area** at = &areas; *at != nullptr;) {
      area* const a = *at;
      if (a->used != 0 || kept != 0) {
        if (a->used == 0) --kept;
        at = &a->next;
      } else {
        *at = a->next;
        a->next = taken;
        taken = a;
      }
    }
    return taken;
  }
};
inline constinit pool here;

/// In a forked child, which has one thread: whatever the others were doing is over.
inline void forget() noexcept {
  here.areas = nullptr;
  ++here.generation;
  here.locked.store(0);
}

class holder {
 public:
  /// The handler is there before the lock is ever taken: two threads may both see to it, and a child of a
  /// fork in between once more, which does no harm. (A static with an initialiser would: a child that is
  /// forked meanwhile waits for it for ever.)
  explicit holder(pool& of) noexcept : of_(of) {
    if (!here.follows_forks.load()) {
      ::pthread_atfork(nullptr, nullptr, &forget);
      here.follows_forks.store(true);
    }
    while (of_.locked.exchange(1) != 0) of_.locked.wait(1);
  }
  ~holder() {
    of_.locked.exchange(0);  // not a store: thread_team.hpp says why
    of_.locked.notify_one();
  }
  holder(const holder&) = delete;
  holder& operator=(const holder&) = delete;

 private:
  pool& of_;
};

inline void unmap(area* list) noexcept {
  while (list != nullptr) {
    area* const next = list->next;
    ::munmap(list, area_bytes);
    list = next;
  }
}

}  // namespace pages

class shared_pages {
 public:
  static constexpr std::size_t smallest = std::size_t{1} << 16, area_bytes = pages::area_bytes;

  /// `bytes` zeroed bytes, 64-byte aligned; null where nothing can be mapped, or they exceed an area.
  [[nodiscard]] static void* allocate(std::size_t bytes) noexcept {
    using namespace pages;
    if (bytes > area_bytes - sizeof(area) - sizeof(block)) return nullptr;
    const std::size_t size = sizeof(block) + (bytes + 63) / 64 * 64;
    block* fit = nullptr;
    {
      const holder lock(here);
      fit = here.take(size);
    }
    if (fit == nullptr) {
      std::byte* const mapped = map_on_huge_pages(area_bytes);
      if (mapped == nullptr) return nullptr;
      const holder lock(here);
      here.areas = ::new (mapped) area(here.areas);
      fit = here.take(size);
    }
    // Ours alone by now, and zeroing takes longer than all of the above.
    auto* const data = reinterpret_cast<std::byte*>(fit + 1);
    if (fit->was_used) std::memset(data, 0, bytes);
    return data;
  }
  static void free(void* data) noexcept {
    pages::block& b = *(static_cast<pages::block*>(data) - 1);
    pages::pool& of = *b.owner;
    pages::area* unused = nullptr;
    {
      const pages::holder lock(of);
      if (b.generation != of.generation) return;  // from before a fork
      b.home->give_back(b);
      unused = of.take_empty(1);
    }
    pages::unmap(unused);
  }
  /// Unmaps the area that waits for the next temporary; huge pages within free blocks go back as well.
  static void trim() noexcept {
    pages::area* unused = nullptr;
    {
      const pages::holder lock(pages::here);
      unused = pages::here.take_empty(0);
      for (pages::area* a = pages::here.areas; a != nullptr; a = a->next) a->return_free();
    }
    pages::unmap(unused);
  }
  /// Bytes that are mapped for blocks of the pool here.
  [[nodiscard]] static std::size_t mapped() noexcept {
    const pages::holder lock(pages::here);
    std::size_t all = 0;
    for (const pages::area* a = pages::here.areas; a != nullptr; a = a->next) all += area_bytes;
    return all;
  }

 private:
  /// When the program ends, or the module is unloaded.
  struct at_exit {
    at_exit() = default;
    at_exit(const at_exit&) = delete;
    at_exit& operator=(const at_exit&) = delete;
    ~at_exit() { trim(); }
  };
  static inline at_exit last;
};

}  // namespace detail

}  // namespace zeropoint::inline ZP_BASELINE
#endif
