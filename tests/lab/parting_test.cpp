// Where continuations part: probabilities from whole windows, and texts that do not part.
#include <lab/experiments/parting.hpp>
#include <lab/experiments/schemes.hpp>

#include "golden.hpp"
#include "support/test.hpp"

#include <algorithm>

TEST_CASE("Texts part where their tokens first differ, with the probabilities of a whole window") {
  const std::string name = GENERATE("gpt2_tied", "opt_pre_norm", "llama_grouped");
  const lab::transformer m = lab::load_model(test::golden / name);
  const auto ids = test::golden_ids(name);
  const std::span<const std::uint32_t> prompt(ids.data(), 4);
  const auto fp32 = lab::make_scheme("fp32", m, {}), w2 = lab::make_scheme("w2", m, {});
  lab::generation_options how;
  how.new_tokens = 15;
  const auto expected = lab::generate(m, fp32, prompt, how);
  const auto p = lab::compare_continuations(m, fp32, expected, w2, prompt, how);
  REQUIRE(p.parted);
  REQUIRE(p.shared < 15);
  CHECK(std::equal(expected.ids.begin(),
                   expected.ids.begin() + static_cast<std::ptrdiff_t>(p.shared), p.ids.begin()));
  CHECK(p.tokens[0] == expected.ids[p.shared]);
  CHECK(p.tokens[1] == p.ids[p.shared]);
  CHECK(p.tokens[0] != p.tokens[1]);
  CHECK(p.reference[0] >= p.reference[1]);  // each takes its likeliest
  CHECK(p.scheme[1] >= p.scheme[0]);
  std::vector<std::uint32_t> text(prompt.begin(), prompt.end());
  text.insert(text.end(), p.ids.begin(), p.ids.begin() + static_cast<std::ptrdiff_t>(p.shared));
  const auto logits = test::logits_of(m, text);
  const std::size_t V = m.config.vocab;
  double sum = 0;
  for (std::size_t i = logits.size() - V; i < logits.size(); ++i) {
    sum += std::exp(static_cast<double>(logits[i]));
  }
  for (std::size_t i = 0; i < 2; ++i) {
    const auto logit = static_cast<double>(logits[logits.size() - V + p.tokens[i]]);
    CHECK(std::fabs(p.reference[i] - std::exp(logit) / sum) < 1e-4);
  }

  CHECK_FALSE(lab::compare_continuations(m, fp32, expected, fp32, prompt, how).parted);
  // A text that ends there parts with its stop token, unless that ends both texts before.
  how.stop = {p.tokens[1]};
  const auto end = p.ids.begin() + static_cast<std::ptrdiff_t>(p.shared);
  const bool before = std::count(p.ids.begin(), end, p.tokens[1]) > 0;
  const auto stopped = lab::generate(m, fp32, prompt, how);
  const auto ended = lab::compare_continuations(m, fp32, stopped, w2, prompt, how);
  CHECK(ended.parted == !before);
  CHECK(std::count(ended.ids.begin(), ended.ids.end(), p.tokens[1]) == 0);
  if (!before) {
    CHECK(ended.ids.size() == p.shared);
    CHECK(ended.tokens == p.tokens);
  }
}

TEST_CASE("Where both tokens end a text, both texts end there, each with its own") {
  int reached = 0;  // in some models one of the two comes earlier
  for (const char* name : {"gpt2_tied", "opt_pre_norm", "llama_grouped"}) {
    CAPTURE(name);
    const lab::transformer m = lab::load_model(test::golden / name);
    const auto ids = test::golden_ids(name);
    const auto fp32 = lab::make_scheme("fp32", m, {}), w2 = lab::make_scheme("w2", m, {});
    for (std::size_t first = 0; first + 4 <= ids.size(); first += 4) {
      const std::span<const std::uint32_t> prompt(ids.data() + first, 4);
      lab::generation_options how;
      how.new_tokens = 15;
      const auto expected = lab::generate(m, fp32, prompt, how);
      const auto p = lab::compare_continuations(m, fp32, expected, w2, prompt, how);
      if (!p.parted) continue;
      how.stop = {p.tokens[0], p.tokens[1]};
      const auto both = lab::generate(m, fp32, prompt, how);
      if (both.ids.size() < p.shared) continue;
      ++reached;
      CHECK(both.ended == p.tokens[0]);
      const auto twice = lab::compare_continuations(m, fp32, both, w2, prompt, how);
      CHECK(twice.parted);
      CHECK(twice.ids == both.ids);
      CHECK(twice.tokens == p.tokens);
    }
  }
  REQUIRE(reached > 0);
}
