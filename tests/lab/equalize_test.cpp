// Equalized models: the same function, and the two sides of every pair with the same ranges.
#include "golden.hpp"
#include "support/test.hpp"

#include <lab/models/equalize.hpp>

namespace {

/// The largest |w| of a row (an output) or of a column (an input).
float largest_in_row(const lab::dense& d, std::size_t j) {
  float most = 0;
  for (std::size_t k = 0; k < d.in; ++k) most = std::max(most, std::fabs(d.weight[j * d.in + k]));
  return most;
}
float largest_in_column(const lab::dense& d, std::size_t k) {
  float most = 0;
  for (std::size_t j = 0; j < d.out; ++j) most = std::max(most, std::fabs(d.weight[j * d.in + k]));
  return most;
}

/// The last outputs of `made`, which are the inputs of `reads`, have their ranges there; how many had
/// others in `old`.
std::size_t check_balanced(const lab::dense& made, const lab::dense& reads, const lab::dense& old) {
  std::size_t changed = 0;
  const std::size_t first = made.out - reads.in;
  for (std::size_t i = 0; i < reads.in; ++i) {
    const float in = largest_in_column(reads, i), out = largest_in_row(made, first + i);
    CHECK(std::fabs(in - out) <= 4e-7f * in);  // a root, a quotient and a product, rounded
    changed += largest_in_row(old, first + i) != out ? 1 : 0;
  }
  return changed;
}

}  // namespace

TEST_CASE("Equalization leaves the float logits to rounding and balances what it may") {
  const std::string name = GENERATE("gpt2_tied", "gpt2_untied", "opt_pre_norm", "opt_post_norm",
                                    "opt_untied", "llama_grouped", "llama_untied");
  INFO(name);
  const lab::transformer m = lab::load_model(test::golden / name);
  lab::transformer equal = m;
  lab::apply_equalization(equal);
  const auto ids = test::golden_ids(name);
  CHECK(test::relative_difference(test::logits_of(equal, ids), test::logits_of(m, ids)) < 1e-5f);
  const lab::model_config& c = m.config;
  for (std::size_t i = 0; i < m.blocks.size(); ++i) {
    const lab::block &b = equal.blocks[i], &old = m.blocks[i];
    if (c.kv_heads == c.heads) {
      CHECK(check_balanced(b.qkv.back(), b.attention_out, old.qkv.back()) > 0);
      // Queries and keys stay.
      const std::size_t same = (c.qkv_width() - c.kv_width()) * c.width;
      if (b.qkv.size() == 1)
        CHECK(std::equal(b.qkv[0].weight.begin(),
                         b.qkv[0].weight.begin() + static_cast<std::ptrdiff_t>(same),
                         old.qkv[0].weight.begin()));
    } else {
      CHECK(b.qkv.back().weight == old.qkv.back().weight);
      CHECK(b.attention_out.weight == old.attention_out.weight);
    }
    CHECK((b.qkv.size() == 1 || b.qkv[1].weight == old.qkv[1].weight));
    if (c.gated || c.act == lab::activation::relu) {
      CHECK(check_balanced(b.fc1, b.fc2, old.fc1) > 0);
    } else {
      CHECK(b.fc1.weight == old.fc1.weight);
    }
    CHECK((!b.gate || b.gate->weight == old.gate->weight));
  }
}

TEST_CASE("A model without a pair is refused and stays as it was") {
  lab::transformer m = lab::load_model(test::golden / "llama_grouped");
  REQUIRE(m.config.kv_heads < m.config.heads);
  m.config.gated = false;
  const auto weights = m.blocks[0].fc1.weight;
  CHECK(test::contains(test::rejection([&] { return lab::apply_equalization(m), 0; }),
                       "the MLP has silu between its layers"));
  CHECK(m.blocks[0].fc1.weight == weights);
}
