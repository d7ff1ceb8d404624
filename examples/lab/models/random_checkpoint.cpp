// Names and shapes as load.cpp reads them, and a generator fast enough for billions of values.
#include <lab/models/random_checkpoint.hpp>
#include <zeropoint/base/float16.hpp>

#include <algorithm>
#include <array>

namespace lab {

namespace {

struct known_shape {
  std::string_view name, config;
};
constexpr std::array<known_shape, 4> shapes{{
    {"gpt2", R"({
 "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "vocab_size": 50257,
 "n_positions": 1024, "n_embd": 768, "n_layer": 12, "n_head": 12,
 "activation_function": "gelu_new", "layer_norm_epsilon": 1e-05,
 "bos_token_id": 50256, "eos_token_id": 50256
}
)"},
    {"opt-125m", R"({
 "architectures": ["OPTForCausalLM"], "model_type": "opt", "vocab_size": 50272,
 "max_position_embeddings": 2048, "hidden_size": 768, "word_embed_proj_dim": 768,
 "num_hidden_layers": 12, "num_attention_heads": 12, "ffn_dim": 3072,
 "activation_function": "relu", "do_layer_norm_before": true,
 "bos_token_id": 2, "eos_token_id": 2, "pad_token_id": 1
}
)"},
    {"opt-1.3b", R"({
 "architectures": ["OPTForCausalLM"], "model_type": "opt", "vocab_size": 50272,
 "max_position_embeddings": 2048, "hidden_size": 2048, "word_embed_proj_dim": 2048,
 "num_hidden_layers": 24, "num_attention_heads": 32, "ffn_dim": 8192,
 "activation_function": "relu", "do_layer_norm_before": true,
 "bos_token_id": 2, "eos_token_id": 2, "pad_token_id": 1
}
)"},
    {"smollm2-135m", R"({
 "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 49152,
 "max_position_embeddings": 8192, "hidden_size": 576, "intermediate_size": 1536,
 "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3,
 "hidden_act": "silu", "rms_norm_eps": 1e-05, "rope_theta": 100000, "rope_scaling": null,
 "attention_bias": false, "mlp_bias": false, "tie_word_embeddings": true,
 "bos_token_id": 0, "eos_token_id": 0
}
)"},
}};

/// Collects tensors under a prefix.
class lister {
 public:
  lister(const model_config& c, std::string prefix) : c_(c), prefix_(std::move(prefix)) {}

  void tensor(const std::string& name, std::vector<std::uint64_t> shape) {
    exact(prefix_ + name, std::move(shape));
  }
  void exact(const std::string& name, std::vector<std::uint64_t> shape) {
    std::uint64_t bytes = sizeof(zeropoint::float16);
    for (const std::uint64_t n : shape) bytes *= n;
    all_.push_back({name, dtype::f16, std::move(shape), bytes});
  }
  void norm(const std::string& name) {
    if (!c_.norm_affine) return;
    tensor(name + ".weight", {c_.width});
    if (!c_.rms_norm) tensor(name + ".bias", {c_.width});
  }
  void linear(const std::string& name, std::size_t out, std::size_t in, bool bias) {
    tensor(name + ".weight", {out, in});
    if (bias) tensor(name + ".bias", {out});
  }
  void conv1d(const std::string& name, std::size_t out, std::size_t in) {
    tensor(name + ".weight", {in, out});
    tensor(name + ".bias", {out});
  }
  std::vector<tensor_layout> take() { return std::move(all_); }

 private:
  const model_config& c_;
  std::string prefix_;
  std::vector<tensor_layout> all_;
};

std::vector<tensor_layout> gpt2_tensors(const model_config& c) {
  lister l(c, "");
  l.tensor("wte.weight", {c.vocab, c.embed_width});
  l.tensor("wpe.weight", {c.positions, c.width});
  for (std::size_t i = 0; i < c.layers; ++i) {
    const std::string p = "h." + std::to_string(i) + ".";
    l.norm(p + "ln_1");
    l.norm(p + "ln_2");
    l.conv1d(p + "attn.c_attn", 3 * c.width, c.width);
    l.conv1d(p + "attn.c_proj", c.width, c.width);
    l.conv1d(p + "mlp.c_fc", c.ffn, c.width);
    l.conv1d(p + "mlp.c_proj", c.width, c.ffn);
  }
  l.norm("ln_f");
  if (!c.tied_head) l.exact("lm_head.weight", {c.vocab, c.embed_width});
  return l.take();
}

std::vector<tensor_layout> opt_tensors(const model_config& c) {
  lister l(c, "model.decoder.");
  l.tensor("embed_tokens.weight", {c.vocab, c.embed_width});
  l.tensor("embed_positions.weight", {c.positions + c.position_offset, c.width});
  if (c.embed_width != c.width) {
    l.linear("project_in", c.width, c.embed_width, false);
    l.linear("project_out", c.embed_width, c.width, false);
  }
  for (std::size_t i = 0; i < c.layers; ++i) {
    const std::string p = "layers." + std::to_string(i) + ".";
    l.norm(p + "self_attn_layer_norm");
    l.norm(p + "final_layer_norm");
    for (const char* part : {"q_proj", "k_proj", "v_proj", "out_proj"}) {
      l.linear(p + "self_attn." + part, c.width, c.width, c.bias);
    }
    l.linear(p + "fc1", c.ffn, c.width, c.mlp_bias);
    l.linear(p + "fc2", c.width, c.ffn, c.mlp_bias);
  }
  if (c.final_norm) l.norm("final_layer_norm");
  if (!c.tied_head) l.exact("lm_head.weight", {c.vocab, c.embed_width});
  return l.take();
}

