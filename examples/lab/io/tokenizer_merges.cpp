// Each merge names three tokens of the vocabulary: left, right and what they become.
#include <lab/io/file.hpp>
#include <lab/io/tokenizer_merges.hpp>

#include <algorithm>

namespace lab {
namespace {

/// `where` is "line 7" or "merge 6" for messages.
merge_rule read_merge(std::string_view left, std::string_view right, const vocabulary& ids,
                      const std::string& file, const std::string& where) {
  const auto find = [&](std::string_view token) {
    const auto found = ids.find(token);
    if (found == ids.end())
      reject({file}, where, ": the token ", in_quotes(token), " is not in the vocabulary");
    return found->second;
  };
  return {find(left), find(right), find(std::string(left) + std::string(right))};
}

merge_rule read_merge(std::string_view line, const vocabulary& ids, const std::string& file,
                      const std::string& where) {
  const auto space = line.find(' ');
  if (space == 0 || space == std::string_view::npos || space + 1 == line.size() ||
      line.find(' ', space + 1) != std::string_view::npos)
    reject({file}, where, ": ", in_quotes(line), "; expected two tokens and one space");
  return read_merge(line.substr(0, space), line.substr(space + 1), ids, file, where);
}

void require_no_duplicate(const std::vector<merge_rule>& merges, const std::string& file) {
  const std::size_t duplicate = first_duplicate(merges);
  if (duplicate < merges.size())
    reject({file}, "merge ", duplicate, " (counted from 0) repeats an earlier pair");
}

}  // namespace

std::vector<merge_rule> read_merges_file(const std::filesystem::path& path, const vocabulary& ids) {
  const std::string text = read_file(path, largest_tokenizer_file), file = path.string();
  std::vector<merge_rule> merges;
  std::size_t number = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    std::string_view line = std::string_view(text).substr(at, end - at);
    at = end + 1;
    ++number;
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (line.empty() || (number == 1 && line.substr(0, 8) == "#version")) continue;
    merges.push_back(read_merge(line, ids, file, "line " + std::to_string(number)));
  }
  require_no_duplicate(merges, file);
  return merges;
}

std::vector<merge_rule> read_merges(std::span<const std::string> lines, const vocabulary& ids,
                                    const std::string& file) {
  std::vector<merge_rule> merges;
  merges.reserve(lines.size());
  for (const std::string& line : lines)
    merges.push_back(read_merge(line, ids, file, "merge " + std::to_string(merges.size())));
  require_no_duplicate(merges, file);
  return merges;
}

std::vector<merge_rule> read_merges(const json_object& model, const vocabulary& ids) {
  const json& list = model.at("merges");
  if (!list.is_array()) model.wrong("merges", "is a ", list.type_name(), "; expected a list");
  std::vector<merge_rule> merges;
  merges.reserve(list.size());
  for (const json& item : list) {
    const std::string where = "merge " + std::to_string(merges.size());
    if (item.is_string()) {
      merges.push_back(read_merge(item.get_ref<const std::string&>(), ids, model.file(), where));
    } else if (item.is_array() && item.size() == 2 && item[0].is_string() && item[1].is_string()) {
      merges.push_back(read_merge(item[0].get_ref<const std::string&>(),
                                  item[1].get_ref<const std::string&>(), ids, model.file(), where));
    } else {
      model.wrong("merges", where, "; expected \"A B\" or [\"A\", \"B\"]");
    }
  }
  require_no_duplicate(merges, model.file());
  return merges;
}

}  // namespace lab
