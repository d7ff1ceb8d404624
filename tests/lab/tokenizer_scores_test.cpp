// The merges that scores stand for: their order, and how many a list of tokens may make.
#include <lab/io/tokenizer_scores.hpp>

#include "scratch.hpp"
#include "support/test.hpp"

namespace {

using tokens = std::vector<lab::scored_token>;
using merges = std::vector<std::pair<std::string, std::string>>;

merges made(const tokens& list) {
  return lab::merges_by_score(list, "some.gguf");
}

/// Runs of one letter, 1 to `longest`: every cut of every token gives two tokens.
tokens runs(std::size_t longest) {
  tokens list;
  for (std::size_t n = 1; n <= longest; ++n) list.push_back({std::string(n, 'a'), 0});
  return list;
}

}  // namespace

TEST_CASE("Merges come in the order of the scores, whatever the order of the tokens") {
  const merges expected{{" ", "t"}, {"h", "e"}, {" t", "he"}};
  CHECK(made({{" ", -9}, {"t", -9}, {"h", -9}, {"e", -9}, {" t", -1}, {"he", -2}, {" the", -3}}) ==
        expected);
  CHECK(made({{" the", -3}, {"he", -2}, {"e", 5}, {" t", -1}, {"h", 4}, {"t", 0}, {" ", 9}}) ==
        expected);
}

TEST_CASE("Equal scores keep the order of the tokens") {
  CHECK(made({{"bc", 1}, {"ab", 1}, {"a", 1}, {"b", 1}, {"c", 1}, {"ca", 1}}) ==
        merges{{"b", "c"}, {"a", "b"}, {"c", "a"}});
  CHECK(made({{"a", 0}, {"b", 0}, {"ba", -0.0f}, {"ab", 0.0f}}) == merges{{"b", "a"}, {"a", "b"}});
}

TEST_CASE("Of several ways to one token the shorter left part comes first") {
  CHECK(made({{"abc", 1}, {"ab", 0}, {"bc", 0}, {"a", 0}, {"b", 0}, {"c", 0}}) ==
        merges{{"a", "bc"}, {"ab", "c"}, {"a", "b"}, {"b", "c"}});
}

TEST_CASE("One-byte tokens, none at all, and parts that are no tokens make no merges") {
  CHECK(made({}).empty());
  CHECK(made({{"", 1}}).empty());
  CHECK(made({{"a", 1}, {"b", 2}, {std::string(1, '\0'), 3}}).empty());
  CHECK(made({{"a", 1}, {"ab", 2}, {"xyz", 3}}).empty());
}

TEST_CASE("Tokens may make 32 merges each on the average") {
  // n tokens make n (n - 1) / 2 merges: 32 n for 65 of them.
  CHECK(made(runs(65)).size() == 32 * 65);
  CHECK(
      test::rejection([] { return made(runs(66)); }) ==
      "some.gguf: its 66 scored tokens make more than 2112 merges, the last of them for token \"" +
          std::string(66, 'a') + "\"; expected at most 32 for each");
  CHECK(test::contains(test::rejection([] { return made(runs(256)); }), "more than 8192 merges"));
}
