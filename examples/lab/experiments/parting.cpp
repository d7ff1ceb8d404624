// Two greedy texts, and the softmax where they part.
#include <lab/experiments/parting.hpp>

#include <algorithm>
#include <cmath>

namespace lab {

namespace {

/// Probabilities of two tokens behind prompt and text, fed as generate() feeds them.
std::array<double, 2> probabilities(const transformer& model, const scheme_layers& layers,
                                    std::span<const std::uint32_t> prompt,
                                    std::span<const std::uint32_t> text,
                                    const std::array<std::uint32_t, 2>& tokens,
                                    std::size_t threads) {
  decoder d(model, layers, prompt.size() + text.size(), threads);
  std::span<const float> logits = d.feed(prompt);
  for (const std::uint32_t& id : text) logits = d.feed({&id, 1});
  const auto largest = static_cast<double>(*std::max_element(logits.begin(), logits.end()));
  double sum = 0;
  for (const float l : logits) sum += std::exp(static_cast<double>(l) - largest);
  std::array<double, 2> p{};
  for (std::size_t i = 0; i < 2; ++i) {
    p[i] = std::exp(static_cast<double>(logits[tokens[i]]) - largest) / sum;
  }
  return p;
}

}  // namespace

parting compare_continuations(const transformer& model, const scheme_layers& reference,
                              const generation& expected, const scheme_layers& layers,
                              std::span<const std::uint32_t> prompt, const generation_options& o) {
  ZP_REQUIRE(o.choice.temperature <= 0, "compare_continuations: texts are greedy");
  parting p;
  const generation found = generate(model, layers, prompt, o);
  p.ids = found.ids;
  const auto [a, b] =
      std::mismatch(expected.ids.begin(), expected.ids.end(), p.ids.begin(), p.ids.end());
  p.shared = static_cast<std::size_t>(b - p.ids.begin());
  p.parted = a != expected.ids.end() || b != p.ids.end() || expected.ended != found.ended;
  if (!p.parted) return p;
  p.tokens = {a != expected.ids.end() ? *a : expected.ended.value_or(0),
              b != p.ids.end() ? *b : found.ended.value_or(0)};
  const auto text = std::span(expected.ids).first(p.shared);
  p.reference = probabilities(model, reference, prompt, text, p.tokens, o.threads);
  p.scheme = probabilities(model, layers, prompt, text, p.tokens, o.threads);
  return p;
}

}  // namespace lab
