// operator new of the test programs: malloc's, and counted. Not under the sanitizers, which have theirs.
#include <atomic>
#include <cstdlib>
#include <new>

#include "memory.hpp"

namespace {
std::atomic<std::size_t> count{0};
}  // namespace

std::size_t test::allocations() {
  return count.load();
}

#if !ZP_TEST_ALLOCATOR_KEEPS_MEMORY
namespace {
void* counted(void* p) {
  count.fetch_add(1, std::memory_order_relaxed);
  if (p == nullptr) throw std::bad_alloc();
  return p;
}
}  // namespace

void* operator new(std::size_t bytes) {
  return counted(std::malloc(bytes == 0 ? 1 : bytes));
}
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  const auto a = static_cast<std::size_t>(alignment);
  if (bytes > ~std::size_t{0} - a) throw std::bad_alloc();
  return counted(std::aligned_alloc(a, (bytes + a) / a * a));
}
void operator delete(void* p) noexcept {
  std::free(p);
}
void operator delete(void* p, std::size_t) noexcept {
  std::free(p);
}
void operator delete(void* p, std::align_val_t) noexcept {
  std::free(p);
}
void operator delete(void* p, std::size_t, std::align_val_t) noexcept {
  std::free(p);
}
#endif
