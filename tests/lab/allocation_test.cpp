// A token that is decoded asks the heap for nothing, once the first few have made room. Counted by
// this program's own operator new, not under the sanitizers, which have theirs.
#include <lab/experiments/generation.hpp>
#include <lab/experiments/schemes.hpp>

#include <atomic>
#include <cstdlib>
#include <new>

#include "golden.hpp"
#include "support/memory.hpp"
#include "support/test.hpp"

namespace {
std::atomic<std::size_t> allocations{0};

[[maybe_unused]] void* counted(std::size_t bytes, std::size_t alignment) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  const std::size_t rounded = (bytes + alignment) / alignment * alignment;
  void* p = std::aligned_alloc(alignment, rounded);
  if (p == nullptr) throw std::bad_alloc();
  return p;
}
}  // namespace

#if !ZP_TEST_ALLOCATOR_KEEPS_MEMORY
void* operator new(std::size_t bytes) {
  return counted(bytes, alignof(std::max_align_t));
}
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return counted(bytes, static_cast<std::size_t>(alignment));
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

TEST_CASE("Decoding a token allocates nothing") {
  if (test::allocator_keeps_memory) return;
  const std::string model = GENERATE("gpt2_tied", "opt_pre_norm", "llama_grouped");
  const std::string scheme =
      GENERATE("fp32", "f16", "w8", "w4-g4", "w8-head8", "w8a8-dynamic", "w8a8-dynamic-token",
               "w8a8-static", "w4a8-g32", "w4a8-g32-head4");
  const lab::transformer m = lab::load_model(test::golden / model);
  const auto ids = test::golden_ids(model);
  const lab::scheme_name names[] = {lab::parse_scheme(scheme)};
  const std::vector<lab::window> windows = {{0, ids.size(), ids.size() - 1}};
  const auto made = lab::scheme_maker(m, names, ids, windows, 1).make(names[0]);
  for (const std::size_t threads : {std::size_t{1}, std::size_t{2}}) {
    lab::decoder d(m, made, ids.size(), threads);
    constexpr std::size_t first = 4;
    for (std::size_t t = 0; t < first; ++t) static_cast<void>(d.feed({&ids[t], 1}));
    INFO(model << ' ' << scheme << ", " << threads << " threads, " << ids.size() - first
               << " tokens");
    const std::size_t before = allocations.load();
    for (std::size_t t = first; t < ids.size(); ++t) static_cast<void>(d.feed({&ids[t], 1}));
    const std::size_t made_meanwhile = allocations.load() - before;
    CHECK(before > 0);
    CHECK(made_meanwhile == 0);
  }
}
