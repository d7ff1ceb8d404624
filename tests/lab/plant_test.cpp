// The planted twin: other activations, the same float logits to the last bit.
#include "golden.hpp"
#include "support/test.hpp"

#include <lab/models/plant.hpp>

using test::contains;

TEST_CASE("A planted model has bit-identical logits") {
  const std::string name = GENERATE("gpt2_tied", "gpt2_untied", "opt_pre_norm", "opt_untied",
                                    "llama_grouped", "llama_untied");
  const lab::plant what = GENERATE(lab::plant{1, 1}, lab::plant{4, 8}, lab::plant{20, 20});
  INFO(name << " " << what.text());
  const lab::transformer natural = lab::load_model(test::golden / name);
  lab::transformer planted = natural;
  lab::apply_plant(planted, what);
  const auto ids = test::golden_ids(name);
  const auto expected = test::logits_of(natural, ids), logits = test::logits_of(planted, ids);
  REQUIRE(logits.size() == expected.size());
  CHECK(std::memcmp(logits.data(), expected.data(), logits.size() * sizeof(float)) == 0);

  // And it really is planted: exactly those gains, biases and columns changed, by exactly 2^power.
  const auto channels = lab::planted_channels(20, what.channels);
  const float c = std::ldexp(1.0f, what.power);
  for (std::size_t j = 0; j < 20; ++j) {
    const bool chosen = std::count(channels.begin(), channels.end(), j) == 1;
    for (std::size_t b = 0; b < natural.blocks.size(); ++b) {
      const lab::block &before = natural.blocks[b], &after = planted.blocks[b];
      CHECK(after.attention_norm.gain[j] == before.attention_norm.gain[j] * (chosen ? c : 1));
      if (natural.config.rms_norm) {
        const float divisor = chosen ? c : 1;
        CHECK(after.gate->weight[20 + j] == before.gate->weight[20 + j] / divisor);
      } else {
        CHECK(after.attention_norm.bias[j] == before.attention_norm.bias[j] * (chosen ? c : 1));
      }
      CHECK(after.mlp_norm.gain[j] == before.mlp_norm.gain[j] * (chosen ? c : 1));
      CHECK(after.fc1.weight[20 + j] == before.fc1.weight[20 + j] / (chosen ? c : 1));
      CHECK(after.qkv.back().weight[20 + j] == before.qkv.back().weight[20 + j] / (chosen ? c : 1));
      CHECK(after.fc2.weight == before.fc2.weight);
      CHECK(after.attention_out.weight == before.attention_out.weight);
    }
    CHECK(planted.final_norm->gain[j] == natural.final_norm->gain[j]);
  }
}

TEST_CASE("Channels are fixed, distinct and ascending") {
  CHECK(lab::planted_channels(256, 4) == std::vector<std::size_t>{35, 40, 193, 230});
  for (const std::size_t width : {1u, 20u, 768u}) {
    const auto all = lab::planted_channels(width, width);
    REQUIRE(all.size() == width);
    for (std::size_t i = 0; i < width; ++i) REQUIRE(all[i] == i);
  }
}

TEST_CASE("What cannot be planted is refused, and the model stays as it was") {
  lab::transformer post = lab::load_model(test::golden / "opt_post_norm");
  CHECK(contains(test::rejection([&] {
                   lab::apply_plant(post, {4, 8});
                   return 0;
                 }),
                 "post-norm"));
  lab::transformer m = lab::load_model(test::golden / "gpt2_tied");
  CHECK(contains(test::rejection([&] {
                   lab::apply_plant(m, {21, 8});
                   return 0;
                 }),
                 "20 channels"));
  lab::transformer bare = m;
  bare.config.norm_affine = false;
  CHECK(contains(test::rejection([&] {
                   lab::apply_plant(bare, {4, 8});
                   return 0;
                 }),
                 "no gain"));
  // 2^-130 * (1 + 2^-23) would lose its last bit among the subnormals.
  const std::size_t channel = lab::planted_channels(20, 1)[0];
  m.blocks[1].fc1.weight[channel] = 0x1.000002p-125f;
  const lab::transformer before = m;
  const auto text = test::rejection([&] {
    lab::apply_plant(m, {1, 8});
    return 0;
  });
  CHECK(contains(text, "h.1.mlp.c_fc holds"));
  CHECK(m.blocks[0].attention_norm.gain == before.blocks[0].attention_norm.gain);
  CHECK(m.blocks[0].qkv[0].weight == before.blocks[0].qkv[0].weight);
}

TEST_CASE("CHANNELS:POWER") {
  CHECK(lab::plant::parse("4:8").channels == 4);
  CHECK(lab::plant::parse("4:8").power == 8);
  CHECK(lab::plant::parse("16:20").text() == "16:20");
  for (const char* bad : {"", "4", "4:", ":8", "4:8:1", "4:8 ", " 4:8", "0:8", "4:0", "4:21",
                          "-4:8", "4:-8", "a:b", "4.5:8", "99999999999999999999:8"}) {
    INFO(bad);
    CHECK(contains(test::rejection([&] { return lab::plant::parse(bad); }), "CHANNELS:POWER"));
  }
}
