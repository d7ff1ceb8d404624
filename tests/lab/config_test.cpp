// config.json of the families as published, and a table of wrong ones.
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
const std::string llama = R"("model_type":"llama","hidden_size":64,"num_hidden_layers":2,)"
                          R"("num_attention_heads":4,"intermediate_size":96,)"
                          R"("max_position_embeddings":128,"vocab_size":50)";

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
  CHECK(c.head_width == 64);
  CHECK(c.kv_heads == 12);
  CHECK(c.qkv_width() == 3 * 768);
  CHECK((!c.rotary() && !c.rms_norm && !c.gated));
  CHECK(c.ffn == 3072);
  CHECK(c.positions == 1024);
  CHECK(c.embed_width == 768);
  CHECK(c.position_offset == 0);
  CHECK(c.act == lab::activation::gelu_new);
  CHECK(c.norm_eps == 1e-5f);
  CHECK((c.pre_norm && c.final_norm && c.tied_head && c.bias && c.norm_affine));
  CHECK((c.scale_attention && !c.scale_by_inverse_layer));
  CHECK(c.bos == 50256u);
  CHECK(c.eos == std::vector<std::uint32_t>{50256});
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

TEST_CASE("llama: SmolLM2-135M as published, and the newer place of rope_theta") {
  const auto c = parse(R"({
    "architectures": ["LlamaForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
    "bos_token_id": 0, "eos_token_id": 0, "hidden_act": "silu", "hidden_size": 576,
    "initializer_range": 0.041666666666666664, "intermediate_size": 1536, "is_llama_config": true,
    "max_position_embeddings": 8192, "model_type": "llama", "num_attention_heads": 9,
    "num_hidden_layers": 30, "num_key_value_heads": 3, "pretraining_tp": 1, "rms_norm_eps": 1e-05,
    "rope_interleaved": false, "rope_scaling": null, "rope_theta": 100000,
    "tie_word_embeddings": true, "torch_dtype": "bfloat16", "use_cache": true,
    "vocab_size": 49152})");
  CHECK(c.family == lab::model_family::llama);
  CHECK((c.width == 576 && c.layers == 30 && c.ffn == 1536 && c.vocab == 49152));
  CHECK((c.heads == 9 && c.kv_heads == 3 && c.head_width == 64));
  CHECK((c.q_width() == 576 && c.kv_width() == 192 && c.qkv_width() == 960));
  CHECK((c.rotary() && c.rms_norm && c.gated && c.pre_norm && c.final_norm && c.norm_affine));
  CHECK((!c.bias && !c.mlp_bias && c.tied_head && c.scale_attention));
  CHECK(c.rope_theta == 100000);
  CHECK(c.norm_eps == 1e-5f);
  CHECK(c.act == lab::activation::silu);
  CHECK((c.positions == 8192 && c.position_offset == 0 && c.embed_width == 576));

  const auto plain = parse("{" + llama + "}");
  CHECK((plain.kv_heads == 4 && plain.head_width == 16 && !plain.tied_head));
  CHECK(plain.rope_theta == 10000);
  CHECK(plain.norm_eps == 1e-6f);
  const auto odd = parse("{" + llama +
                         R"(,"head_dim":6,"num_key_value_heads":2,"attention_bias":true,)"
                         R"("rope_theta":7,"rope_parameters":{"rope_type":"default",)"
                         R"("rope_theta":5e5}})");
  CHECK((odd.head_width == 6 && odd.q_width() == 24 && odd.kv_width() == 12));
  CHECK((odd.bias && !odd.mlp_bias));
  CHECK(odd.rope_theta == 5e5);
  CHECK(parse("{" + llama + R"(,"rope_scaling":{"type":"default"}})").rope_theta == 10000);
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
           bad{"{}", "model_type: is missing; expected gpt2, opt or llama"},
           bad{R"({"model_type":"bert"})",
               "the architecture \"bert\" is not supported; supported are gpt2"},
           bad{R"({"architectures":["BertForMaskedLM"]})", "\"BertForMaskedLM\" is not supported"},
           bad{"{" + llama + R"(,"num_key_value_heads":3})",
               "num_key_value_heads: is 3, which does not divide the 4 heads"},
           bad{"{" + llama + R"(,"head_dim":7})", "head_dim: is 7; rotary positions need an even"},
           bad{"{" + llama + R"(,"rope_scaling":{"rope_type":"llama3","factor":8.0}})",
               "rope_scaling.rope_type: is \"llama3\", which is not supported; expected default"},
           bad{"{" + llama + R"(,"rope_scaling":{"type":"linear","factor":2.0}})",
               "rope_scaling.type: is \"linear\", which is not supported"},
           bad{"{" + llama + R"(,"rope_parameters":{"rope_type":"yarn","rope_theta":1e4}})",
               "rope_parameters.rope_type: is \"yarn\""},
           bad{"{" + llama + R"(,"rope_parameters":{"partial_rotary_factor":0.5}})",
               "rope_parameters.partial_rotary_factor: is not supported; expected 1"},
           bad{"{" + llama + R"(,"rope_scaling":7})", "rope_scaling"},
           bad{"{" + llama + R"(,"rope_theta":0})", "rope_theta: is 0; expected a number from 1"},
           bad{"{" + llama + R"(,"rope_interleaved":true})", "rope_interleaved: is not supported"},
           bad{"{" + llama + R"(,"hidden_act":"tanh"})", "hidden_act: is \"tanh\""},
           bad{"{" + llama + R"(,"rms_norm_eps":2})", "rms_norm_eps: expected 0 <= epsilon < 1"},
           bad{without(llama, R"("intermediate_size":96,)"), "intermediate_size: is missing"},
           bad{without(llama, R"("num_attention_heads":4,)")
                   .insert(1, R"("num_attention_heads":5,)"),
               "num_attention_heads: is 5, which does not divide the width 64"},
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
           bad{"{" + gpt2 + R"(,"activation_function":"tanh"})", "is \"tanh\"; expected gelu_new"},
           bad{"{" + gpt2 + R"(,"layer_norm_epsilon":-1})", "0 <= epsilon < 1"},
           bad{"{" + gpt2 + R"(,"layer_norm_epsilon":"x"})", "expected a number"},
           bad{"{" + gpt2 + R"(,"tie_word_embeddings":1})", "expected true or false"},
           bad{"{" + gpt2 + R"(,"add_cross_attention":true})", "cross-attention"},
           bad{"{" + gpt2 + R"(,"quantization_config":{}})", "quantized already"},
           bad{"{" + gpt2 + R"(,"bos_token_id":[1]})", "bos_token_id: is array"},
           bad{"{" + gpt2 + R"(,"bos_token_id":4294967296})", "bos_token_id: is 4294967296"},
           bad{"{" + gpt2 + R"(,"bos_token_id":50257})",
               "bos_token_id: has token 50257; expected less than 50257, vocab_size"},
           bad{"{" + gpt2 + R"(,"eos_token_id":50257})",
               "eos_token_id: has token 50257; expected less than 50257, vocab_size"},
           bad{"{" + gpt2 + R"(,"eos_token_id":[0,50300]})",
               "eos_token_id: has token 50300; expected less than 50257, vocab_size"},
           bad{"{" + opt + R"(,"word_embed_proj_dim":0})", "word_embed_proj_dim: is 0"},
       }) {
    const std::string message = says(text);
    CAPTURE(message, text);
    CHECK(test::contains(message, "c.json: "));
    CHECK(test::contains(message, expected));
  }
}

