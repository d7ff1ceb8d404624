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

std::string fitting(double x, int width, int digits, bool sign) {
  if (std::fabs(x) < 0.5 * std::pow(10.0, -digits)) x = 0;
  for (; digits >= 0; --digits) {  // large numbers give up decimals first
    std::string text =
        sign ? format("%+*.*f", width, digits, x) : format("%*.*f", width, digits, x);
    if (text.front() == ' ') return text;
  }
  return sign ? format("%+*.0e", width, x) : format("%*.0e", width, x);
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
