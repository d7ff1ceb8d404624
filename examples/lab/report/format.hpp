// Numbers as text, the same in every locale.
#pragma once

#include <cstdint>
#include <string>

namespace lab {

/// printf for one line.
[[nodiscard]] __attribute__((format(printf, 1, 2))) std::string format(const char* pattern, ...);

/// 1234567 -> "1,234,567"
[[nodiscard]] std::string grouped(std::uint64_t n);

/// Decibels with `digits` behind the point in at least `width` characters; "-" when not finite.
[[nodiscard]] std::string decibels(double db, int width = 0, int digits = 1);

/// Fixed point as long as it leaves a space before it, then powers of ten. What rounds to zero has no
/// minus; with `sign` a plus.
[[nodiscard]] std::string fitting(double x, int width, int digits, bool sign = false);

/// The words of a text on lines of at most 100 characters, all but the first indented.
[[nodiscard]] std::string wrapped(const std::string& text, const char* indent = "");

}  // namespace lab
