// What this process takes of the machine.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

namespace lab {

/// The most memory that was resident at once so far, in bytes; 0 when the system does not say.
[[nodiscard]] std::uint64_t peak_memory() noexcept;

/// What is resident now, after the allocator has returned its free pages; 0 when the system does not
/// say.
[[nodiscard]] std::uint64_t resident_memory() noexcept;

/// From now on large blocks are pages of their own, which go back to the system when they are freed,
/// whichever thread took them; resident_memory() then shows it. glibc otherwise learns to keep them.
void keep_no_large_blocks() noexcept;

/// Writes to every page of the bytes, which keep their values: the system clears a page when it is written
/// to for the first time, which took a quarter of a prompt's time where that came on top.
void make_resident(std::span<std::byte> bytes) noexcept;

/// How much less is resident after `release` than before; 0 when it is not less.
[[nodiscard]] std::uint64_t memory_returned_by(const std::function<void()>& release);

}  // namespace lab
