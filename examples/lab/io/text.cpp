// Reading text, joining lines, token ids as a file.
#include <lab/io/error.hpp>
#include <lab/io/file.hpp>
#include <lab/io/text.hpp>
#include <lab/io/unicode.hpp>

#include <algorithm>
#include <vector>

namespace lab {
namespace {

constexpr std::uint64_t largest_text = std::uint64_t{1} << 30;

/// Python's str.strip() leaves nothing: White_Space and the four information separators.
bool blank(std::string_view line) {
  for (std::size_t at = 0; at < line.size();) {
    const auto point = unicode::decode(line, at);
    const bool separator = point.value >= 0x1C && point.value <= 0x1F;
    if (!point.valid || (!separator && unicode::kind_of(point.value) != unicode::kind::space))
      return false;
    at += point.size;
  }
  return true;
}

}  // namespace

std::string read_text(const std::filesystem::path& path) {
  std::string text = read_file(path, largest_text);
  if (text.empty()) reject({path.string()}, "is empty; expected text");
  return text;
}

std::string join_lines_as_huggingface(std::string_view text) {
  std::string result;
  result.reserve(text.size() + text.size() / 50);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size() - 1) + 1;
    const auto line = text.substr(at, end - at);
    if (at > 0) result += "\n\n";
    if (!blank(line)) result += line;
    at = end;
  }
  return result;
}

std::string text_hash(std::string_view text) {
  std::uint64_t hash = 0xCBF29CE484222325;
  for (char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3;
  std::string result;
  for (int shift = 60; shift >= 0; shift -= 4) result += "0123456789abcdef"[(hash >> shift) & 15];
  return result;
}

void write_ids(const std::filesystem::path& path, std::span<const std::uint32_t> ids) {
  std::vector<std::uint16_t> narrow;
  narrow.reserve(ids.size());
  for (const std::uint32_t id : ids) {
    if (id > 0xFFFF)
      reject({path.string()}, "token id ", id, " does not fit the 16 bits of this format");
    narrow.push_back(static_cast<std::uint16_t>(id));
  }
  output_file file(path);
  file.write(std::as_bytes(std::span(narrow)));
  file.finish();
}

std::vector<std::uint32_t> read_ids(const std::filesystem::path& path) {
  const std::string bytes = read_file(path, largest_text);
  if (bytes.size() % 2 != 0)
    reject({path.string()}, "has ", bytes.size(), " bytes; expected uint16 ids, an even number");
  std::vector<std::uint32_t> ids(bytes.size() / 2);
  for (std::size_t i = 0; i < ids.size(); ++i)
    ids[i] = static_cast<unsigned char>(bytes[2 * i]) +
             256u * static_cast<unsigned char>(bytes[2 * i + 1]);
  return ids;
}

}  // namespace lab
