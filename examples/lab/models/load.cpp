// Tensor names of the families, and the checks between config and file. Nothing is allocated
// before the shape in the file's header agrees with the config.
#include <lab/models/load.hpp>
#include <lab/models/load_blocks.hpp>
#include <lab/models/load_gguf.hpp>
#include <lab/models/tensor_checks.hpp>

#if defined(_OPENMP)
#include <omp.h>
#endif

namespace lab {

namespace {

using shape = std::vector<std::uint64_t>;

/// Reads tensors by their name without prefix.
class reader {
 public:
  reader(const model_config& config, const safetensors& weights, const weight_source& others)
      : config_(config), weights_(weights), others_(others) {
    const bool gpt2 = config.family == model_family::gpt2;
    const std::string first = gpt2 ? "wte.weight" : "embed_tokens.weight";
    for (const char* p : {"transformer.", "model.decoder.", "decoder.", "model.", ""}) {
      if (!weights.contains(p + first)) continue;
      prefix_ = p;
      return;
    }
    const char* prefixes = gpt2                                 ? "transformer."
                           : config.family == model_family::opt ? "model.decoder., decoder."
                                                                : "model.";
    reject({weights.path()}, "no tensor ", in_quotes(first), " (with or without the prefix ",
           prefixes, "): not a ", name(config.family), " checkpoint?");
  }

  const std::string& prefix() const { return prefix_; }

  std::vector<float> tensor(const std::string& short_name, const shape& expected) const {
    return exact(prefix_ + short_name, expected);
  }

  std::vector<float> exact(const std::string& full_name, const shape& expected) const {
    require(full_name, expected);
    std::vector<float> values = weights_.floats(full_name);
    require_finite(weights_.path(), full_name, values);
    return values;
  }

  norm layer_norm(const std::string& short_name) const {
    if (config_.rms_norm) return {tensor(short_name + ".weight", {config_.width}), {}};
    if (!config_.norm_affine) return {};
    return {tensor(short_name + ".weight", {config_.width}),
            tensor(short_name + ".bias", {config_.width})};
  }

  /// Whether the weights of a layer come from elsewhere.
  bool is_other(const std::string& short_name) const {
    if (!others_) return false;
    const tensor_info* info = weights_.find(prefix_ + short_name + ".weight");
    return info == nullptr || info->type == dtype::i8;
  }

  /// torch.nn.Linear: [out, in] as it is.
  dense linear(const std::string& short_name, std::size_t out, std::size_t in, bool bias) const {
    dense d{short_name, out, in, {}, {}};
    d.weight = is_other(short_name) ? others_(prefix_ + short_name, out, in)
                                    : tensor(short_name + ".weight", {out, in});
    const std::string bias_name = short_name + ".bias";
    if (bias) d.bias = tensor(bias_name, {out});
    if (!bias && weights_.contains(prefix_ + bias_name)) {
      reject({weights_.path()}, "tensor ", in_quotes(prefix_ + bias_name),
             ", but the config says that there are no biases");
    }
    return d;
  }

  /// GPT-2's Conv1D: [in, out], transposed here, in strips: there is no second copy of it.
  dense conv1d(const std::string& short_name, std::size_t out, std::size_t in) const {
    dense d{short_name, out, in, {}, tensor(short_name + ".bias", {out})};
    if (is_other(short_name)) {
      d.weight = others_(prefix_ + short_name, out, in);
      return d;
    }
    const std::string name = prefix_ + short_name + ".weight";
    require(name, {in, out});
    d.weight.resize(in * out);
    const std::size_t rows = std::max<std::size_t>(1, strip_floats / out);
    std::vector<float> strip(std::min(rows, in) * out);
    for (std::size_t i = 0; i < in; i += rows) {
      const std::size_t count = std::min(rows, in - i);
      const auto read = std::span(strip).first(count * out);
      weights_.floats_from(name, i * out, read);
      require_finite(weights_.path(), name, read, i * out);
      for (std::size_t o = 0; o < out; ++o) {
        float* const to = d.weight.data() + o * in + i;
        for (std::size_t r = 0; r < count; ++r) to[r] = strip[r * out + o];
      }
    }
    return d;
  }

  /// A layer beyond config.layers means that config and weights are of different models.
  void refuse_more_layers(const std::string& stem) const {
    const std::string beyond = prefix_ + stem + std::to_string(config_.layers) + ".";
    const auto found = weights_.tensors().lower_bound(beyond);
    if (found == weights_.tensors().end() || !found->first.starts_with(beyond)) return;
    reject({weights_.path()}, "tensor ", in_quotes(found->first), ", but the config has ",
           config_.layers, " layers");
  }

 private:
  static constexpr std::size_t strip_floats = std::size_t{1} << 16;

  void require(const std::string& full_name, const shape& expected) const {
    const tensor_info* info = weights_.find(full_name);
    if (info == nullptr) {
      reject({weights_.path()}, "tensor ", in_quotes(full_name), " is missing, expected shape ",
             shape_text(expected));
    }
    require_shape(weights_.path(), full_name, info->shape, expected);
  }

