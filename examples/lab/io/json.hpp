// JSON from strangers: RFC 8259 and nothing more. Duplicate keys, invalid UTF-8, lone surrogates,
// a zero byte, a byte order mark, nesting deeper than the caller allows and text after the value
// are input errors with the byte offset. Integers stay integers: 1.0 and 1e3 are not.
#pragma once

#include <lab/io/error.hpp>

#include <nlohmann/json.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lab {

using json = nlohmann::json;

/// What a streaming parse reports. `end` is the byte offset in the text just behind the event.
class json_events {
 public:
  virtual ~json_events() = default;
  virtual void null(std::uint64_t end) = 0;
  virtual void boolean(bool, std::uint64_t end) = 0;
  virtual void integer(std::uint64_t, std::uint64_t end) = 0;
  virtual void negative(std::int64_t, std::uint64_t end) = 0;
  virtual void real(double, std::uint64_t end) = 0;
  virtual void text(std::string&&, std::uint64_t end) = 0;
  virtual void key(std::string&&, std::uint64_t end) = 0;  ///< never twice in one object
  virtual void begin_object(std::uint64_t end) = 0;
  virtual void end_object(std::uint64_t end) = 0;
  virtual void begin_array(std::uint64_t end) = 0;
  virtual void end_array(std::uint64_t end) = 0;
};

/// Streams `text` into `events`. Offsets in messages are `base` + position in `text`. Memory: the
/// keys of the objects that are open, and one token.
void stream_json(std::string_view text, json_events& events, const std::string& file,
                 unsigned max_depth, std::uint64_t base = 0);

/// The whole value as a tree.
[[nodiscard]] json parse_json(std::string_view text, const std::string& file,
                              unsigned max_depth = 32);

/// Typed and bounded access to the members of one object; every failure names file and key.
class json_object {
 public:
  json_object(const json& value, std::string file, std::string where = "");

  /// Null when the key is missing or its value is null.
  [[nodiscard]] const json* find(std::string_view key) const;
  /// As find(), but a missing key is an error.
  [[nodiscard]] const json& at(std::string_view key) const;

  [[nodiscard]] std::uint64_t integer(std::string_view key, std::uint64_t low,
                                      std::uint64_t high) const;
  [[nodiscard]] std::optional<std::uint64_t> maybe_integer(std::string_view key, std::uint64_t low,
                                                           std::uint64_t high) const;
  [[nodiscard]] bool boolean(std::string_view key, bool fallback) const;
  [[nodiscard]] double real(std::string_view key, double fallback) const;
  [[nodiscard]] std::optional<std::string> maybe_text(std::string_view key) const;
  [[nodiscard]] std::string text(std::string_view key) const;
  [[nodiscard]] const json& array(std::string_view key) const;
  /// The member as an object; an error when it is missing or something else.
  [[nodiscard]] json_object object(std::string_view key) const;

  /// Throws: "<file>: <key>: <parts>".
  template <class... Parts>
  [[noreturn]] void wrong(std::string_view key, const Parts&... parts) const {
    reject({file_}, label(key), ": ", parts...);
  }
  [[nodiscard]] const json& value() const noexcept { return *value_; }
  [[nodiscard]] const std::string& file() const noexcept { return file_; }
  /// "model.vocab" for messages.
  [[nodiscard]] std::string label(std::string_view key) const;

 private:
  const json* value_;
  std::string file_;
  std::string where_;
};

}  // namespace lab
