// Numbers as text, the same in every locale.
#pragma once

#include <cstdint>
#include <string>

namespace lab {

/// printf for one line.
[[nodiscard]] __attribute__((format(printf, 1, 2))) std::string format(const char* pattern, ...);

/// 1234567 -> "1,234,567"
[[nodiscard]] std::string grouped(std::uint64_t n);

}  // namespace lab