  const model_config& config_;
  const safetensors& weights_;
  const weight_source& others_;
  std::string prefix_;
};

block gpt2_block(const reader& r, const model_config& c, std::size_t i) {
  const std::string p = "h." + std::to_string(i) + ".";
  block b;
  b.attention_norm = r.layer_norm(p + "ln_1");
  b.mlp_norm = r.layer_norm(p + "ln_2");
  b.qkv.push_back(r.conv1d(p + "attn.c_attn", 3 * c.width, c.width));
  b.attention_out = r.conv1d(p + "attn.c_proj", c.width, c.width);
  b.fc1 = r.conv1d(p + "mlp.c_fc", c.ffn, c.width);
  b.fc2 = r.conv1d(p + "mlp.c_proj", c.width, c.ffn);
  return b;
}

block opt_block(const reader& r, const model_config& c, std::size_t i) {
  const std::string p = "layers." + std::to_string(i) + ".";
  block b;
  b.attention_norm = r.layer_norm(p + "self_attn_layer_norm");
  b.mlp_norm = r.layer_norm(p + "final_layer_norm");
  for (const char* part : {"q_proj", "k_proj", "v_proj"}) {
    b.qkv.push_back(r.linear(p + "self_attn." + part, c.width, c.width, c.bias));
  }
  b.attention_out = r.linear(p + "self_attn.out_proj", c.width, c.width, c.bias);
  b.fc1 = r.linear(p + "fc1", c.ffn, c.width, c.mlp_bias);
  b.fc2 = r.linear(p + "fc2", c.width, c.ffn, c.mlp_bias);
  return b;
}

block llama_block(const reader& r, const model_config& c, std::size_t i) {
  const std::string p = "layers." + std::to_string(i) + ".";
  block b;
  b.attention_norm = r.layer_norm(p + "input_layernorm");
  b.mlp_norm = r.layer_norm(p + "post_attention_layernorm");
  b.qkv.push_back(r.linear(p + "self_attn.q_proj", c.q_width(), c.width, c.bias));
  b.qkv.push_back(r.linear(p + "self_attn.k_proj", c.kv_width(), c.width, c.bias));
  b.qkv.push_back(r.linear(p + "self_attn.v_proj", c.kv_width(), c.width, c.bias));
  b.attention_out = r.linear(p + "self_attn.o_proj", c.width, c.q_width(), c.bias);
  b.gate = r.linear(p + "mlp.gate_proj", c.ffn, c.width, c.mlp_bias);
  b.fc1 = r.linear(p + "mlp.up_proj", c.ffn, c.width, c.mlp_bias);
  b.fc2 = r.linear(p + "mlp.down_proj", c.width, c.ffn, c.mlp_bias);
  return b;
}

block any_block(const reader& r, const model_config& c, std::size_t i) {
  switch (c.family) {
    case model_family::gpt2:
      return gpt2_block(r, c, i);
    case model_family::opt:
      return opt_block(r, c, i);
    case model_family::llama:
      break;
  }
  return llama_block(r, c, i);
}

}  // namespace

transformer load_model(const model_config& c, const safetensors& weights,
                       const weight_source& others, std::size_t threads,
                       const weight_taker* taker) {
  const reader r(c, weights, others);
  const bool gpt2 = c.family == model_family::gpt2;
  r.refuse_more_layers(gpt2 ? "h." : "layers.");
  transformer m;
  m.config = c;
  m.embedding = r.tensor(gpt2 ? "wte.weight" : "embed_tokens.weight", {c.vocab, c.embed_width});
  if (!c.rotary()) {
    m.positions = r.tensor(gpt2 ? "wpe.weight" : "embed_positions.weight",
                           {c.positions + c.position_offset, c.width});
  }
  if (c.embed_width != c.width) {
    m.project_in = r.linear("project_in", c.width, c.embed_width, false);
    m.project_out = r.linear("project_out", c.embed_width, c.width, false);
  }
  if (!c.tied_head) m.head = r.exact("lm_head.weight", {c.vocab, c.embed_width});
  // Other weights come in the order of the layers, so by one thread.
  load_blocks(m, weights.path(), others ? 1 : threads, taker,
              [&](std::size_t i) { return any_block(r, c, i); });
  if (c.final_norm) {
    m.final_norm = r.layer_norm(gpt2                            ? "ln_f"
                                : c.family == model_family::opt ? "final_layer_norm"
                                                                : "norm");
  }
  return m;
}

std::size_t loading_threads() noexcept {
#if defined(_OPENMP)
  return static_cast<std::size_t>(omp_get_num_procs());
#else
  return 1;
#endif
}

namespace {

transformer load_any(const std::filesystem::path& path, const weight_taker* taker) {
  const std::size_t threads = loading_threads();
  if (is_gguf(path)) return load_gguf_model(gguf_file(path), threads, taker);
  const model_config config =
      load_config(path);  // first: an unknown architecture has no weights for us
  return load_model(config, safetensors(path), {}, threads, taker);
}

}  // namespace

transformer load_model(const std::filesystem::path& path) {
  return load_any(path, nullptr);
}

transformer load_model(const std::filesystem::path& path, const weight_taker& taker) {
  return load_any(path, &taker);
}

}  // namespace lab
