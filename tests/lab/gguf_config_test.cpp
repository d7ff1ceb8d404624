// The metadata of a GGUF model: what every key means, and what is said of one that is missing, of
// another type or of a model that would compute something else.
#include <lab/io/gguf_config.hpp>

#include "lab/gguf_model.hpp"
#include "lab/tiny_model.hpp"

#include <optional>

namespace {

/// Entry of a key to change; nothing erases it.
using entry = std::optional<std::string>;

test::gguf_model tiny() {
  const test::scratch dir;
  test::write_tiny_model(dir, "llama");
  return test::as_gguf(dir.path());
}

lab::model_config config_of(const test::gguf_model& g) {
  const test::scratch dir;
  return lab::load_config(dir.write("m.gguf", g.bytes()));
}

/// A key with another value, or without one, and what is said of it.
struct lie {
  std::string key;
  entry value;
  std::string expected;
};

void check(const test::gguf_model& good, const lie& one) {
  test::gguf_model changed = good;
  changed.erase(one.key);
  if (one.value) changed.set(one.key, *one.value);
  const auto message = test::rejection([&] { return config_of(changed); });
  CAPTURE(one.key, message);
  CHECK(test::contains(message, "m.gguf: metadata " + one.key + ": "));
  CHECK(test::contains(message, one.expected));
  CHECK(!test::contains(message, "\n"));
}

}  // namespace

TEST_CASE("The keys of a Llama's metadata, and what holds without them") {
  test::gguf_model g = tiny();
  const auto c = config_of(g);
  CHECK((c.width == 16 && c.embed_width == 16 && c.layers == 2 && c.heads == 2 && c.kv_heads == 1));
  CHECK((c.head_width == 8 && c.ffn == 48 && c.positions == 32 && c.vocab == 257));
  CHECK(c.rope_theta == 10000);
  CHECK(c.eos == std::vector<std::uint32_t>{256});
  test::gguf_model turns = g;
  turns.set("tokenizer.ggml.eot_token_id", test::u32_entry(7));
  turns.set("tokenizer.ggml.eom_token_id", test::u32_entry(256));
  CHECK(config_of(turns).eos == std::vector<std::uint32_t>{256, 7});
  for (const char* key :
       {"llama.attention.head_count_kv", "llama.rope.dimension_count", "llama.rope.freq_base",
        "tokenizer.ggml.eos_token_id", "tokenizer.ggml.bos_token_id"})
    g.erase(key);
  const auto bare = config_of(g);
  CHECK(bare.kv_heads == 2);
  CHECK(bare.rope_theta == 10000);
  CHECK((bare.eos.empty() && !bare.bos));
  g.set("llama.attention.key_length", test::u32_entry(12));
  g.set("llama.rope.freq_base", test::f32_entry(2500));
  g.set("llama.context_length", test::i32_entry(40));
  const auto other = config_of(g);
  CHECK((other.head_width == 12 && other.rope_theta == 2500 && other.positions == 40));
}

