// Tensor names of llama.cpp. Every tensor of the file is read once: one that nobody asks for (factors
// of rotary positions, experts, more layers) would change the result.
#include <lab/io/gguf_config.hpp>
#include <lab/models/gguf_names.hpp>
#include <lab/models/load_blocks.hpp>
#include <lab/models/load_gguf.hpp>
#include <lab/models/rotary_rows.hpp>
#include <lab/models/tensor_checks.hpp>

#include <mutex>
#include <set>

namespace lab {

namespace {

using shape = std::vector<std::uint64_t>;

/// Tensors of one file, for several threads.
class gguf_reader {
 public:
  explicit gguf_reader(const gguf_file& file) : file_(file) {}

  std::vector<float> tensor(const std::string& name, const shape& expected) {
    const gguf_tensor& info = file_.at(name);
    require_shape(file_.path(), name, info.shape, expected);
    std::vector<float> values = file_.floats(info);
    require_finite(file_.path(), name, values);
    const std::lock_guard lock(guard_);
    used_.insert(name);
    return values;
  }

  norm layer_norm(const std::string& name, const model_config& c) {
    norm n{tensor(name + ".weight", {c.width}), {}};
    if (!c.rms_norm) n.bias = tensor(name + ".bias", {c.width});
    return n;
  }

  /// `name` as in HuggingFace's files.
  dense linear(const std::string& name, std::size_t out, std::size_t in, bool bias) {
    const std::string stored = gguf_layer_name(name);
    dense d{name, out, in, tensor(stored + ".weight", {out, in}), {}};
    if (bias) d.bias = tensor(stored + ".bias", {out});
    return d;
  }

  void refuse_unused() const {
    for (const gguf_tensor& t : file_.tensors()) {
      if (used_.contains(t.name)) continue;
      reject({file_.path()}, "tensor ", in_quotes(t.name),
             " has no place in a model of this metadata");
    }
  }

 private:
  const gguf_file& file_;
  std::mutex guard_;
  std::set<std::string> used_;
};

dense in_halves(dense d, std::size_t heads) {
  to_halves(d.weight, heads, d.in);
  to_halves(d.bias, heads, 1);
  return d;
}

block llama_block(gguf_reader& r, const model_config& c, const std::string& number) {
  const std::string attention = "layers." + number + ".self_attn.",
                    mlp = "layers." + number + ".mlp.";
  block b;
  b.qkv.push_back(in_halves(r.linear(attention + "q_proj", c.q_width(), c.width, c.bias), c.heads));
  b.qkv.push_back(
      in_halves(r.linear(attention + "k_proj", c.kv_width(), c.width, c.bias), c.kv_heads));
  b.qkv.push_back(r.linear(attention + "v_proj", c.kv_width(), c.width, c.bias));
  b.attention_out = r.linear(attention + "o_proj", c.width, c.q_width(), c.bias);
  b.gate = r.linear(mlp + "gate_proj", c.ffn, c.width, c.mlp_bias);
  b.fc1 = r.linear(mlp + "up_proj", c.ffn, c.width, c.mlp_bias);
  b.fc2 = r.linear(mlp + "down_proj", c.width, c.ffn, c.mlp_bias);
  return b;
}

block gpt2_block(gguf_reader& r, const model_config& c, const std::string& number) {
  const std::string p = "h." + number + ".";
  block b;
  b.qkv.push_back(r.linear(p + "attn.c_attn", 3 * c.width, c.width, c.bias));
  b.attention_out = r.linear(p + "attn.c_proj", c.width, c.width, c.bias);
  b.fc1 = r.linear(p + "mlp.c_fc", c.ffn, c.width, c.mlp_bias);
  b.fc2 = r.linear(p + "mlp.c_proj", c.width, c.ffn, c.mlp_bias);
  return b;
}

block read_block(gguf_reader& r, const model_config& c, std::size_t i) {
  const std::string number = std::to_string(i), stored = "blk." + number + ".";
  norm attention = r.layer_norm(stored + "attn_norm", c),
       mlp = r.layer_norm(stored + "ffn_norm", c);
  block b = c.family == model_family::gpt2 ? gpt2_block(r, c, number) : llama_block(r, c, number);
  b.attention_norm = std::move(attention);
  b.mlp_norm = std::move(mlp);
  return b;
}

}  // namespace

transformer load_gguf_model(const gguf_file& file, std::size_t threads, const weight_taker* taker) {
  transformer m;
  m.config = gguf_config(file);
  const model_config& c = m.config;
  gguf_reader r(file);
  m.embedding = r.tensor("token_embd.weight", {c.vocab, c.width});
  if (!c.rotary()) m.positions = r.tensor("position_embd.weight", {c.positions, c.width});
  if (!c.tied_head) m.head = r.tensor("output.weight", {c.vocab, c.width});
  load_blocks(m, file.path(), threads, taker, [&](std::size_t i) { return read_block(r, c, i); });
  m.final_norm = r.layer_norm("output_norm", c);
  r.refuse_unused();
  return m;
}

}  // namespace lab