TEST_CASE("eos_token_id is one token, several, or none") {
  const auto parsed = [](const std::string& eos) {
    return lab::parse_config(R"({"model_type":"llama","hidden_size":8,"num_hidden_layers":1,)"
                             R"("num_attention_heads":2,"intermediate_size":8,"vocab_size":128256,)"
                             R"("max_position_embeddings":4)" +
                                 eos + "}",
                             "config.json")
        .eos;
  };
  using ids = std::vector<std::uint32_t>;
  CHECK(parsed(R"(,"eos_token_id":7)") == ids{7});
  CHECK(parsed(R"(,"eos_token_id":[128001,128008,128009])") == ids{128001, 128008, 128009});
  for (const char* none : {"", R"(,"eos_token_id":null)", R"(,"eos_token_id":[])"}) {
    CHECK(parsed(none).empty());
  }
  for (const char* wrong : {"[1,-2]", "[1,2.0]", "[1,\"2\"]", "[1,4294967296]", "[1,[2]]", "\"1\"",
                            "128256", "[2,128256]"}) {
    const auto message =
        test::rejection([&] { return parsed(R"(,"eos_token_id":)" + std::string(wrong)); });
    CAPTURE(wrong, message);
    CHECK(test::contains(message, "config.json: eos_token_id"));
  }
}

