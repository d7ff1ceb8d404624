// One tensor in memory at a time; the tokenizer as the byte-fallback BPE that SentencePiece's is.
#include <lab/experiments/llama2c.hpp>
#include <lab/io/config_limits.hpp>
#include <lab/io/file.hpp>
#include <lab/io/json.hpp>
#include <lab/io/safetensors_writer.hpp>
#include <lab/io/tokenizer_scores.hpp>
#include <lab/models/rotary_rows.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

namespace lab {
namespace {

namespace limits = config_limits;

struct llama2c_header {
  std::uint64_t width, ffn, layers, heads, kv_heads, vocab, positions;
  bool tied;
};

llama2c_header read_header(const input_file& file) {
  std::array<std::int32_t, 7> n{};
  file.read(0, std::as_writable_bytes(std::span(n)));
  const bool tied = n[5] > 0;
  n[5] = tied || n[5] == std::numeric_limits<std::int32_t>::min() ? n[5] : -n[5];
  constexpr const char* names[] = {"the width",
                                   "the width of the MLP",
                                   "the number of layers",
                                   "the number of heads",
                                   "the number of key heads",
                                   "the vocabulary",
                                   "the number of positions"};
  constexpr std::uint64_t most[] = {limits::width,    4 * limits::width, limits::layers,
                                    limits::width,    limits::width,     limits::tokens,
                                    limits::positions};
  std::array<std::uint64_t, 7> v{};
  for (std::size_t i = 0; i < n.size(); ++i) {
    if (n[i] < 1 || static_cast<std::uint64_t>(n[i]) > most[i])
      reject({file.path(), 4 * i}, names[i], " is ", n[i], "; expected 1 to ", most[i]);
    v[i] = static_cast<std::uint64_t>(n[i]);
  }
  if (v[0] % v[3] != 0 || v[0] / v[3] % 2 != 0 || v[3] % v[4] != 0)
    reject({file.path(), 12}, v[3], " heads and ", v[4], " key heads do not divide a width of ",
           v[0], " into even parts");
  return {v[0], v[1], v[2], v[3], v[4], v[5], v[6], tied};
}

/// Where a tensor lies in the file.
struct llama2c_tensor {
  std::vector<std::uint64_t> shape;
  std::uint64_t offset = 0;
  std::uint64_t turned_heads = 0;
};

class tensor_map {
 public:
  explicit tensor_map(const llama2c_header& h) : h_(h) {
    const std::uint64_t C = h.width, kv = C / h.heads * h.kv_heads, F = h.ffn;
    whole("model.embed_tokens.weight", {h.vocab, C});
    layered("input_layernorm", {C});
    layered("self_attn.q_proj", {C, C}, h.heads);
    layered("self_attn.k_proj", {kv, C}, h.kv_heads);
    layered("self_attn.v_proj", {kv, C});
    layered("self_attn.o_proj", {C, C});
    layered("post_attention_layernorm", {C});
    layered("mlp.gate_proj", {F, C});
    layered("mlp.down_proj", {C, F});
    layered("mlp.up_proj", {F, C});
    whole("model.norm.weight", {C});
    end_ += 4 * h.positions * (C / h.heads);  // cosines and sines
    if (!h.tied) whole("lm_head.weight", {h.vocab, C});
  }
  [[nodiscard]] const std::map<std::string, llama2c_tensor>& all() const noexcept { return all_; }
  [[nodiscard]] std::uint64_t end() const noexcept { return end_; }

 private:
  void whole(const std::string& name, std::vector<std::uint64_t> shape,
             std::uint64_t turned_heads = 0) {
    std::uint64_t bytes = 4;  // below 2^60 within config_limits
    for (const std::uint64_t n : shape) bytes *= n;
    all_[name] = {std::move(shape), end_, turned_heads};
    end_ += bytes;
  }
  void layered(const std::string& name, const std::vector<std::uint64_t>& shape,
               std::uint64_t turned_heads = 0) {
    for (std::uint64_t i = 0; i < h_.layers; ++i)
      whole("model.layers." + std::to_string(i) + "." + name + ".weight", shape, turned_heads);
  }

