// What a test of memory has to know of its allocator.
#pragma once

/// 1 under the sanitizers, which have an allocator of their own and keep what is freed for a while, to
/// catch its use.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ZP_TEST_ALLOCATOR_KEEPS_MEMORY 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define ZP_TEST_ALLOCATOR_KEEPS_MEMORY 1
#endif
#endif
#ifndef ZP_TEST_ALLOCATOR_KEEPS_MEMORY
#define ZP_TEST_ALLOCATOR_KEEPS_MEMORY 0
#endif

#include <cstddef>

namespace test {

inline constexpr bool allocator_keeps_memory = ZP_TEST_ALLOCATOR_KEEPS_MEMORY != 0;

/// Calls of operator new so far; 0 where the allocator keeps memory.
std::size_t allocations();

}  // namespace test