TEST_CASE("generation_config.json has the last word on where a text ends") {
  const test::scratch dir;
  dir.write("config.json", R"({"model_type":"llama","hidden_size":8,"num_hidden_layers":1,)"
                           R"("num_attention_heads":2,"intermediate_size":8,"vocab_size":9,)"
                           R"("max_position_embeddings":4,"eos_token_id":7})");
  using ids = std::vector<std::uint32_t>;
  const auto eos = [&](const std::string& text) {
    dir.write("generation_config.json", text);
    return lab::load_config(dir.path()).eos;
  };
  CHECK(lab::load_config(dir.path()).eos == ids{7});
  CHECK(eos(R"({"eos_token_id":[2,8,5],"temperature":0.6})") == ids{2, 8, 5});
  CHECK(lab::load_config(dir.path() / "config.json").eos == ids{7});
  CHECK(eos(R"({"eos_token_id":3})") == ids{3});
  CHECK(eos(R"({"eos_token_id":[]})").empty());
  for (const char* silent : {"{}", R"({"eos_token_id":null,"bos_token_id":99})"})
    CHECK(eos(silent) == ids{7});
  for (const char* wrong : {"[2,9]", "9", "-1", "[1,-2]", "[1.5]", "\"1\"", "[[1]]", "{}",
                            "[18446744073709551616]", "true"}) {
    const auto message =
        test::rejection([&] { return eos(R"({"eos_token_id":)" + std::string(wrong) + "}"); });
    CAPTURE(wrong, message);
    CHECK(test::contains(message, "generation_config.json: eos_token_id"));
  }
  for (const char* wrong : {"", "[]", "{\"eos_token_id\":"})
    CHECK(test::contains(test::rejection([&] { return eos(wrong); }), "generation_config.json"));
  // A file that cannot be looked at is not one that is missing.
  const auto file = dir.path() / "generation_config.json";
  std::filesystem::remove(file);
  std::filesystem::create_symlink(file, file);
  CHECK(test::contains(test::rejection([&] { return lab::load_config(dir.path()); }),
                       "generation_config.json: cannot be opened: "));
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
  const std::string good =
      GENERATE("{" + opt + R"(,"word_embed_proj_dim":512,"bos_token_id":2})",
               "{" + llama + R"(,"head_dim":8,"rope_parameters":{"rope_theta":1e4}})");
  for (std::size_t at = 0; at < good.size(); ++at) {
    CHECK(says(good.substr(0, at)) != "");
    for (int value = 0; value < 256; ++value) {
      std::string changed = good;
      changed[at] = static_cast<char>(value);
      const auto message = test::rejection([&] {
        const auto c = parse(changed);
        const std::size_t sizes[] = {c.vocab, c.width, c.layers, c.heads, c.ffn, c.positions};
        for (const std::size_t size : sizes) REQUIRE((size > 0 && size <= std::size_t{1} << 24));
        REQUIRE((c.family == lab::model_family::llama || c.width % c.heads == 0));
        REQUIRE((c.kv_heads > 0 && c.heads % c.kv_heads == 0));
        REQUIRE((c.head_width > 0 && (!c.rotary() || c.head_width % 2 == 0)));
        ++loaded;
      });
      REQUIRE(!test::contains(message, "\n"));
    }
  }
  CHECK(loaded > good.size());  // at least the unchanged ones
}
