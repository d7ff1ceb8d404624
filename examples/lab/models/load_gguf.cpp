// Tensor names of llama.cpp. Every tensor of the file is read once: one that nobody asks for (factors
// of rotary positions, experts, more layers) would change the result.
#include <lab/io/gguf_config.hpp>
#include <lab/models/load_gguf.hpp>
#include <lab/models/tensor_checks.hpp>

#include <algorithm>
#include <set>

namespace lab {

namespace {

using shape = std::vector<std::uint64_t>;

class gguf_reader {
 public:
  explicit gguf_reader(const gguf_file& file) : file_(file) {}

  std::vector<float> tensor(const std::string& name, const shape& expected) {
    const gguf_tensor& info = file_.at(name);
    require_shape(file_.path(), name, info.shape, expected);
    std::vector<float> values = file_.floats(info);
    require_finite(file_.path(), name, values);
    used_.insert(name);
    return values;
  }

  norm rms_norm(const std::string& name, std::size_t width) {
    return {tensor(name + ".weight", {width}), {}};
  }

  /// `name` as in HuggingFace's files, `stored` as in this one.
  dense linear(const std::string& name, const std::string& stored, std::size_t out, std::size_t in,
               bool bias) {
    dense d{name, out, in, tensor(stored + ".weight", {out, in}), {}};
    if (bias) d.bias = tensor(stored + ".bias", {out});
    return d;
  }

  void refuse_unused() const {
    for (const gguf_tensor& t : file_.tensors()) {
      if (used_.contains(t.name)) continue;
      reject({file_.path()}, "tensor ", in_quotes(t.name),
             " has no place in a Llama model of this metadata");
    }
  }

 private:
  const gguf_file& file_;
  std::set<std::string> used_;
};

/// rows [heads * d, columns]: row 2j + i of every head becomes row j + i d/2.
void split_pairs(std::vector<float>& rows, std::size_t heads, std::size_t columns) {
  if (rows.empty()) return;
  const std::size_t d = rows.size() / heads / columns;
  std::vector<float> head(d * columns);
  for (std::size_t h = 0; h < heads; ++h) {
    float* const first = rows.data() + h * head.size();
    for (std::size_t row = 0; row < d; ++row) {
      const std::size_t to = row / 2 + row % 2 * (d / 2);
      std::copy_n(first + row * columns, columns, head.data() + to * columns);
    }
    std::copy(head.begin(), head.end(), first);
  }
}

dense in_halves(dense d, std::size_t heads) {
  split_pairs(d.weight, heads, d.in);
  split_pairs(d.bias, heads, 1);
  return d;
}

block read_block(gguf_reader& r, const model_config& c, std::size_t i) {
  const std::string ours = "layers." + std::to_string(i) + ".",
                    stored = "blk." + std::to_string(i) + ".";
  const auto attention = [&](const char* name, const char* in_file, std::size_t out,
                             std::size_t in) {
    return r.linear(ours + "self_attn." + name, stored + in_file, out, in, c.bias);
  };
  const auto mlp = [&](const char* name, const char* in_file, std::size_t out, std::size_t in) {
    return r.linear(ours + "mlp." + name, stored + in_file, out, in, c.mlp_bias);
  };
  block b;
  b.attention_norm = r.rms_norm(stored + "attn_norm", c.width);
  b.mlp_norm = r.rms_norm(stored + "ffn_norm", c.width);
  b.qkv.push_back(in_halves(attention("q_proj", "attn_q", c.q_width(), c.width), c.heads));
  b.qkv.push_back(in_halves(attention("k_proj", "attn_k", c.kv_width(), c.width), c.kv_heads));
  b.qkv.push_back(attention("v_proj", "attn_v", c.kv_width(), c.width));
  b.attention_out = attention("o_proj", "attn_output", c.width, c.q_width());
  b.gate = mlp("gate_proj", "ffn_gate", c.ffn, c.width);
  b.fc1 = mlp("up_proj", "ffn_up", c.ffn, c.width);
  b.fc2 = mlp("down_proj", "ffn_down", c.width, c.ffn);
  return b;
}

}  // namespace

transformer load_gguf_model(const gguf_file& file) {
  transformer m;
  m.config = gguf_config(file);
  const model_config& c = m.config;
  gguf_reader r(file);
  m.embedding = r.tensor("token_embd.weight", {c.vocab, c.width});
  for (std::size_t i = 0; i < c.layers; ++i) m.blocks.push_back(read_block(r, c, i));
  m.final_norm = r.rms_norm("output_norm", c.width);
  if (!c.tied_head) m.head = r.tensor("output.weight", {c.vocab, c.width});
  r.refuse_unused();
  return m;
}

}  // namespace lab
