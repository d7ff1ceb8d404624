// SentencePiece keeps no merges but a score for every token: of all neighbours that are a token
// together, those whose token has the highest score are joined. As merges, in the order of their
// ranks:
//
//   " t" -1, "he" -2, " the" -3   ->   (" ", "t") ("h", "e") (" t", "he")
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

namespace lab {

struct scored_token {
  std::string text;
  float score = 0;
};

/// The longest token that merges_by_score() should be given, in bytes: it tries every cut. Llama's
/// longest has 48.
inline constexpr std::size_t longest_scored_token = 256;

/// On the average over all tokens. Llama's 32,000 have 1.9; a list with every part of every token,
/// each 256 bytes long, would have 255.
inline constexpr std::size_t most_merges_per_token = 32;

/// Every way to make a token of two others, the highest score first, then in the order of the
/// tokens. Where two ways to the same token overlap in a text, SentencePiece takes the left one, a
/// list of merges the one with the shorter left part. More than most_merges_per_token is an input_error
/// about `file`.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> merges_by_score(
    std::span<const scored_token> tokens, const std::string& file);

}  // namespace lab
