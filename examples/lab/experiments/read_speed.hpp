// How fast these threads read memory: the limit of a decoder, which reads all its weights for every
// token and multiplies each of them once.
#pragma once

#include <cstddef>
#include <span>

namespace lab {

/// Seconds for reading all of `bytes` once on so many threads, a contiguous part each, with loads as
/// wide as the processor has. What a cache holds from an earlier call is read from there, as weights
/// would be.
[[nodiscard]] double read_seconds(std::span<const std::byte> bytes, std::size_t threads);

}  // namespace lab
