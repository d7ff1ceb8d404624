// A complete model folder of random weights with a tokenizer of single bytes: for tests of the
// command line.
#pragma once

#include "scratch.hpp"
#include "support/test.hpp"

#include <lab/io/safetensors.hpp>
#include <nlohmann/json.hpp>

#include <list>

namespace test {

/// UTF-8 of the code point that stands for a byte in a byte-level vocabulary.
inline std::string byte_character(unsigned byte, unsigned& others) {
  const bool itself = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  const unsigned code = itself ? byte : 256 + others++;
  if (code < 128) return {static_cast<char>(code)};
  return {static_cast<char>(0xc0 | (code >> 6)), static_cast<char>(0x80 | (code & 63))};
}

/// Writes config.json, model.safetensors and tokenizer.json of a model of the family "gpt2", "opt" or
/// "llama": 257 tokens, the last is the BOS, width 16, 2 layers of 2 heads, 32 positions.
inline void write_tiny_model(const scratch& folder, const std::string& family,
                             float weight_scale = 0.3f) {
  constexpr std::uint64_t V = 257, C = 16, T = 32;
  generator g(seed(31));
  std::list<std::vector<float>> storage;
  std::vector<lab::tensor_source> tensors;
  const auto add = [&](const std::string& name, std::vector<std::uint64_t> shape, float center) {
    std::uint64_t n = 1;
    for (const auto d : shape) n *= d;
    auto& values = storage.emplace_back(n);
    for (float& v : values) v = center + weight_scale * normal(g);
    tensors.push_back({name, lab::dtype::f32, std::move(shape), std::as_bytes(std::span(values))});
  };
  const auto linear = [&](const std::string& name, std::uint64_t rows, std::uint64_t cols,
                          std::uint64_t out) {
    add(name + ".weight", {rows, cols}, 0);
    add(name + ".bias", {out}, 0);
  };
  const auto norm = [&](const std::string& name) {
    add(name + ".weight", {C}, 1);
    add(name + ".bias", {C}, 0);
  };
  nlohmann::json config = {{"vocab_size", V}, {"bos_token_id", 256}, {"eos_token_id", 256}};
  if (family == "gpt2") {
    config.update({{"model_type", "gpt2"},
                   {"architectures", {"GPT2LMHeadModel"}},
                   {"n_embd", C},
                   {"n_layer", 2},
                   {"n_head", 2},
                   {"n_positions", T},
                   {"activation_function", "gelu_new"},
                   {"layer_norm_epsilon", 1e-5}});
    add("wte.weight", {V, C}, 0);
    add("wpe.weight", {T, C}, 0);
    for (const std::string p : {"h.0.", "h.1."}) {
      norm(p + "ln_1");
      norm(p + "ln_2");
      linear(p + "attn.c_attn", C, 3 * C, 3 * C);
      linear(p + "attn.c_proj", C, C, C);
      linear(p + "mlp.c_fc", C, 4 * C, 4 * C);
      linear(p + "mlp.c_proj", 4 * C, C, C);
    }
    norm("ln_f");
  } else if (family == "llama") {
    config.update({{"model_type", "llama"},
                   {"architectures", {"LlamaForCausalLM"}},
                   {"hidden_size", C},
                   {"num_hidden_layers", 2},
                   {"num_attention_heads", 2},
                   {"num_key_value_heads", 1},
                   {"intermediate_size", 3 * C},
                   {"max_position_embeddings", T},
                   {"tie_word_embeddings", true}});
    add("model.embed_tokens.weight", {V, C}, 0);
    for (const std::string p : {"model.layers.0.", "model.layers.1."}) {
      add(p + "input_layernorm.weight", {C}, 1);
      add(p + "post_attention_layernorm.weight", {C}, 1);
      for (const char* n : {"q_proj", "o_proj"}) add(p + "self_attn." + n + ".weight", {C, C}, 0);
      for (const char* n : {"k_proj", "v_proj"}) {
        add(p + "self_attn." + n + ".weight", {C / 2, C}, 0);
      }
      for (const char* n : {"gate_proj", "up_proj"}) add(p + "mlp." + n + ".weight", {3 * C, C}, 0);
      add(p + "mlp.down_proj.weight", {C, 3 * C}, 0);
    }
    add("model.norm.weight", {C}, 1);
  } else {
    config.update({{"model_type", "opt"},
                   {"architectures", {"OPTForCausalLM"}},
                   {"hidden_size", C},
                   {"num_hidden_layers", 2},
                   {"num_attention_heads", 2},
                   {"ffn_dim", 4 * C},
                   {"max_position_embeddings", T},
                   {"word_embed_proj_dim", C},
                   {"activation_function", "relu"},
                   {"do_layer_norm_before", true}});
    const std::string d = "model.decoder.";
    add(d + "embed_tokens.weight", {V, C}, 0);
    add(d + "embed_positions.weight", {T + 2, C}, 0);
    for (const std::string& p : {d + "layers.0.", d + "layers.1."}) {
      norm(p + "self_attn_layer_norm");
      norm(p + "final_layer_norm");
      for (const char* n : {"q_proj", "k_proj", "v_proj", "out_proj"}) {
        linear(p + "self_attn." + n, C, C, C);
      }
      linear(p + "fc1", 4 * C, C, 4 * C);
      linear(p + "fc2", C, 4 * C, C);
    }
    norm(d + "final_layer_norm");
  }
  nlohmann::json vocab;
  unsigned others = 0;
  for (unsigned b = 0; b < 256; ++b) vocab[byte_character(b, others)] = b;
  vocab["<|endoftext|>"] = 256;
  const nlohmann::json level = {{"type", "ByteLevel"},
                                {"add_prefix_space", false},
                                {"trim_offsets", true},
                                {"use_regex", true}};
  const nlohmann::json tokenizer = {
      {"version", "1.0"},
      {"added_tokens", nlohmann::json::array()},
      {"normalizer", nullptr},
      {"pre_tokenizer", level},
      {"post_processor", nullptr},
      {"decoder", level},
      {"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", nlohmann::json::array()}}}};
  folder.write("config.json", config.dump());
  folder.write("tokenizer.json", tokenizer.dump());
  folder.write("tokenizer_config.json", nlohmann::json({{"tokenizer_class", "GPT2Tokenizer"},
                                                        {"bos_token", "<|endoftext|>"},
                                                        {"add_bos_token", family == "opt"}})
                                            .dump());
  lab::write_safetensors(folder.path() / "model.safetensors", tensors);
}

}  // namespace test
