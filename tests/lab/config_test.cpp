// config.json of both families as published, and a table of wrong ones.
#include <lab/io/config.hpp>

#include "lab/scratch.hpp"
#include "support/test.hpp"

namespace {

lab::model_config parse(const std::string& text) {
  return lab::parse_config(text, "c.json");
}

std::string says(const std::string& text) {
  return test::rejection([&] { return parse(text); });
}

const std::string gpt2 = R"("model_type":"gpt2","n_embd":768,"n_layer":12,"n_head":12,)"
                         R"("n_positions":1024,"vocab_size":50257)";
const std::string opt = R"("model_type":"opt","hidden_size":768,"num_hidden_layers":12,)"
                        R"("num_attention_heads":12,"ffn_dim":3072,)"
                        R"("max_position_embeddings":2048,"vocab_size":50272)";

}  // namespace

TEST_CASE("gpt2 as published") {
  const auto c = parse(R"({
    "activation_function": "gelu_new", "architectures": ["GPT2LMHeadModel"], "attn_pdrop": 0.1,
    "bos_token_id": 50256, "embd_pdrop": 0.1, "eos_token_id": 50256, "initializer_range": 0.02,
    "layer_norm_epsilon": 1e-05, "model_type": "gpt2", "n_ctx": 1024, "n_embd": 768, "n_head": 12,
    "n_layer": 12, "n_positions": 1024, "resid_pdrop": 0.1, "summary_activation": null,
    "task_specific_params": {"text-generation": {"do_sample": true, "max_length": 50}},
    "vocab_size": 50257})");
  CHECK(c.family == lab::model_family::gpt2);
  CHECK(c.vocab == 50257);
  CHECK(c.width == 768);
  CHECK(c.layers == 12);
  CHECK(c.heads == 12);
  CHECK(c.head_width() == 64);
  CHECK(c.ffn == 3072);
  CHECK(c.positions == 1024);
  CHECK(c.embed_width == 768);
  CHECK(c.position_offset == 0);
  CHECK(c.act == lab::activation::gelu_new);
  CHECK(c.norm_eps == 1e-5f);
  CHECK((c.pre_norm && c.final_norm && c.tied_head && c.bias && c.norm_affine));
  CHECK((c.scale_attention && !c.scale_by_inverse_layer));
  CHECK(c.bos == 50256u);
  CHECK(c.eos == 50256u);
}

TEST_CASE("gpt2 variants") {
  CHECK(parse("{" + gpt2 + R"(,"n_inner":100})").ffn == 100);
  CHECK(parse("{" + gpt2 + R"(,"n_inner":null})").ffn == 3072);
  CHECK(parse("{" + gpt2 + R"(,"activation_function":"gelu"})").act == lab::activation::gelu);
  CHECK(parse("{" + gpt2 + R"(,"tie_word_embeddings":false})").tied_head == false);
  CHECK(parse("{" + gpt2 + R"(,"scale_attn_weights":false})").scale_attention == false);
  CHECK(parse("{" + gpt2 + R"(,"scale_attn_by_inverse_layer_idx":true})").scale_by_inverse_layer);
  CHECK(parse("{" + gpt2 + R"(,"layer_norm_epsilon":1e-6})").norm_eps == 1e-6f);
  CHECK(parse("{" + gpt2 + "}").bos == std::nullopt);
  CHECK(parse(R"({"architectures":["GPT2LMHeadModel"],"n_embd":8,"n_layer":1,"n_head":2,)"
              R"("n_ctx":16,"vocab_size":10})")
            .positions == 16);
}

TEST_CASE("opt-125m and opt-350m as published") {
  const auto small = parse("{" + opt +
                           R"(,"bos_token_id":2,"eos_token_id":2,"pad_token_id":1,)"
                           R"("do_layer_norm_before":true,"word_embed_proj_dim":768,)"
                           R"("_remove_final_layer_norm":false,"activation_function":"relu",)"
                           R"("prefix":"</s>","torch_dtype":"float16","dropout":0.1})");
  CHECK(small.family == lab::model_family::opt);
  CHECK(small.width == 768);
  CHECK(small.ffn == 3072);
  CHECK(small.positions == 2048);
  CHECK(small.position_offset == 2);
  CHECK(small.act == lab::activation::relu);
  CHECK((small.pre_norm && small.final_norm && small.bias && small.norm_affine));
  CHECK(small.embed_width == 768);
  CHECK(small.bos == 2u);

  const auto post = parse(R"({"model_type":"opt","hidden_size":1024,"num_hidden_layers":24,
    "num_attention_heads":16,"ffn_dim":4096,"max_position_embeddings":2048,"vocab_size":50272,
    "word_embed_proj_dim":512,"do_layer_norm_before":false})");
  CHECK(post.embed_width == 512);
  CHECK(!post.pre_norm);
  CHECK(!post.final_norm);

  const auto odd = parse("{" + opt +
                         R"(,"_remove_final_layer_norm":true,"enable_bias":false,)"
                         R"("layer_norm_elementwise_affine":false})");
  CHECK((odd.pre_norm && !odd.final_norm && !odd.bias && !odd.norm_affine));
}

