// Memory between two pages that must not be touched: one byte read or written outside kills the
// test.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace test {

/// `count` elements whose last byte is followed by an inaccessible page (or, with `front`, whose
/// first byte is preceded by one). Filled with 0xA5.
template <class T>
class guarded {
 public:
  explicit guarded(std::size_t count, bool front = false) {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const std::size_t bytes = count * sizeof(T), inner = (bytes + page - 1) / page * page;
    size_ = inner + 2 * page;
    base_ = static_cast<std::byte*>(
        mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (base_ == MAP_FAILED) std::abort();
    std::memset(base_ + page, 0xA5, inner);
    if (mprotect(base_, page, PROT_NONE) != 0) std::abort();
    if (mprotect(base_ + page + inner, page, PROT_NONE) != 0) std::abort();
    data_ = reinterpret_cast<T*>(base_ + page + (front ? 0 : inner - bytes));
  }
  guarded(const guarded&) = delete;
  guarded& operator=(const guarded&) = delete;
  ~guarded() { munmap(base_, size_); }
  T* data() const { return data_; }
  T& operator[](std::size_t i) const { return data_[i]; }

 private:
  std::byte* base_ = nullptr;
  std::size_t size_ = 0;
  T* data_ = nullptr;
};

}  // namespace test
