// getrusage(): in KiB, on macOS in bytes.
#include <lab/io/memory.hpp>

#include <sys/resource.h>

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

}  // namespace lab
