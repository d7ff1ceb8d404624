// What a test of memory has to know of its allocator.
#pragma once

namespace test {

/// The sanitizers keep what is freed for a while, to catch its use.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool allocator_keeps_memory = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr bool allocator_keeps_memory = true;
#else
inline constexpr bool allocator_keeps_memory = false;
#endif
#else
inline constexpr bool allocator_keeps_memory = false;
#endif

}  // namespace test
