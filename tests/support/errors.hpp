// What an error says.
#pragma once

#include <zeropoint/base/error.hpp>

#include <string>

namespace test {

/// The text of the zeropoint::error that f throws; empty when it throws none.
template <class F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const zeropoint::error& e) {
    return e.what();
  }
  return {};
}
inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace test
