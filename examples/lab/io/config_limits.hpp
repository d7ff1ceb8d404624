// The largest sizes that the config of a model may ask for: far above every published model, far below
// what overflows or fills a memory.
#pragma once

#include <cstdint>

namespace lab::config_limits {

inline constexpr std::uint64_t tokens = 1 << 24;
inline constexpr std::uint64_t width = 1 << 17;  ///< four times that for the MLP
inline constexpr std::uint64_t layers = 1 << 12;
inline constexpr std::uint64_t positions = 1 << 24;

}  // namespace lab::config_limits
