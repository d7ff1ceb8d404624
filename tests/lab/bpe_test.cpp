// The heap against the definition written down plainly: find the lowest rank, merge its leftmost
// occurrence, again.
#include <lab/io/bpe.hpp>

#include "support/test.hpp"

#include <set>
#include <utility>

namespace {

using ids = std::vector<std::uint32_t>;

ids plain(ids text, const std::vector<lab::merge_rule>& rules) {
  for (;;) {
    std::size_t best = rules.size(), place = 0;
    for (std::size_t i = 0; i + 1 < text.size(); ++i)
      for (std::size_t r = 0; r < best; ++r)
        if (rules[r].left == text[i] && rules[r].right == text[i + 1]) best = r, place = i;
    if (best == rules.size()) return text;
    text[place] = rules[best].result;
    text.erase(text.begin() + static_cast<std::ptrdiff_t>(place) + 1);
  }
}

ids merged(const lab::merge_table& table, ids text) {
  table.merge(text);
  return text;
}

}  // namespace

TEST_CASE("merge order is rank, then left") {
  // h0 u1 g2 s3; (u g)->4 (h ug)->5 (s s)->6
  const std::vector<lab::merge_rule> rules{{1, 2, 4}, {0, 4, 5}, {3, 3, 6}};
  const lab::merge_table table(rules, 7);
  CHECK(merged(table, {0, 1, 2, 3}) == ids{5, 3});
  CHECK(merged(table, {3, 3, 3}) == ids{6, 3});
  CHECK(merged(table, {3, 3, 3, 3, 3}) == ids{6, 6, 3});
  CHECK(merged(table, {}) == ids{});
  CHECK(merged(table, {2}) == ids{2});
  CHECK(merged(table, {2, 0}) == ids{2, 0});
}

TEST_CASE("random rules and random texts agree with the definition") {
  const auto seed = test::seed(11);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  for (int round = 0; round < 400; ++round) {
    const std::uint32_t letters = 2 + static_cast<std::uint32_t>(g() % 4);
    std::vector<lab::merge_rule> rules;
    std::set<std::pair<std::uint32_t, std::uint32_t>> pairs;
    std::uint32_t next = letters;
    for (std::size_t n = g() % 12; n > 0; --n) {
      const auto left = static_cast<std::uint32_t>(g() % next);
      const auto right = static_cast<std::uint32_t>(g() % next);
      if (pairs.insert({left, right}).second) rules.push_back({left, right, next++});
    }
    const lab::merge_table table(rules, next);
    for (int t = 0; t < 10; ++t) {
      ids text(g() % 40);
      for (auto& id : text) id = static_cast<std::uint32_t>(g() % letters);
      REQUIRE(merged(table, text) == plain(text, rules));
    }
  }
}

TEST_CASE("a million equal letters merge in n log n") {
  // 0 0 -> 1, 1 1 -> 2, ...: every level halves the list
  std::vector<lab::merge_rule> rules;
  for (std::uint32_t i = 0; i < 20; ++i) rules.push_back({i, i, i + 1});
  const lab::merge_table table(rules, 21);
  CHECK(merged(table, ids(std::size_t{1} << 20, 0)) == ids{20});
  CHECK(merged(table, ids((std::size_t{1} << 20) - 1, 0)).size() == 20);
}

TEST_CASE("first_duplicate finds the first repeated pair") {
  using rules = std::vector<lab::merge_rule>;
  CHECK(lab::first_duplicate(rules{}) == 0);
  CHECK(lab::first_duplicate(rules{{0, 1, 2}, {1, 0, 3}, {0, 2, 4}}) == 3);
  CHECK(lab::first_duplicate(rules{{0, 1, 2}, {5, 5, 6}, {5, 5, 7}, {0, 1, 3}}) == 2);
}
