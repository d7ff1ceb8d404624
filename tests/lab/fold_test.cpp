// Folded norms: the same logits, norms that do nothing any more, and planted channels gone.
#include <lab/experiments/calibration.hpp>
#include <lab/models/fold.hpp>
#include <lab/models/plant.hpp>

#include "golden.hpp"
#include "support/test.hpp"

#include <algorithm>

TEST_CASE("Folding norms leaves the float logits to rounding") {
  const std::string name = GENERATE("gpt2_tied", "gpt2_untied", "opt_pre_norm", "opt_untied",
                                    "llama_grouped", "llama_untied");
  const bool planted = GENERATE(false, true), biased = GENERATE(false, true);
  INFO(name << " planted " << planted << " biased " << biased);
  lab::transformer m = lab::load_model(test::golden / name);
  if (planted) lab::apply_plant(m, {4, 8});
  if (!biased) {
    for (lab::block& b : m.blocks) b.fc1.bias.clear();
  }
  const auto ids = test::golden_ids(name);
  const auto before = test::logits_of(m, ids);
  lab::transformer folded = m;
  lab::fold_norms(folded);
  const auto after = test::logits_of(folded, ids);
  float size = 0, most = 0;
  for (std::size_t i = 0; i < before.size(); ++i) {
    size = std::max(size, std::fabs(before[i]));
    most = std::max(most, std::fabs(before[i] - after[i]));
  }
  CHECK(most <= 1e-5f * size);
  for (const lab::block& b : folded.blocks) {
    for (const lab::norm* n : {&b.attention_norm, &b.mlp_norm}) {
      CHECK(std::all_of(n->gain.begin(), n->gain.end(), [](float g) { return g == 1; }));
      CHECK(std::all_of(n->bias.begin(), n->bias.end(), [](float v) { return v == 0; }));
    }
    CHECK((m.config.rms_norm || b.fc1.bias.size() == b.fc1.out));
  }
  CHECK(folded.blocks[0].fc1.weight != m.blocks[0].fc1.weight);
  CHECK(folded.blocks[0].fc2.weight == m.blocks[0].fc2.weight);
}

TEST_CASE("Folding takes planted channels out of the activations") {
  const std::string name = GENERATE("gpt2_tied", "llama_untied");
  lab::transformer natural = lab::load_model(test::golden / name), planted = natural;
  lab::apply_plant(planted, {2, 10});
  lab::fold_norms(natural);
  lab::fold_norms(planted);  // powers of two: the same bits
  CHECK(planted.blocks[0].qkv[0].weight == natural.blocks[0].qkv[0].weight);
  CHECK(planted.blocks[0].fc1.bias == natural.blocks[0].fc1.bias);
}

TEST_CASE("A post-norm model is refused and stays as it was") {
  lab::transformer post = lab::load_model(test::golden / "opt_post_norm");
  const auto weights = post.blocks[0].fc1.weight;
  CHECK(test::contains(test::rejection([&] { return lab::fold_norms(post), 0; }), "post-norm"));
  CHECK(post.blocks[0].fc1.weight == weights);
}