TEST_CASE("wrong configs say which key and what was expected") {
  struct bad {
    std::string text, expected;
  };
  const auto without = [](std::string text, const std::string& part) {
    return "{" + text.erase(text.find(part), part.size()) + "}";
  };
  for (const auto& [text, expected] : {
           bad{"", "empty"},
           bad{"{", "JSON"},
           bad{"[]", "expected an object"},
           bad{"{}", "model_type: is missing; expected gpt2 or opt"},
           bad{R"({"model_type":"llama"})",
               "the architecture \"llama\" is not supported; supported are gpt2"},
           bad{R"({"architectures":["LlamaForCausalLM"]})",
               "\"LlamaForCausalLM\" is not supported"},
           bad{R"({"architectures":[]})", "architectures: expected a list of names"},
           bad{R"({"model_type":7})", "model_type: is a number; expected a string"},
           bad{"{" + gpt2 + R"(,"n_head":7})", "\"n_head\" appears twice"},
           bad{without(gpt2, R"("n_head":12,)"), "n_head: is missing"},
           bad{without(gpt2, R"("n_positions":1024,)"), "n_positions: is missing"},
           bad{without(opt, R"("ffn_dim":3072,)"), "ffn_dim: is missing"},
           bad{without(gpt2, R"("n_head":12,)").insert(1, R"("n_head":5,)"),
               "n_head: is 5, which does not divide the width 768"},
           bad{without(gpt2, R"("n_layer":12,)").insert(1, R"("n_layer":0,)"),
               "n_layer: is 0; expected an integer from 1 to"},
           bad{without(gpt2, R"("n_layer":12,)").insert(1, R"("n_layer":-1,)"), "n_layer: is -1"},
           bad{without(gpt2, R"("n_layer":12,)").insert(1, R"("n_layer":12.0,)"),
               "n_layer: is 12.0"},
           bad{without(gpt2, R"("n_layer":12,)").insert(1, R"("n_layer":"12",)"),
               "n_layer: is \"12\""},
           bad{without(gpt2, R"("n_embd":768,)").insert(1, R"("n_embd":9223372036854775808,)"),
               "n_embd: is 9223372036854775808"},
           bad{"{" + gpt2 + R"(,"activation_function":"silu"})", "is \"silu\"; expected gelu_new"},
           bad{"{" + gpt2 + R"(,"layer_norm_epsilon":-1})", "0 <= epsilon < 1"},
           bad{"{" + gpt2 + R"(,"layer_norm_epsilon":"x"})", "expected a number"},
           bad{"{" + gpt2 + R"(,"tie_word_embeddings":1})", "expected true or false"},
           bad{"{" + gpt2 + R"(,"add_cross_attention":true})", "cross-attention"},
           bad{"{" + gpt2 + R"(,"quantization_config":{}})", "quantized already"},
           bad{"{" + gpt2 + R"(,"bos_token_id":[1]})", "bos_token_id: is array"},
           bad{"{" + gpt2 + R"(,"bos_token_id":4294967296})", "bos_token_id: is 4294967296"},
           bad{"{" + opt + R"(,"word_embed_proj_dim":0})", "word_embed_proj_dim: is 0"},
       }) {
    const std::string message = says(text);
    CAPTURE(message, text);
    CHECK(test::contains(message, "c.json: "));
    CHECK(test::contains(message, expected));
  }
}

TEST_CASE("load_config takes a folder or a file and names what is missing") {
  const test::scratch dir;
  CHECK(test::contains(test::rejection([&] { return lab::load_config(dir.path()); }),
                       "config.json: cannot be opened"));
  const auto file = dir.write("config.json", "{" + opt + "}");
  CHECK(lab::load_config(dir.path()).width == 768);
  CHECK(lab::load_config(file).width == 768);
}

TEST_CASE("a damaged config is refused or keeps its promises") {
  std::size_t loaded = 0;
  const std::string good = "{" + opt + R"(,"word_embed_proj_dim":512,"bos_token_id":2})";
  for (std::size_t at = 0; at < good.size(); ++at) {
    CHECK(says(good.substr(0, at)) != "");
    for (int value = 0; value < 256; ++value) {
      std::string changed = good;
      changed[at] = static_cast<char>(value);
      const auto message = test::rejection([&] {
        const auto c = parse(changed);
        const std::size_t sizes[] = {c.vocab, c.width, c.layers, c.heads, c.ffn, c.positions};
        for (const std::size_t size : sizes) REQUIRE((size > 0 && size <= std::size_t{1} << 24));
        REQUIRE(c.width % c.heads == 0);
        ++loaded;
      });
      REQUIRE(!test::contains(message, "\n"));
    }
  }
  CHECK(loaded > good.size());  // at least the unchanged ones
}
