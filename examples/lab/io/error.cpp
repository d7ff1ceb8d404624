// Makes any byte string safe to print on one line.
#include <lab/io/error.hpp>
#include <lab/io/unicode.hpp>

namespace lab {

std::string printable(std::string_view text, std::size_t limit) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string result;
  for (std::size_t at = 0; at < text.size();) {
    if (result.size() >= limit) return result + "...";
    const auto point = unicode::decode(text, at);
    const bool control = point.value < 0x20 || (point.value >= 0x7F && point.value < 0xA0) ||
                         point.value == 0x2028 || point.value == 0x2029 ||
                         (point.value >= 0x202A && point.value <= 0x202E);
    if (point.valid && !control) {
      result.append(text.substr(at, point.size));
    } else {
      for (char c : text.substr(at, point.size)) {
        const auto byte = static_cast<unsigned char>(c);
        (((result += "\\x") += digits[byte >> 4]) += digits[byte & 15]);
      }
    }
    at += point.size;
  }
  return result;
}

std::string in_quotes(std::string_view text) {
  return '"' + printable(text) + '"';
}

input_error::input_error(std::string_view text) : std::runtime_error(printable(text, 600)) {}

}  // namespace lab
