// What this process takes of the machine.
#pragma once

#include <cstdint>

namespace lab {

/// The most memory that was resident at once so far, in bytes; 0 when the system does not say.
[[nodiscard]] std::uint64_t peak_memory() noexcept;

}  // namespace lab
