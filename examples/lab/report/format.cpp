// snprintf into strings; the program never calls setlocale, so the decimal point is a point.
#include <lab/report/format.hpp>

#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <sstream>

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

std::string decibels(double db, int width, int digits) {
  return std::isfinite(db) ? format("%*.*f", width, digits, db) : format("%*s", width, "-");
}

std::string wrapped(const std::string& text, const char* indent) {
  std::string lines, line;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    if (!line.empty() && line.size() + 1 + word.size() > 100) {
      lines += line + "\n";
      line = indent + word;
    } else {
      line += (line.empty() ? "" : " ") + word;
    }
  }
  return lines + line + "\n";
}

}  // namespace lab