TEST_CASE("Keys that are missing, ill-typed or of another model are named") {
  const std::string a = "llama.attention.", r = "llama.rope.", g = "tokenizer.ggml.";
  const std::vector<lie> lies{
      {"general.architecture", {}, "is missing; expected a text"},
      {"general.architecture", test::u32_entry(3), "is 3; expected a text"},
      {"general.architecture", test::text_entry("qwen2"), "is \"qwen2\", which is not supported"},
      {"llama.block_count", {}, "is missing; expected an integer from 1 to 4096"},
      {"llama.block_count", test::u32_entry(0), "is 0; expected an integer from 1 to 4096"},
      {"llama.block_count", test::i32_entry(-2), "is -2; expected an integer"},
      {"llama.block_count", test::f32_entry(2), "is 2; expected an integer"},
      {"llama.block_count", test::bool_entry(true), "is true; expected an integer"},
      {"llama.context_length", {}, "is missing; expected an integer"},
      {"llama.embedding_length", {}, "is missing; expected an integer"},
      {"llama.embedding_length", test::u32_entry(1 << 20), "expected an integer from 1 to 131072"},
      {"llama.feed_forward_length", {}, "is missing; expected an integer"},
      {"llama.feed_forward_length", test::i32s_entry({48, 48}), "is [48, 48] (2 elements)"},
      {"llama.vocab_size", test::u32_entry(256), "is 256, but the embedding has 257 tokens"},
      {"llama.expert_count", test::u32_entry(8), "is not supported; expected 0"},
      {a + "head_count", {}, "is missing; expected an integer"},
      {a + "head_count", test::u32_entry(3), "is 3, which does not divide the width 16"},
      {a + "head_count", test::text_entry("2"), "is \"2\"; expected an integer"},
      {a + "head_count_kv", test::u32_entry(3), "is 3, which does not divide the 2 heads"},
      {a + "head_count_kv", test::i32s_entry({1, 1}),
       "is [1, 1] (2 elements); expected an integer"},
      {a + "key_length", test::u32_entry(7), "is 7; rotary positions need an even number"},
      {a + "value_length", test::u32_entry(4), "is 4, which is not supported"},
      {a + "causal", test::bool_entry(false), "expected true"},
      {a + "causal", test::u32_entry(1), "is 1; expected true or false"},
      {a + "sliding_window", test::u32_entry(16), "expected 0"},
      {a + "layer_norm_rms_epsilon", {}, "is missing; expected a float"},
      {a + "layer_norm_rms_epsilon", test::u32_entry(0), "is 0; expected a float"},
      {a + "layer_norm_rms_epsilon", test::f32_entry(-1), "is -1; expected 0 <= epsilon < 1"},
      {r + "dimension_count", test::u32_entry(4), "is 4, which is not supported"},
      {r + "freq_base", test::f32_entry(0), "is 0; expected a number from 1"},
      {r + "freq_base", test::text_entry("1"), "is \"1\"; expected a float"},
      {r + "scaling.type", test::text_entry("yarn"), "is \"yarn\", which is not supported"},
      {r + "scaling.factor", test::f32_entry(4), "is 4, which is not supported"},
      {r + "scaling.attn_factor", test::f32_entry(0.5f), "is 0.5, which is not supported"},
      {r + "scale_linear", test::f32_entry(2), "is 2, which is not supported"},
      {g + "eos_token_id", test::text_entry("x"), "is \"x\"; expected an integer"},
      {g + "bos_token_id", test::i32_entry(-1), "is -1; expected an integer"},
      {g + "bos_token_id", test::u32_entry(257), "is token 257; expected less than 257, the rows"},
      {g + "eos_token_id", test::u32_entry(257), "is token 257; expected less than 257, the rows"},
      {g + "eos_token_id", test::u32_entry(~0u), "is token 4294967295; expected less than 257"},
      {g + "eot_token_id", test::i32_entry(900), "is token 900; expected less than 257, the rows"},
      {g + "eom_token_id", test::u32_entry(258), "is token 258; expected less than 257, the rows"},
  };
  const test::gguf_model good = tiny();
  for (const lie& one : lies) check(good, one);
}

TEST_CASE("The keys of a GPT-2's metadata") {
  const test::scratch dir;
  test::gguf_model g;
  const auto u32 = [&](const char* key, std::uint32_t v) { g.set(key, test::u32_entry(v)); };
  g.set("general.architecture", test::text_entry("gpt2"));
  u32("gpt2.block_count", 3);
  u32("gpt2.context_length", 40);
  u32("gpt2.embedding_length", 12);
  u32("gpt2.feed_forward_length", 20);
  u32("gpt2.attention.head_count", 2);
  g.set("gpt2.attention.layer_norm_epsilon", test::f32_entry(0.25f));
  g.add("token_embd.weight", {12, 5}, std::vector<float>(60));
  const auto c = config_of(g);
  CHECK(c.family == lab::model_family::gpt2);
  CHECK((c.width == 12 && c.layers == 3 && c.positions == 40 && c.ffn == 20 && c.vocab == 5));
  CHECK((c.heads == 2 && c.kv_heads == 2 && c.head_width == 6 && c.norm_eps == 0.25f));
  CHECK((c.bias && c.mlp_bias && c.tied_head && !c.gated && !c.rms_norm && !c.rotary()));
  for (const lie& one : std::vector<lie>{
           {"gpt2.attention.layer_norm_epsilon", {}, "is missing; expected a float"},
           {"gpt2.attention.head_count", test::u32_entry(5), "does not divide the width 12"},
           {"gpt2.attention.head_count_kv", test::u32_entry(1), "is 1; expected 2"},
           {"gpt2.attention.key_length", test::u32_entry(4), "is 4; expected 12 / 2"},
           {"gpt2.attention.causal", test::bool_entry(false), "expected true"},
           {"gpt2.vocab_size", test::u32_entry(6), "is 6, but the embedding has 5 tokens"}})
    check(g, one);
}