std::vector<tensor_layout> llama_tensors(const model_config& c) {
  lister l(c, "model.");
  l.tensor("embed_tokens.weight", {c.vocab, c.embed_width});
  for (std::size_t i = 0; i < c.layers; ++i) {
    const std::string p = "layers." + std::to_string(i) + ".";
    l.norm(p + "input_layernorm");
    l.norm(p + "post_attention_layernorm");
    l.linear(p + "self_attn.q_proj", c.q_width(), c.width, c.bias);
    l.linear(p + "self_attn.k_proj", c.kv_width(), c.width, c.bias);
    l.linear(p + "self_attn.v_proj", c.kv_width(), c.width, c.bias);
    l.linear(p + "self_attn.o_proj", c.width, c.q_width(), c.bias);
    l.linear(p + "mlp.gate_proj", c.ffn, c.width, c.mlp_bias);
    l.linear(p + "mlp.up_proj", c.ffn, c.width, c.mlp_bias);
    l.linear(p + "mlp.down_proj", c.width, c.ffn, c.mlp_bias);
  }
  l.norm("norm");
  if (!c.tied_head) l.exact("lm_head.weight", {c.vocab, c.embed_width});
  return l.take();
}

/// Mean 0, standard deviation 0.02: the sum of four uniform 16-bit numbers, nearly normal, from one
/// step of splitmix64. A number in 0 ... 65535 has the variance 65536^2 / 12.
class weights {
 public:
  weights(std::uint64_t seed, const std::string& name) : state_(seed) {
    for (const char c : name) {  // FNV-1a
      state_ = (state_ ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
    }
  }
  zeropoint::float16 operator()() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    const std::uint64_t sum =
        (z & 0xFFFF) + ((z >> 16) & 0xFFFF) + ((z >> 32) & 0xFFFF) + (z >> 48);
    constexpr float step = 0.02f / (65536.0f * 0.57735026919f);
    return zeropoint::to_float16((static_cast<float>(sum) - 131070.0f) * step);
  }

 private:
  std::uint64_t state_;
};

/// `piece` is scratch: what is written at a time.
void write_tensor(safetensors_writer& file, const tensor_layout& t, std::uint64_t seed,
                  std::span<zeropoint::float16> piece) {
  const bool vector = t.shape.size() == 1, gain = vector && t.name.ends_with(".weight");
  weights next(seed, t.name);
  for (std::uint64_t left = t.bytes / sizeof(zeropoint::float16); left > 0;) {
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(left, piece.size()));
    for (std::size_t i = 0; i < count; ++i) {
      piece[i] = vector ? zeropoint::to_float16(gain ? 1.0f : 0.0f) : next();
    }
    file.write(std::as_bytes(piece.first(count)));
    left -= count;
  }
}

}  // namespace

const std::vector<std::string>& known_shapes() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const known_shape& s : shapes) all.emplace_back(s.name);
    return all;
  }();
  return names;
}

std::string config_of_shape(std::string_view name) {
  std::string names;
  for (const known_shape& s : shapes) {
    if (s.name == name) return std::string(s.config);
    names += (names.empty() ? "" : ", ") + std::string(s.name);
  }
  throw input_error("no shape " + in_quotes(name) + "; there are: " + names);
}

std::vector<tensor_layout> checkpoint_tensors(const model_config& c) {
  switch (c.family) {
    case model_family::gpt2:
      return gpt2_tensors(c);
    case model_family::opt:
      return opt_tensors(c);
    case model_family::llama:
      break;
  }
  return llama_tensors(c);
}

std::uint64_t write_random_checkpoint(const std::string& config_json,
                                      const std::filesystem::path& folder, std::uint64_t seed) {
  const model_config c = parse_config(config_json, "config.json");
  std::error_code problem;
  make_folder(folder);
  for (const char* name : {"config.json", "model.safetensors"}) {
    if (!std::filesystem::exists(folder / name, problem)) continue;
    reject({(folder / name).string()}, "exists already; expected a folder without a model");
  }
  safetensors_writer file(folder / "model.safetensors", checkpoint_tensors(c), {{"format", "pt"}});
  std::uint64_t parameters = 0;
  std::vector<zeropoint::float16> piece(std::size_t{1} << 19);
  for (const tensor_layout& t : file.tensors()) {
    write_tensor(file, t, seed, piece);
    parameters += t.bytes / sizeof(zeropoint::float16);
  }
  output_file config(folder / "config.json");
  config.write(config_json);
  file.finish();
  config.finish();
  return parameters;
}

}  // namespace lab
