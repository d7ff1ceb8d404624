// GGUF files of whole models, to be changed entry by entry before they are written.
#pragma once

#include "gguf_bytes.hpp"
#include "scratch.hpp"

#include <lab/io/json.hpp>
#include <lab/models/load.hpp>

#include <algorithm>
#include <utility>

namespace test {

/// A value of the metadata: its type, then its bytes.
inline std::string u32_entry(std::uint32_t value) {
  return gguf_bytes().u32(4).u32(value).get();
}
inline std::string i32_entry(std::int32_t value) {
  return gguf_bytes().u32(5).put(value).get();
}
inline std::string f32_entry(float value) {
  return gguf_bytes().u32(6).put(value).get();
}
inline std::string bool_entry(bool value) {
  return gguf_bytes().u32(7).put(static_cast<std::uint8_t>(value)).get();
}
inline std::string text_entry(std::string_view value) {
  return gguf_bytes().u32(8).text(value).get();
}
inline std::string texts_entry(const std::vector<std::string>& values) {
  gguf_bytes b;
  b.u32(9).u32(8).u64(values.size());
  for (const std::string& v : values) b.text(v);
  return b.get();
}
inline std::string i32s_entry(const std::vector<std::int32_t>& values) {
  gguf_bytes b;
  b.u32(9).u32(5).u64(values.size());
  for (const std::int32_t v : values) b.put(v);
  return b.get();
}

struct gguf_model {
  struct tensor {
    std::string name;
    std::vector<std::uint64_t> sizes;  ///< innermost first
    std::uint32_t type = 0;            ///< 0: F32
    std::string bytes;
  };
  std::vector<std::pair<std::string, std::string>> metadata;
  std::vector<tensor> tensors;

  /// Replaces or appends.
  void set(const std::string& key, std::string entry) {
    erase(key);
    metadata.emplace_back(key, std::move(entry));
  }
  void erase(const std::string& key) {
    std::erase_if(metadata, [&](const auto& e) { return e.first == key; });
  }
  tensor& at(const std::string& name) {
    const auto found = std::find_if(tensors.begin(), tensors.end(),
                                    [&](const tensor& t) { return t.name == name; });
    if (found == tensors.end()) throw std::logic_error(name);
    return *found;
  }
  void add(const std::string& name, std::vector<std::uint64_t> sizes,
           const std::vector<float>& values) {
    tensors.push_back({name,
                       std::move(sizes),
                       0,
                       {reinterpret_cast<const char*>(values.data()), values.size() * 4}});
  }
  void remove(const std::string& name) {
    std::erase_if(tensors, [&](const tensor& t) { return t.name == name; });
  }

  [[nodiscard]] std::string bytes() const {
    gguf_bytes b;
    b.preamble(tensors.size(), metadata.size());
    for (const auto& [key, entry] : metadata) b.text(key).raw(entry);
    std::uint64_t offset = 0;
    for (const tensor& t : tensors) {
      b.tensor(t.name, t.sizes, t.type, offset);
      offset += (t.bytes.size() + 31) / 32 * 32;
    }
    b.pad();
    for (const tensor& t : tensors) b.raw(t.bytes).pad();
    return b.get();
  }
};

/// The model of write_tiny_model(folder, "llama") as llama.cpp's converter would store it in F32.
inline gguf_model as_gguf(const std::filesystem::path& folder) {
  const lab::transformer m = lab::load_model(folder);
  const lab::model_config& c = m.config;
  gguf_model g;
  const auto u32 = [&](const char* key, std::size_t value) {
    g.set(key, u32_entry(static_cast<std::uint32_t>(value)));
  };
  g.set("general.architecture", text_entry("llama"));
  u32("llama.block_count", c.layers);
  u32("llama.context_length", c.positions);
  u32("llama.embedding_length", c.width);
  u32("llama.feed_forward_length", c.ffn);
  u32("llama.attention.head_count", c.heads);
  u32("llama.attention.head_count_kv", c.kv_heads);
  u32("llama.rope.dimension_count", c.head_width);
  g.set("llama.rope.freq_base", f32_entry(static_cast<float>(c.rope_theta)));
  g.set("llama.attention.layer_norm_rms_epsilon", f32_entry(c.norm_eps));

  const lab::json file = lab::parse_json(slurp(folder / "tokenizer.json"), "tokenizer.json");
  std::vector<std::string> tokens(c.vocab);
  for (const auto& [token, id] : file["model"]["vocab"].items()) tokens[id] = token;
  std::vector<std::int32_t> types(c.vocab, 1);
  types.back() = 3;  // the BOS, which is the EOS, too
  g.set("tokenizer.ggml.model", text_entry("gpt2"));
  g.set("tokenizer.ggml.pre", text_entry("gpt-2"));
  g.set("tokenizer.ggml.tokens", texts_entry(tokens));
  g.set("tokenizer.ggml.token_type", i32s_entry(types));
  g.set("tokenizer.ggml.merges", texts_entry({}));
  u32("tokenizer.ggml.bos_token_id", c.vocab - 1);
  u32("tokenizer.ggml.eos_token_id", c.vocab - 1);

  const auto linear = [&](const std::string& name, const lab::dense& d, std::size_t heads = 0) {
    std::vector<float> rows(d.weight.size());
    const std::size_t half = heads == 0 ? 0 : d.out / heads / 2;
    for (std::size_t j = 0; j < d.out; ++j) {  // (head, half, pair) to (head, pair, half)
      const std::size_t to =
          heads == 0 ? j : j / (2 * half) * (2 * half) + j % half * 2 + j / half % 2;
      std::copy_n(d.weight.data() + j * d.in, d.in, rows.data() + to * d.in);
    }
    g.add(name + ".weight", {d.in, d.out}, rows);
  };
  g.add("token_embd.weight", {c.width, c.vocab}, m.embedding);
  for (std::size_t i = 0; i < c.layers; ++i) {
    const lab::block& b = m.blocks[i];
    const std::string p = "blk." + std::to_string(i) + ".";
    g.add(p + "attn_norm.weight", {c.width}, b.attention_norm.gain);
    g.add(p + "ffn_norm.weight", {c.width}, b.mlp_norm.gain);
    linear(p + "attn_q", b.qkv[0], c.heads);
    linear(p + "attn_k", b.qkv[1], c.kv_heads);
    linear(p + "attn_v", b.qkv[2]);
    linear(p + "attn_output", b.attention_out);
    linear(p + "ffn_gate", *b.gate);
    linear(p + "ffn_up", b.fc1);
    linear(p + "ffn_down", b.fc2);
  }
  g.add("output_norm.weight", {c.width}, m.final_norm->gain);
  return g;
}

}  // namespace test
