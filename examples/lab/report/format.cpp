// snprintf into strings; the program never calls setlocale, so the decimal point is a point.
#include <lab/report/format.hpp>

#include <cstdarg>
#include <cstdio>

namespace lab {

std::string format(const char* pattern, ...) {
  char text[512];
  std::va_list arguments;
  va_start(arguments, pattern);
  const int n = std::vsnprintf(text, sizeof text, pattern, arguments);
  va_end(arguments);
  return n < 0 ? std::string() : std::string(text);
}

std::string grouped(std::uint64_t n) {
  std::string digits = std::to_string(n);
  for (std::size_t i = digits.size(); i > 3;) digits.insert(i -= 3, 1, ',');
  return digits;
}

}  // namespace lab
