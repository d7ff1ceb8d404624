// What the files of a tokenizer say, checked and in one form whatever layout they have.
#pragma once

#include <lab/io/bpe.hpp>
#include <lab/io/error.hpp>

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace lab {

struct tokenizer_data {
  /// Bytes of each token by id; `present` tells a hole from an empty token.
  struct token {
    std::string bytes;
    bool present = false;
  };
  std::vector<token> tokens;
  std::map<std::string, std::uint32_t, std::less<>> ids;    ///< vocabulary, by bytes
  std::map<std::string, std::uint32_t, std::less<>> added;  ///< special and added tokens, by text
  /// Id of each single byte, or of the unknown token, or no_token: such a byte is dropped.
  std::array<std::uint32_t, 256> byte_ids{};
  static constexpr std::uint32_t no_token = 0xFFFFFFFF;
  std::vector<merge_rule> merges;
  bool sentencepiece = false;  ///< tokenizer_sentencepiece.hpp; byte_ids are those of <0x00> ..
  bool add_prefix_space = false;
  bool digits_alone = false;         ///< number_cut() comes before pre_token_end()
  bool ignore_merges = false;        ///< a pre-token that is a token is taken whole
  bool trims_around_added = false;   ///< an added token wants lstrip, rstrip or single_word
  std::optional<std::uint32_t> bos;  ///< in front of every text
  std::string file;                  ///< for messages
};

/// Whether load_tokenizer() would find one.
[[nodiscard]] bool has_tokenizer(const std::filesystem::path& path);

/// Reads tokenizer.json, or vocab.json and merges.txt, and beside them tokenizer_config.json,
/// special_tokens_map.json, added_tokens.json and config.json where they exist; or, where the path
/// is_gguf(), the metadata of that file.
[[nodiscard]] tokenizer_data load_tokenizer(const std::filesystem::path& path);

}  // namespace lab
