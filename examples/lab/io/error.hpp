// How the laboratory says no to a file, a text or an option: one line that names what, where and
// what was expected, and exit code 2. Everything read from a file is hostile until it is checked.
#pragma once

#include <cstdint>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>

namespace lab {

/// Bad input. what() is one printable line of at most a few hundred characters, for example
///   model.safetensors: byte offset 35: tensor "a": "dtype" appears twice
class input_error : public std::runtime_error {
 public:
  explicit input_error(std::string_view text);
};

/// Printable ASCII and valid UTF-8 stay; control characters and invalid bytes become \xNN, and
/// everything after `limit` bytes becomes "...". Names from a file reach a terminal only through
/// this.
[[nodiscard]] std::string printable(std::string_view text, std::size_t limit = 100);

/// printable() between double quotes.
[[nodiscard]] std::string in_quotes(std::string_view text);

/// Where something was read: a file, and the byte offset in it when that means something.
struct place {
  std::string file;
  std::optional<std::uint64_t> offset = std::nullopt;
};

/// Throws input_error: "<file>: byte offset <n>: <parts streamed one after another>".
template <class... Parts>
[[noreturn]] void reject(const place& where, const Parts&... parts) {
  std::ostringstream text;
  text << printable(where.file, 300) << ": ";  // a long path must not push the reason out
  if (where.offset) text << "byte offset " << *where.offset << ": ";
  (text << ... << parts);
  throw input_error(text.str());
}

}  // namespace lab
