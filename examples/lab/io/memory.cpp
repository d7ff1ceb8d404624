// getrusage(): in KiB, on macOS in bytes. /proc/self/statm: in pages, Linux only.
#include <lab/io/memory.hpp>
#include <zeropoint/base/system_memory.hpp>

#include <cstdio>

#include <sys/resource.h>
#include <unistd.h>
#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace lab {

std::uint64_t peak_memory() noexcept {
  struct rusage usage {};
  if (::getrusage(RUSAGE_SELF, &usage) != 0) return 0;
#if defined(__APPLE__)
  constexpr std::uint64_t unit = 1;
#else
  constexpr std::uint64_t unit = 1024;
#endif
  return static_cast<std::uint64_t>(usage.ru_maxrss) * unit;
}

std::uint64_t resident_memory() noexcept {
#if defined(__GLIBC__)
  ::malloc_trim(0);
#endif
  zeropoint::trim_memory();
  std::FILE* const file = std::fopen("/proc/self/statm", "r");
  if (file == nullptr) return 0;
  unsigned long long all = 0, resident = 0;
  const bool known = std::fscanf(file, "%llu %llu", &all, &resident) == 2;
  std::fclose(file);
  return known ? resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)) : 0;
}

void keep_no_large_blocks() noexcept {
#if defined(__GLIBC__)
  ::mallopt(M_MMAP_THRESHOLD, 128 << 10);  // its initial value; setting it ends the learning
#endif
}

void make_resident(std::span<std::byte> bytes) noexcept {
  for (std::size_t i = 0; i < bytes.size(); i += 4096) {
    auto* const at = reinterpret_cast<volatile std::byte*>(&bytes[i]);
    *at = *at;
  }
}

std::uint64_t memory_returned_by(const std::function<void()>& release) {
  const std::uint64_t before = resident_memory();
  release();
  const std::uint64_t after = resident_memory();
  return before > after ? before - after : 0;
}

}  // namespace lab
