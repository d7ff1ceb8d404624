// Byte-level BPE as GPT-2, OPT and the shipped models use it: text is cut into pre-tokens, the
// bytes of a pre-token are merged pair by pair, lowest rank first.
//
//   "Hello world" -> "Hello" | " world" -> 15496 995
//
// Or the BPE of SentencePiece (tokenizer_sentencepiece.hpp). Files: tokenizer.json, vocab.json and
// merges.txt, or a GGUF file. Anything that would change the ids and is not implemented (another
// normalizer, dropout, ...) is an error, never ignored.
#pragma once

#include <lab/io/error.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lab {

/// Whether "<|endoftext|>" in a text is that token (as in HuggingFace) or thirteen characters (as
/// in OpenAI's encoder, and the right thing for text that is data).
enum class special_tokens : std::uint8_t { as_text, recognised };

class tokenizer {
 public:
  /// From a folder: tokenizer.json when there, else vocab.json + merges.txt; tokenizer_config.json
  /// and config.json, when there, say whether a text begins with a BOS. Or from a .gguf file.
  explicit tokenizer(const std::filesystem::path& path);

  /// Ids of any bytes, O(n log n) even for one pre-token of a megabyte; a byte without a token is
  /// dropped. `report`, when given, hears from time to time how many bytes are done.
  [[nodiscard]] std::vector<std::uint32_t> encode(
      std::string_view text, special_tokens special = special_tokens::as_text,
      const std::function<void(std::size_t)>& report = {}) const;
  /// The bytes that the tokens stand for: decode_bytes(encode(x)) == x unless bytes were dropped, or
  /// " " + x where a text begins_with_space().
  [[nodiscard]] std::string decode_bytes(std::span<const std::uint32_t> ids) const;
  /// The same as text: bytes that are not UTF-8 become U+FFFD.
  [[nodiscard]] std::string decode(std::span<const std::uint32_t> ids) const;

  /// Largest id + 1.
  [[nodiscard]] std::size_t size() const noexcept;
  /// Id of a token given by its bytes (" world"), or of an added token by its text.
  [[nodiscard]] std::optional<std::uint32_t> find(std::string_view token) const;
  /// Whether encode() puts a space in front of every text, as SentencePiece does, which is not of the
  /// text.
  [[nodiscard]] bool begins_with_space() const noexcept;
  /// The id that this model expects in front of a text: OPT 2, GPT-2 none.
  [[nodiscard]] std::optional<std::uint32_t> leading_bos() const noexcept;

  tokenizer(tokenizer&&) noexcept;
  tokenizer& operator=(tokenizer&&) noexcept;
  ~tokenizer();

 private:
  struct state;
  std::unique_ptr<state> state_;
};

}  // namespace lab
