// The forward pass against HuggingFace transformers: tests/make_golden.py made the files.
// float_kernels_test.cpp holds the variants of the kernels against each other; ZP_LAB_FLOAT=baseline
// runs this test on another one.
#include "golden.hpp"
#include "support/test.hpp"

using test::golden;
using test::logits_of;

TEST_CASE("Logits agree with HuggingFace") {
  const std::string name = GENERATE("gpt2_tied", "gpt2_untied", "opt_pre_norm", "opt_post_norm",
                                    "opt_untied", "llama_grouped", "llama_untied");
  INFO(name);
  const lab::transformer m = lab::load_model(golden / name);
  const auto ids = test::golden_ids(name);
  const auto expected = test::read_array<float>(golden / name / "logits.f32");
  const auto logits = logits_of(m, ids);
  REQUIRE(logits.size() == expected.size());
  // Relative to the largest logit: float32 sums of 20 to 60 terms in another order. Measured over the
  // five cases and three variants: at most 6.5e-7.
  CHECK(test::relative_difference(logits, expected) <= 2e-6f);
}

TEST_CASE("A shorter window gives the same first logits") {  // causality
  const std::string name = GENERATE("gpt2_tied", "llama_grouped");
  const lab::transformer m = lab::load_model(golden / name);
  const auto ids = test::golden_ids(name);
  const auto all = logits_of(m, ids);
  for (std::size_t T = 1; T < ids.size(); ++T) {
    const auto some = logits_of(m, {ids.data(), T});
    for (std::size_t i = 0; i < some.size(); ++i) {
      REQUIRE(std::fabs(some[i] - all[i]) < 1e-4f);
    }
  }
}
