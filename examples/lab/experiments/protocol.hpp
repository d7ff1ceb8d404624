// How a long text becomes windows and scored tokens. The protocol changes a perplexity more than
// quantization does, so it is printed with every number.
//
//   chunk   |-------|-------|-------|tail      GPTQ, SmoothQuant: disjoint windows, the tail dropped;
//            xSSSSSS xSSSSSS xSSSSSS           every token but a window's first is scored
//   stride  |-------|                          HuggingFace "perplexity of fixed-length models":
//            xSSSSSS|---|                      windows start `stride` apart; only tokens that no
//               |----SSSS|                     earlier window scored are scored; the tail is kept
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lab {

enum class window_rule : std::uint8_t { chunk, stride };
[[nodiscard]] std::string_view name(window_rule) noexcept;

/// Tokens [first, first + size) of the text; its last `scored` tokens are targets.
struct window {
  std::size_t first = 0, size = 0, scored = 0;
  friend bool operator==(const window&, const window&) = default;
};

/// The windows of a text of `tokens` tokens. 2 <= size, 1 <= stride <= size (chunk ignores stride).
[[nodiscard]] std::vector<window> cut(window_rule rule, std::size_t tokens, std::size_t size,
                                      std::size_t stride);

/// What is printed above a table and written into its JSON.
struct protocol {
  window_rule rule = window_rule::chunk;
  std::size_t window = 0;
  std::size_t stride = 0;            ///< equals window under chunk
  std::optional<std::uint32_t> bos;  ///< put once before the whole text, none per window
  std::string text;                  ///< file name of the text, without its folder
  bool joined = true;                ///< lines joined as the HuggingFace dataset does
  std::string text_hash;             ///< FNV-1a 64 of the bytes of the text as read
  std::string ids_hash;              ///< FNV-1a 64 of the scored text's ids as uint32
  std::string calibration;           ///< file name; empty when no scheme needs it
  std::size_t calibration_tokens = 0;
  bool calibration_from_table = false;  ///< then `calibration` names the table and its texts
  std::size_t windows = 0, scored = 0;  ///< what the numbers are averages of
};

/// FNV-1a 64 of ids as little-endian uint32, in 16 hexadecimal digits.
[[nodiscard]] std::string ids_hash(std::span<const std::uint32_t> ids);

/// Ids below vocab, as likely each, for what needs numbers and no text. 0 < vocab.
[[nodiscard]] std::vector<std::uint32_t> random_ids(std::size_t count, std::size_t vocab,
                                                    std::uint64_t seed);

}  // namespace lab
