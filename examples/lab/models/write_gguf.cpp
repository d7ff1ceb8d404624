// The table first, then one matrix after another through its encoder.
#include <lab/io/gguf_config.hpp>
#include <lab/io/gguf_writer.hpp>
#include <lab/io/tokenizer_gguf.hpp>
#include <lab/models/gguf_names.hpp>
#include <lab/models/rotary_rows.hpp>
#include <lab/models/write_gguf.hpp>

#include <algorithm>

namespace lab {
namespace {

/// A tensor of the file and the weights that it holds.
struct gguf_piece {
  gguf_layout layout;
  const std::vector<float>* values = nullptr;
  std::size_t turned_heads = 0;  ///< rows of so many heads change places; 0: none do
  bool linear = false;           ///< of a layer of linears()
};

class piece_list {
 public:
  piece_list(const transformer& model, ggml_type_number type) : type_(type) { add_model(model); }

  [[nodiscard]] const std::vector<gguf_piece>& all() const noexcept { return pieces_; }

 private:
  void vector(const std::string& name, const std::vector<float>& values) {
    if (values.empty()) return;
    pieces_.push_back({{name, &ggml_type_of(ggml_f32), {values.size()}}, &values});
  }
  void matrix(const std::string& name, const std::vector<float>& values, std::size_t columns,
              ggml_type_number wanted) {
    const ggml_type& blocks = ggml_type_of(wanted);
    const ggml_type& type = columns % blocks.block == 0 ? blocks : ggml_type_of(ggml_f32);
    pieces_.push_back({{name, &type, {values.size() / columns, columns}}, &values});
  }
  void layer_norm(const std::string& name, const norm& n) {
    vector(name + ".weight", n.gain);
    vector(name + ".bias", n.bias);
  }
  void layer(const dense& d, std::size_t turned_heads = 0) {
    const std::string name = gguf_layer_name(d.name);
    const std::size_t first = pieces_.size();
    matrix(name + ".weight", d.weight, d.in, type_);
    vector(name + ".bias", d.bias);
    for (std::size_t i = first; i < pieces_.size(); ++i) {
      pieces_[i].linear = true;
      pieces_[i].turned_heads = turned_heads;
    }
  }
  void add_block(const model_config& c, const block& b, const std::string& name) {
    layer_norm(name + "attn_norm", b.attention_norm);
    for (std::size_t i = 0; i < b.qkv.size(); ++i)
      layer(b.qkv[i], !c.rotary() || i == 2 ? 0 : i == 0 ? c.heads : c.kv_heads);
    layer(b.attention_out);
    layer_norm(name + "ffn_norm", b.mlp_norm);
    if (b.gate) layer(*b.gate);
    layer(b.fc1);
    layer(b.fc2);
  }
  void add_model(const transformer& m) {
    const model_config& c = m.config;
    matrix("token_embd.weight", m.embedding, c.width, ggml_q8_0);
    if (!c.rotary()) matrix("position_embd.weight", m.positions, c.width, ggml_f32);
    for (std::size_t i = 0; i < m.blocks.size(); ++i)
      add_block(c, m.blocks[i], "blk." + std::to_string(i) + ".");
    layer_norm("output_norm", *m.final_norm);
    if (!m.head.empty()) matrix("output.weight", m.head, c.width, ggml_q8_0);
  }

  ggml_type_number type_;
  std::vector<gguf_piece> pieces_;
};

gguf_entries metadata_of(const transformer& model, const std::optional<tokenizer_data>& tokens,
                         ggml_type_number type, const std::string& name) {
  const model_config& c = model.config;
  gguf_entries entries = gguf_config_entries(c);
  entries.emplace_back("general.name", gguf_text(name));
  // The number of a file's type: 2 mostly Q4_0, 7 mostly Q8_0.
  entries.emplace_back("general.file_type", gguf_u32(type == ggml_q4_0 ? 2 : 7));
  entries.emplace_back("general.quantization_version", gguf_u32(2));
  if (tokens) {
    gguf_entries more = gguf_tokenizer_entries(*tokens, c.vocab);
    std::move(more.begin(), more.end(), std::back_inserter(entries));
  } else {
    entries.emplace_back("tokenizer.ggml.model", gguf_text("no_vocab"));
  }
  const auto id = [&](const char* key, std::uint32_t value) {
    entries.emplace_back(std::string("tokenizer.ggml.") + key, gguf_u32(value));
  };
  const auto bos = tokens && tokens->bos ? tokens->bos : c.bos;
  if (bos) id("bos_token_id", *bos);
  constexpr const char* ends[] = {"eos_token_id", "eot_token_id", "eom_token_id"};
  for (std::size_t i = 0; i < c.eos.size(); ++i) id(ends[i], c.eos[i]);
  return entries;
}

std::vector<std::byte> encoded(const gguf_piece& p) {
  std::vector<std::byte> bytes(static_cast<std::size_t>(p.layout.bytes()));
  std::vector<float> moved;
  if (p.turned_heads > 0) {
    moved = *p.values;
    to_neighbours(moved, p.turned_heads, p.layout.shape.size() < 2 ? 1 : p.layout.shape[1]);
  }
  try {
    p.layout.type->encode(p.turned_heads > 0 ? moved : *p.values, bytes);
  } catch (const zeropoint::error& problem) {
    throw input_error("tensor " + in_quotes(p.layout.name) + ": " + problem.what());
  }
  return bytes;
}

}  // namespace

gguf_sizes write_gguf_model(const std::filesystem::path& path, const transformer& model,
                            const std::optional<tokenizer_data>& tokens, ggml_type_number type,
                            const std::string& name) {
  const gguf_entries metadata = metadata_of(model, tokens, type, name);  // first: it may refuse
  const piece_list pieces(model, type);
  gguf_sizes sizes;
  std::vector<gguf_layout> layouts;
  for (const gguf_piece& p : pieces.all()) {
    layouts.push_back(p.layout);
    if (!p.linear) continue;
    sizes.linear += p.layout.bytes();
    const bool plain = p.layout.shape.size() == 2 && p.layout.type->number != type;
    sizes.plain_layers += plain ? 1 : 0;
  }
  if (sizes.plain_layers == model.linears().size())
    throw input_error("no layer has a multiple of " + std::to_string(ggml_type_of(type).block) +
                      " inputs, the block of " + std::string(ggml_type_of(type).name));
  gguf_writer file(path, metadata, layouts);
  for (const gguf_piece& p : pieces.all()) file.write(encoded(p));
  file.finish();
  sizes.file = std::filesystem::file_size(path);
  return sizes;
}

}  // namespace lab
