// Builds the bytes of a safetensors file around any header.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace test {

inline std::string framed(std::string_view header, std::string_view payload) {
  std::uint64_t size = header.size();
  std::string result(8, '\0');
  std::memcpy(result.data(), &size, 8);
  return result.append(header).append(payload);
}

}  // namespace test
