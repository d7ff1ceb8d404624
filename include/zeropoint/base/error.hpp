// How the library says no. ZP_REQUIRE guards the public edge and always runs; ZP_ASSERT guards the
// inside and runs in debug builds. With -fno-exceptions the edge prints the message and aborts.
#pragma once

#include <zeropoint/base/platform.hpp>

#include <cassert>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <stdexcept>
#include <string>

namespace zeropoint::inline ZP_BASELINE {

/// Thrown at the public edge for a mistake of the caller or of the data. The text says what was
/// wrong, with both numbers: "gemm: a has 12 columns, the packed weights have k = 16".
class error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Throws `error` with the parts streamed one after another into its text.
template <class... Parts>
[[noreturn]] ZP_NOINLINE void fail(const Parts&... parts) {
  std::ostringstream text;
  (text << ... << parts);
#if defined(__cpp_exceptions)
  throw error(text.str());
#else
  std::fprintf(stderr, "zeropoint: %s\n", text.str().c_str());
  std::abort();
#endif
}

}  // namespace zeropoint::inline ZP_BASELINE

/// ZP_REQUIRE(condition, "text ", value, ...): the text is only built when the condition fails.
#define ZP_REQUIRE(condition, ...)                    \
  do {                                                \
    if (!(condition)) ::zeropoint::fail(__VA_ARGS__); \
  } while (false)

#define ZP_ASSERT(condition) assert(condition)
