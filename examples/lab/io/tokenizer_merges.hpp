// The merge list of a tokenizer, from merges.txt or from tokenizer.json.
#pragma once

#include <lab/io/bpe.hpp>
#include <lab/io/json.hpp>

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace lab {

/// Token as written in the files -> id.
using vocabulary = std::map<std::string, std::uint32_t, std::less<>>;

/// The largest tokenizer files known have 35 MB.
inline constexpr std::uint64_t largest_tokenizer_file = std::uint64_t{1} << 27;

/// One "A B" a line; a first line "#version..." and empty lines are skipped, an unfinished last
/// line counts. Both tokens and their union are in `ids`, no pair appears twice.
[[nodiscard]] std::vector<merge_rule> read_merges_file(const std::filesystem::path&,
                                                       const vocabulary& ids);

/// The same of a list that is in memory; `file` is for messages.
[[nodiscard]] std::vector<merge_rule> read_merges(std::span<const std::string> lines,
                                                  const vocabulary& ids, const std::string& file);

/// The list "merges" of `model`: strings "A B", or pairs ["A", "B"] as newer files have them.
[[nodiscard]] std::vector<merge_rule> read_merges(const json_object& model, const vocabulary& ids);

}  // namespace lab
