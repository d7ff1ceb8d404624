// Cuts between all bytes; those within a character give no tokens.
#include <lab/io/error.hpp>
#include <lab/io/tokenizer_scores.hpp>

#include <algorithm>
#include <set>
#include <string_view>

namespace lab {

namespace {

/// A token of two others: its first `size` bytes, and the rest.
struct token_cut {
  std::string_view text;
  std::size_t size;
};

}  // namespace

std::vector<std::pair<std::string, std::string>> merges_by_score(
    std::span<const scored_token> tokens, const std::string& file) {
  std::set<std::string_view> known;
  std::vector<const scored_token*> order;
  for (const scored_token& t : tokens) {
    known.insert(t.text);
    order.push_back(&t);
  }
  std::stable_sort(order.begin(), order.end(), [](const scored_token* a, const scored_token* b) {
    return a->score > b->score;
  });
  const std::size_t most = most_merges_per_token * tokens.size();
  std::vector<token_cut> cuts;  // no strings before it is known how many there are
  for (const scored_token* t : order) {
    const std::string_view text = t->text;
    for (std::size_t size = 1; size < text.size(); ++size) {
      if (!known.contains(text.substr(0, size)) || !known.contains(text.substr(size))) continue;
      if (cuts.size() == most)
        reject({file}, "its ", tokens.size(), " scored tokens make more than ", most,
               " merges, the last of them for token ", in_quotes(text), "; expected at most ",
               most_merges_per_token, " for each");
      cuts.push_back({text, size});
    }
  }
  std::vector<std::pair<std::string, std::string>> merges;
  merges.reserve(cuts.size());
  for (const token_cut& c : cuts)
    merges.emplace_back(c.text.substr(0, c.size), c.text.substr(c.size));
  return merges;
}

}  // namespace lab
