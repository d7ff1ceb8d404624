// Cuts between all bytes; those within a character give no tokens.
#include <lab/io/tokenizer_scores.hpp>

#include <algorithm>
#include <set>
#include <string_view>

namespace lab {

std::vector<std::pair<std::string, std::string>> merges_by_score(
    std::span<const scored_token> tokens) {
  std::set<std::string_view> known;
  std::vector<const scored_token*> order;
  for (const scored_token& t : tokens) {
    known.insert(t.text);
    order.push_back(&t);
  }
  std::stable_sort(order.begin(), order.end(), [](const scored_token* a, const scored_token* b) {
    return a->score > b->score;
  });
  std::vector<std::pair<std::string, std::string>> merges;
  for (const scored_token* t : order) {
    const std::string_view text = t->text;
    for (std::size_t cut = 1; cut < text.size(); ++cut) {
      if (known.contains(text.substr(0, cut)) && known.contains(text.substr(cut)))
        merges.emplace_back(text.substr(0, cut), text.substr(cut));
    }
  }
  return merges;
}

}  // namespace lab