  llama2c_header h_;
  std::uint64_t end_ = 28;
  std::map<std::string, llama2c_tensor> all_;
};

std::uint64_t write_weights(const input_file& file, const tensor_map& map,
                            const std::filesystem::path& path) {
  std::vector<tensor_layout> layouts;
  for (const auto& [name, t] : map.all()) {
    std::uint64_t bytes = 4;
    for (const std::uint64_t n : t.shape) bytes *= n;
    layouts.push_back({name, dtype::f32, t.shape, bytes});
  }
  safetensors_writer out(path, std::move(layouts), {{"format", "pt"}});
  std::uint64_t parameters = 0;
  for (const tensor_layout& l : out.tensors()) {
    const llama2c_tensor& t = map.all().at(l.name);
    std::vector<float> values(static_cast<std::size_t>(l.bytes / 4));
    file.read(t.offset, std::as_writable_bytes(std::span(values)));
    const auto bad =
        std::find_if(values.begin(), values.end(), [](float x) { return !std::isfinite(x); });
    if (bad != values.end())
      reject({file.path(), t.offset + 4 * static_cast<std::uint64_t>(bad - values.begin())},
             "a weight of ", l.name, " is ", *bad, ", expected finite weights");
    if (t.turned_heads > 0)
      to_halves(values, static_cast<std::size_t>(t.turned_heads),
                static_cast<std::size_t>(t.shape[1]));
    out.write(std::as_bytes(std::span<const float>(values)));
    parameters += values.size();
  }
  out.finish();
  return parameters;
}

json config_of(const llama2c_header& h) {
  return {{"architectures", {"LlamaForCausalLM"}},
          {"model_type", "llama"},
          {"hidden_size", h.width},
          {"intermediate_size", h.ffn},
          {"num_hidden_layers", h.layers},
          {"num_attention_heads", h.heads},
          {"num_key_value_heads", h.kv_heads},
          {"vocab_size", h.vocab},
          {"max_position_embeddings", h.positions},
          {"hidden_act", "silu"},
          {"rms_norm_eps", 1e-5},
          {"rope_theta", 10000.0},
          {"tie_word_embeddings", h.tied},
          {"bos_token_id", 1},
          {"eos_token_id", {1, 2}}};  // a BOS begins the next text
}

std::vector<scored_token> read_tokens(const std::filesystem::path& path, std::uint64_t count) {
  const std::string bytes = read_file(path, std::uint64_t{1} << 27), file = path.string();
  std::size_t at = 0;
  const auto number = [&](auto value, const char* what) {
    if (bytes.size() < at + sizeof value) reject({file, bytes.size()}, "ends before ", what);
    std::memcpy(&value, bytes.data() + at, sizeof value);
    at += sizeof value;
    return value;
  };
  constexpr std::uint32_t most = 128;  // Llama's longest has 48; merges_by_score() tries every cut
  const auto longest = number(std::uint32_t{}, "the longest length");
  if (longest > most)
    reject({file, 0}, "tokens of up to ", longest, " bytes; expected at most ", most);
  std::vector<scored_token> tokens;
  for (std::uint64_t i = 0; i < count; ++i) {
    const float score = number(0.0f, "the score of a token");
    const auto length = number(std::int32_t{}, "the length of a token");
    if (length < 1 || static_cast<std::size_t>(length) > bytes.size() - at || std::isnan(score))
      reject({file, at - 8}, "token ", i, " has ", length, " bytes and a score of ", score,
             "; expected at least one byte, within the file");
    if (static_cast<std::uint32_t>(length) > longest)
      reject({file, at - 4}, "token ", i, " has ", length, " bytes; the longest has ", longest);
    scored_token t{"", score};
    for (const char c : bytes.substr(at, static_cast<std::size_t>(length)))
      c == ' ' ? t.text += "\xE2\x96\x81" : t.text += c;
    at += static_cast<std::size_t>(length);
    tokens.push_back(std::move(t));
  }
  if (at != bytes.size()) reject({file, at}, "has bytes behind its last token");
  return tokens;
}

json tokenizer_of(std::vector<scored_token> tokens, const std::string& file) {
  constexpr const char* specials[] = {"<unk>", "<s>", "</s>"};
  if (tokens.size() < 259)
    reject({file}, tokens.size(), " tokens; expected 3 + 256 bytes at least");
  for (std::size_t i = 0; i < 3; ++i) tokens[i].text = specials[i];
  json vocabulary, added = json::array();
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    vocabulary[tokens[i].text] = i;
    if (i < 3)
      added.push_back({{"id", i},
                       {"content", tokens[i].text},
                       {"single_word", false},
                       {"lstrip", false},
                       {"rstrip", false},
                       {"normalized", false},
                       {"special", true}});
  }
  if (vocabulary.size() != tokens.size()) reject({file}, "two tokens are the same text");
  const char* space = "\xE2\x96\x81";
  const auto replace = [](const char* from, const char* to) {
    return json{{"type", "Replace"}, {"pattern", {{"String", from}}}, {"content", to}};
  };
  return {{"version", "1.0"},
          {"added_tokens", added},
          {"normalizer",
           {{"type", "Sequence"},
            {"normalizers", {{{"type", "Prepend"}, {"prepend", space}}, replace(" ", space)}}}},
          {"pre_tokenizer", nullptr},
          {"post_processor", nullptr},
          {"decoder",
           {{"type", "Sequence"},
            {"decoders",
             {replace(space, " "),
              {{"type", "ByteFallback"}},
              {{"type", "Fuse"}},
              {{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}}}}}},
          {"model",
           {{"type", "BPE"},
            {"dropout", nullptr},
            {"unk_token", "<unk>"},
            {"fuse_unk", true},
            {"byte_fallback", true},
            {"vocab", vocabulary},
            {"merges", merges_by_score(std::span(tokens).subspan(259), file)}}}};
}

}  // namespace

std::uint64_t convert_llama2c(const std::filesystem::path& model,
                              const std::filesystem::path& tokenizer,
                              const std::filesystem::path& out) {
  const input_file file(model);
  const llama2c_header h = read_header(file);
  const tensor_map map(h);
  if (file.size() != map.end())
    reject({file.path()}, "has ", file.size(), " bytes; expected ", map.end(), " for its header");
  const json tokens = tokenizer_of(read_tokens(tokenizer, h.vocab), tokenizer.string());
  std::string text;
  try {
    text = tokens.dump(1) + "\n";
  } catch (const json::type_error&) {
    reject({tokenizer.string()}, "a token is not UTF-8");
  }
  make_folder(out);
  std::filesystem::remove(out / "config.json");  // no model until all of it is new
  const std::uint64_t parameters = write_weights(file, map, out / "model.safetensors");
  write_file(out / "tokenizer.json", text);
  write_file(
      out / "tokenizer_config.json",
      json({{"add_bos_token", true}, {"bos_token", "<s>"}, {"eos_token", "</s>"}}).dump(1) + "\n");
  write_file(out / "config.json", config_of(h).dump(1) + "\n");
  return parameters;
}

}  // namespace lab
