// Models that are quantized while they are read: the bits of reading first and quantizing then, without
// the float weights.
#include <lab/experiments/schemes.hpp>
#include <lab/models/load_gguf.hpp>
#include <lab/models/random_checkpoint.hpp>
#include <lab/models/write_gguf.hpp>
#include <nlohmann/json.hpp>

#include "golden.hpp"
#include "support/test.hpp"

namespace {

const char* const schemes[] = {
    "f16",          "bf16-head8",         "w8",           "w8-tensor-head8",
    "w4-g8-affine", "w4a8-channel-head4", "w8a8-dynamic", "w8a8-dynamic-token-attn8-head8",
    "w8a8-outlier"};

/// The floats of the blocks' layers are gone, and those of a head that is in integers; returns the model.
lab::transformer check_same(const std::filesystem::path& path, const std::string& text) {
  const lab::transformer whole = lab::load_model(path);
  const lab::scheme_layers expected = lab::make_scheme(text, whole, {});
  lab::transformer lean;
  const lab::scheme_layers made = lab::load_scheme(path, lab::parse_scheme(text), lean);
  INFO(path << " " << text);
  CHECK(made.name == text);
  CHECK(made.stored_bytes == expected.stored_bytes);
  CHECK(made.memory_bytes == expected.memory_bytes);
  CHECK(made.head_memory_bytes == expected.head_memory_bytes);
  CHECK(made.layer_bytes == expected.layer_bytes);
  std::vector<std::uint32_t> ids(std::min<std::size_t>(9, whole.config.positions));
  for (std::size_t i = 0; i < ids.size(); ++i)
    ids[i] = static_cast<std::uint32_t>(i * 37 % whole.config.vocab);
  const auto logits = test::logits_of(lean, made, ids);
  CHECK(logits == test::logits_of(whole, expected, ids));
  const auto floats = test::logits_of(whole, lab::make_scheme("fp32", whole, {}), ids);
  CHECK((logits != floats || text == "f16"));  // which changes nothing in a float16 file
  const auto a = lean.linears(), b = whole.linears();
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    CHECK(a[i]->name == b[i]->name);
    CHECK(a[i]->weight.capacity() == 0);
    CHECK(a[i]->bias == b[i]->bias);
  }
  CHECK((!made.head || lean.head.capacity() == 0));
  CHECK(made.head.operator bool() == expected.head.operator bool());
  CHECK((made.head || lean.head == whole.head));
  return lean;
}

/// Two small layers in float16, with a head of its own or without.
std::string config_of(const std::string& family, bool tied) {
  nlohmann::json c = {{"vocab_size", 60}, {"tie_word_embeddings", tied}};
  if (family == "gpt2") {
    c.update({{"model_type", "gpt2"},
              {"n_embd", 32},
              {"n_layer", 2},
              {"n_head", 2},
              {"n_positions", 16}});
  } else {
    c.update({{"model_type", family},
              {"hidden_size", 32},
              {"ffn_dim", 64},
              {"intermediate_size", 64},
              {"num_hidden_layers", 2},
              {"num_attention_heads", 2},
              {"max_position_embeddings", 16}});
  }
  return c.dump();
}

}  // namespace

TEST_CASE("Golden models quantized while they are read") {
  const std::string name = GENERATE("gpt2_tied", "gpt2_untied", "opt_pre_norm", "opt_post_norm",
                                    "opt_untied", "llama_grouped", "llama_untied");
  for (const char* scheme : schemes) {
    const auto lean = check_same(test::golden / name, scheme);
    CHECK_FALSE(lean.short_embedding.has_value());  // float32 numbers
    CHECK_FALSE(lean.embedding.empty());
  }
}

TEST_CASE("Of a float16 file the embedding stays in 16 bits where it is only looked up") {
  const std::string family = GENERATE("gpt2", "opt", "llama");
  const bool tied = GENERATE(true, false);
  const test::scratch dir;
  lab::write_random_checkpoint(config_of(family, tied), dir.path() / "m", 3);
  for (const char* scheme : schemes) {
    const auto lean = check_same(dir.path() / "m", scheme);
    const bool only_looked_up = !tied || lab::parse_scheme(scheme).head != lab::head_kind::floats;
    CHECK(lean.short_embedding.has_value() == only_looked_up);
    CHECK(lean.embedding.empty() == only_looked_up);
  }
}

TEST_CASE("GGUF files quantized while they are read") {
  const std::string family = GENERATE("gpt2", "llama");
  const bool tied = GENERATE(true, false);
  const test::scratch dir;
  lab::write_random_checkpoint(config_of(family, tied), dir.path() / "m", 3);
  const auto file = dir.path() / "m.gguf";
  lab::write_gguf_model(file, lab::load_model(dir.path() / "m"), {}, lab::ggml_q8_0, "m");
  for (const char* scheme : schemes) (void)check_same(file, scheme);
}

TEST_CASE("What needs more than weights is not made while they are read") {
  using lab::is_streamable;
  for (const char* text : schemes) CHECK(is_streamable(lab::parse_scheme(text)));
  for (const char* text :
       {"fp32", "fp32-head8", "w4-gptq", "w8-bias", "w8-equalize", "w8a8-dynamic-rotate",
        "w8a8-dynamic-smooth", "w8a8-static", "w8a8-channel-simulated"}) {
    INFO(text);
    CHECK_FALSE(is_streamable(lab::parse_scheme(text)));
    lab::transformer m;
    CHECK_THROWS_WITH(lab::load_scheme(test::golden / "gpt2_tied", lab::parse_scheme(text), m),
                      Catch::Contains("more of the model than its weights"));
  }
}
