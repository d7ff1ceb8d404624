// Windows against the loops of the scripts that defined the two protocols.
#include "scratch.hpp"
#include "support/test.hpp"

#include <lab/experiments/protocol.hpp>

using lab::cut;
using lab::window;
using lab::window_rule;

namespace {

/// The targets that a window scores, as positions in the text.
std::vector<std::size_t> targets(const std::vector<window>& windows) {
  std::vector<std::size_t> all;
  for (const window& w : windows) {
    for (std::size_t t = w.size - w.scored; t < w.size; ++t) all.push_back(w.first + t);
  }
  return all;
}

/// The loop of HuggingFace's "perplexity of fixed-length models": labels [begin, end) with the first
/// size - target_length masked, and a loss that never has a label for a window's first token.
std::vector<std::size_t> huggingface(std::size_t tokens, std::size_t size, std::size_t stride) {
  std::vector<std::size_t> all;
  std::size_t previous = 0;
  for (std::size_t begin = 0; begin < tokens; begin += stride) {
    const std::size_t end = std::min(begin + size, tokens), length = end - previous;
    for (std::size_t t = end - length; t < end; ++t) {
      if (t > begin) all.push_back(t);
    }
    previous = end;
    if (end == tokens) break;
  }
  return all;
}

}  // namespace

TEST_CASE("chunk: disjoint windows, the tail dropped, all but the first token scored") {
  CHECK(cut(window_rule::chunk, 10, 4, 0) == std::vector<window>{{0, 4, 3}, {4, 4, 3}});
  CHECK(cut(window_rule::chunk, 8, 4, 0).size() == 2);
  CHECK(cut(window_rule::chunk, 3, 4, 0).empty());
  CHECK(cut(window_rule::chunk, 0, 4, 0).empty());
}

TEST_CASE("stride: what HuggingFace scores, each target once, with the most context") {
  CHECK(cut(window_rule::stride, 10, 4, 2) ==
        std::vector<window>{{0, 4, 3}, {2, 4, 2}, {4, 4, 2}, {6, 4, 2}});
  CHECK(cut(window_rule::stride, 9, 4, 2).back() == window{6, 3, 1});
  CHECK(cut(window_rule::stride, 5, 4, 4) ==
        std::vector<window>{{0, 4, 3}});  // one token is no pair
  for (std::size_t tokens = 0; tokens < 40; ++tokens) {
    for (std::size_t size = 2; size < 9; ++size) {
      for (std::size_t stride = 1; stride <= size; ++stride) {
        INFO(tokens << " " << size << " " << stride);
        const auto windows = cut(window_rule::stride, tokens, size, stride);
        REQUIRE(targets(windows) == huggingface(tokens, size, stride));
        for (const window& w : windows) {
          REQUIRE(w.first + w.size <= tokens);
          REQUIRE(w.size <= size);
          REQUIRE(w.scored < w.size);
        }
      }
    }
  }
}

TEST_CASE("Impossible windows are refused") {
  const auto says = [](window_rule rule, std::size_t size, std::size_t stride) {
    return test::rejection([&] { return cut(rule, 100, size, stride); });
  };
  CHECK(test::contains(says(window_rule::chunk, 1, 1), "--window 1"));
  CHECK(test::contains(says(window_rule::stride, 8, 0), "--stride 0"));
  CHECK(test::contains(says(window_rule::stride, 8, 9), "--stride 9: expected 1 to the window, 8"));
}

TEST_CASE("The hash of ids is FNV-1a 64 of their little-endian uint32") {
  CHECK(lab::ids_hash({}) == "cbf29ce484222325");
  const std::vector<std::uint32_t> ids = {1};  // bytes 01 00 00 00
  std::uint64_t h = 0xcbf29ce484222325u;
  for (const std::uint64_t byte : {1u, 0u, 0u, 0u}) h = (h ^ byte) * 0x100000001b3u;
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(h));
  CHECK(lab::ids_hash(ids) == text);
}
