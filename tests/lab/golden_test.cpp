// The forward pass against HuggingFace transformers: tests/make_golden.py made the files. Every variant
// of the float kernels has to agree, not only the one this machine would choose.
#include "support/test.hpp"

#include <lab/io/file.hpp>
#include <lab/models/float_kernels.hpp>
#include <lab/models/load.hpp>

#include <cstring>

namespace {

const std::filesystem::path golden = "tests/lab/data/golden";

template <class T>
std::vector<T> read_array(const std::filesystem::path& path) {
  const std::string bytes = lab::read_file(path, 1 << 20);
  std::vector<T> values(bytes.size() / sizeof(T));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
  return values;
}

std::vector<float> logits_of(const lab::transformer& m, std::span<const std::uint32_t> ids) {
  const std::size_t T = ids.size(), E = m.config.embed_width, V = m.config.vocab;
  std::vector<float> hidden(T * E), logits(T * V);
  lab::workspace w(m.config, T);
  lab::forward(m, lab::float_linears(m), ids, w, {hidden.data(), T, E});
  lab::apply_head(m, {hidden.data(), T, E}, {logits.data(), T, V});
  return logits;
}

}  // namespace

TEST_CASE("Logits agree with HuggingFace") {
  const std::string name =
      GENERATE("gpt2_tied", "gpt2_untied", "opt_pre_norm", "opt_post_norm", "opt_untied");
  INFO(name);
  const lab::transformer m = lab::load_model(golden / name);
  const auto stored = read_array<std::uint16_t>(golden / name / "ids.u16");
  const std::vector<std::uint32_t> ids(stored.begin(), stored.end());
  const auto expected = read_array<float>(golden / name / "logits.f32");
  const auto logits = logits_of(m, ids);
  REQUIRE(logits.size() == expected.size());
  // Relative to the largest logit: float32 sums of 20 to 60 terms in another order. Measured over the
  // five cases and three variants: at most 6.5e-7.
  float largest = 0, worst = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    largest = std::max(largest, std::fabs(expected[i]));
    worst = std::max(worst, std::fabs(logits[i] - expected[i]));
  }
  INFO("relative difference " << worst / largest);
  CHECK(worst <= 2e-6f * largest);
}

TEST_CASE("A shorter window gives the same first logits") {  // causality
  const lab::transformer m = lab::load_model(golden / "gpt2_tied");
  const auto stored = read_array<std::uint16_t>(golden / "gpt2_tied/ids.u16");
  const std::vector<std::uint32_t> ids(stored.begin(), stored.end());
  const auto all = logits_of(m, ids);
  for (std::size_t T = 1; T < ids.size(); ++T) {
    const auto some = logits_of(m, {ids.data(), T});
    for (std::size_t i = 0; i < some.size(); ++i) {
      REQUIRE(std::fabs(some[i] - all[i]) < 1e-4f);
    }
  }
}
