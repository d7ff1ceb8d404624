// Byte-pair merging: of all adjacent pairs the one with the lowest rank is joined, the leftmost
// first, until no pair has a rank.
//
//   h u g s   (u g) rank 0, (h ug) rank 1   ->   h ug s   ->   hug s
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace lab {

/// The token `result` replaces `left` `right`. The rank of a merge is its place in the list.
struct merge_rule {
  std::uint32_t left = 0;
  std::uint32_t right = 0;
  std::uint32_t result = 0;
};

class merge_table {
 public:
  merge_table() = default;
  /// `ids` is larger than every id in the rules; no pair appears twice (first_duplicate()).
  merge_table(std::span<const merge_rule> rules, std::size_t ids);

  /// Merges `ids` in place. O(n log n) for n ids, about 40 bytes of memory for each.
  void merge(std::vector<std::uint32_t>& ids) const;

  struct ranked {
    std::uint32_t right = 0;
    std::uint32_t rank = 0;
    std::uint32_t result = 0;
  };
  /// Null when the pair does not merge.
  [[nodiscard]] const ranked* find(std::uint32_t left, std::uint32_t right) const noexcept;

 private:
  std::vector<std::uint32_t> begin_;  // rules of left id i: entries_[begin_[i] .. begin_[i + 1])
  std::vector<ranked> entries_;       // each such piece sorted by right id: no hash to attack
};

/// Index of the first rule whose pair an earlier rule has; rules.size() when there is none.
[[nodiscard]] std::size_t first_duplicate(std::span<const merge_rule> rules);

}  // namespace lab
