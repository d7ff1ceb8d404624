// A doubly linked list of ids and a heap of candidate pairs. A candidate that no longer describes
// its place when it comes up is dropped.
#include <lab/io/bpe.hpp>

#include <algorithm>
#include <queue>
#include <tuple>

namespace lab {
namespace {

constexpr std::uint32_t none = 0xFFFFFFFFu;

struct node {
  std::uint32_t id, previous, next;
};
struct candidate {
  std::uint32_t rank, at, result;
  // std::priority_queue has the largest on top: lowest rank first, then leftmost.
  friend bool operator<(const candidate& a, const candidate& b) {
    return std::tie(a.rank, a.at) > std::tie(b.rank, b.at);
  }
};

}  // namespace

merge_table::merge_table(std::span<const merge_rule> rules, std::size_t ids)
    : begin_(ids + 1, 0), entries_(rules.size()) {
  for (const auto& rule : rules) ++begin_[rule.left + 1];
  for (std::size_t i = 0; i < ids; ++i) begin_[i + 1] += begin_[i];
  auto place = begin_;
  for (std::uint32_t rank = 0; rank < rules.size(); ++rank)
    entries_[place[rules[rank].left]++] = {rules[rank].right, rank, rules[rank].result};
  for (std::size_t i = 0; i < ids; ++i)
    std::sort(entries_.begin() + begin_[i], entries_.begin() + begin_[i + 1],
              [](const ranked& a, const ranked& b) { return a.right < b.right; });
}

const merge_table::ranked* merge_table::find(std::uint32_t left,
                                             std::uint32_t right) const noexcept {
  const auto begin = entries_.begin() + begin_[left], end = entries_.begin() + begin_[left + 1];
  const auto found = std::lower_bound(
      begin, end, right, [](const ranked& entry, std::uint32_t id) { return entry.right < id; });
  return found == end || found->right != right ? nullptr : &*found;
}

void merge_table::merge(std::vector<std::uint32_t>& ids) const {
  if (ids.size() < 2) return;
  const auto count = static_cast<std::uint32_t>(ids.size());
  std::vector<node> nodes(count);
  for (std::uint32_t i = 0; i < count; ++i)
    nodes[i] = {ids[i], i == 0 ? none : i - 1, i + 1 == count ? none : i + 1};

  std::vector<candidate> candidates;
  candidates.reserve(count);
  const auto candidate_at = [&](std::uint32_t at, auto&& put) {
    if (at == none || nodes[at].next == none) return;
    if (const auto* found = find(nodes[at].id, nodes[nodes[at].next].id))
      put(candidate{found->rank, at, found->result});
  };
  for (std::uint32_t i = 0; i < count; ++i)
    candidate_at(i, [&](const candidate& c) { candidates.push_back(c); });
  std::priority_queue<candidate> heap({}, std::move(candidates));

  while (!heap.empty()) {
    const candidate best = heap.top();
    heap.pop();
    node& left = nodes[best.at];
    if (left.id == none || left.next == none) continue;
    node& right = nodes[left.next];
    const auto* found = find(left.id, right.id);
    if (found == nullptr || found->rank != best.rank) continue;
    left.id = best.result;
    right.id = none;  // gone
    left.next = right.next;
    if (left.next != none) nodes[left.next].previous = best.at;
    candidate_at(left.previous, [&](const candidate& c) { heap.push(c); });
    candidate_at(best.at, [&](const candidate& c) { heap.push(c); });
  }

  ids.clear();
  for (std::uint32_t at = 0; at != none; at = nodes[at].next) ids.push_back(nodes[at].id);
}

std::size_t first_duplicate(std::span<const merge_rule> rules) {
  std::vector<std::size_t> order(rules.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  const auto key = [&](std::size_t i) { return std::tie(rules[i].left, rules[i].right); };
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return key(a) != key(b) ? key(a) < key(b) : a < b;
  });
  std::size_t first = rules.size();
  for (std::size_t i = 1; i < order.size(); ++i)
    if (key(order[i]) == key(order[i - 1])) first = std::min(first, order[i]);
  return first;
}

}  // namespace lab
