// The golden checkpoints of tests/make_golden.py, and a plain forward pass over them.
#pragma once

#include "scratch.hpp"

#include <lab/experiments/perplexity.hpp>
#include <lab/models/load.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

namespace test {

inline constexpr folder golden{"tests/lab/data/golden"};

template <class T>
std::vector<T> read_array(const std::filesystem::path& path) {
  const std::string bytes = slurp(path);
  std::vector<T> values(bytes.size() / sizeof(T));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
  return values;
}

inline std::vector<std::uint32_t> golden_ids(const std::string& name) {
  const auto stored = read_array<std::uint16_t>(golden / name / "ids.u16");
  return {stored.begin(), stored.end()};
}

/// Logits [T, V] of one window.
inline std::vector<float> logits_of(const lab::transformer& m, const lab::linear_set& layers,
                                    std::span<const std::uint32_t> ids,
                                    lab::attention_kind attention = lab::attention_kind::floats) {
  const std::size_t T = ids.size(), E = m.config.embed_width, V = m.config.vocab;
  std::vector<float> hidden(T * E), logits(T * V);
  lab::workspace w(m.config, T);
  lab::forward(m, layers, ids, w, {hidden.data(), T, E}, attention);
  lab::apply_head(m, {hidden.data(), T, E}, {logits.data(), T, V});
  return logits;
}
inline std::vector<float> logits_of(const lab::transformer& m, std::span<const std::uint32_t> ids) {
  return logits_of(m, lab::float_linears(m), ids);
}

/// The same under a scheme, its head included.
inline std::vector<float> logits_of(const lab::transformer& natural, const lab::scheme_layers& s,
                                    std::span<const std::uint32_t> ids) {
  const lab::transformer& m = s.form_of(natural);
  const std::size_t T = ids.size(), E = m.config.embed_width, V = m.config.vocab;
  std::vector<float> hidden(T * E), logits(T * V);
  lab::workspace w(m.config, T);
  lab::forward(m, s.layers, ids, w, {hidden.data(), T, E}, s.attention);
  lab::apply_head(m, s, {hidden.data(), T, E}, {logits.data(), T, V});
  return logits;
}

/// The largest difference over the largest expected value.
inline float relative_difference(const std::vector<float>& found,
                                 const std::vector<float>& expected) {
  float largest = 0, worst = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    largest = std::max(largest, std::fabs(expected[i]));
    worst = std::max(worst, std::fabs(found.at(i) - expected[i]));
  }
  return worst / largest;
}

}  // namespace test
