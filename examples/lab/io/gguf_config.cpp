// The keys that llama.cpp's converter writes. Those of them that change the result and are not
// implemented are refused; keys that no converter is known to write are not looked for.
#include <lab/io/config_limits.hpp>
#include <lab/io/gguf_config.hpp>
#include <lab/io/gguf_metadata.hpp>
#include <lab/io/safetensors.hpp>

#include <algorithm>

namespace lab {
namespace {

namespace limits = config_limits;

std::size_t size(const gguf_metadata& m, std::string_view key, std::uint64_t high) {
  return static_cast<std::size_t>(m.integer(key, 1, high));
}

std::size_t size_or(const gguf_metadata& m, std::string_view key, std::uint64_t high,
                    std::size_t fallback) {
  return static_cast<std::size_t>(m.maybe_integer(key, 1, high).value_or(fallback));
}

std::optional<std::uint32_t> token_id(const gguf_metadata& m, std::string_view key,
                                      std::size_t vocab) {
  const auto id = m.maybe_integer(key, 0, 0xFFFFFFFFu);
  if (!id) return std::nullopt;
  if (*id >= vocab)
    m.wrong(key, "is token ", *id, "; expected less than ", vocab, ", the rows of the embedding");
  return static_cast<std::uint32_t>(*id);
}

model_family read_family(const gguf_metadata& m) {
  constexpr std::string_view architecture = "general.architecture";
  const std::string found = m.text(architecture);
  if (found == "gpt2") return model_family::gpt2;
  if (found != "llama")
    m.wrong(architecture, "is ", in_quotes(found),
            ", which is not supported; expected llama or gpt2");
  for (const char* key : {"llama.expert_count", "llama.attention.sliding_window"})
    if (m.maybe_integer(key, 0, ~std::uint64_t{0}).value_or(0) != 0)
      m.wrong(key, "is not supported; expected 0");
  return model_family::llama;
}

/// Of the rotary positions: theta. Scaled ones have other angles.
double read_rotary(const gguf_metadata& m, std::size_t head_width) {
  constexpr std::string_view base = "llama.rope.freq_base", count = "llama.rope.dimension_count",
                             scaling = "llama.rope.scaling.type";
  const double theta = m.maybe_real(base).value_or(10000);
  if (!(theta >= 1 && theta <= 1e12))
    m.wrong(base, "is ", theta, "; expected a number from 1 to 1e12");
  if (const std::size_t turned = size_or(m, count, limits::width, head_width); turned != head_width)
    m.wrong(count, "is ", turned, ", which is not supported; expected the head's ", head_width);
  if (const std::string kind = m.maybe_text(scaling).value_or("none"); kind != "none")
    m.wrong(scaling, "is ", in_quotes(kind), ", which is not supported; expected none");
  for (const char* factor :
       {"llama.rope.scale_linear", "llama.rope.scaling.factor", "llama.rope.scaling.attn_factor"})
    if (const double value = m.maybe_real(factor).value_or(1); value != 1)
      m.wrong(factor, "is ", value, ", which is not supported; expected 1");
  return theta;
}

void read_heads(const gguf_metadata& m, const std::string& a, model_config& c) {
  const std::string heads = a + "attention.head_count", kv_heads = heads + "_kv",
                    key = a + "attention.key_length", value = a + "attention.value_length";
  c.heads = size(m, heads, limits::width);
  c.kv_heads = size_or(m, kv_heads, limits::width, c.heads);
  if (c.heads % c.kv_heads != 0)
    m.wrong(kv_heads, "is ", c.kv_heads, ", which does not divide the ", c.heads,
            " heads of the queries");
  if (const auto given = m.maybe_integer(key, 1, limits::width)) {
    c.head_width = static_cast<std::size_t>(*given);
  } else if (c.width % c.heads != 0) {
    m.wrong(heads, "is ", c.heads, ", which does not divide the width ", c.width);
  } else {
    c.head_width = c.width / c.heads;
  }
  if (const std::size_t v = size_or(m, value, limits::width, c.head_width); v != c.head_width)
    m.wrong(value, "is ", v, ", which is not supported; expected that of the keys, ", c.head_width);
}

/// What only a Llama has.
void read_llama(const gguf_metadata& m, model_config& c) {
  c.act = activation::silu;
  c.rms_norm = c.gated = true;
  if (c.head_width % 2 != 0)
    m.wrong("llama.attention.key_length", "is ", c.head_width,
            "; rotary positions need an even number");
  c.rope_theta = read_rotary(m, c.head_width);
  c.bias = m.file().find("blk.0.attn_q.bias") != nullptr;
  c.mlp_bias = m.file().find("blk.0.ffn_up.bias") != nullptr;
}

/// What only a GPT-2 has: one matrix for q, k and v.
void read_gpt2(const gguf_metadata& m, model_config& c) {
  c.act = activation::gelu_new;
  if (c.kv_heads != c.heads)
    m.wrong("gpt2.attention.head_count_kv", "is ", c.kv_heads, "; expected ", c.heads);
  if (c.head_width * c.heads != c.width)
    m.wrong("gpt2.attention.key_length", "is ", c.head_width, "; expected ", c.width, " / ",
            c.heads);
}

/// Rows of the embedding.
std::size_t read_vocabulary(const gguf_metadata& m, const std::string& a, std::size_t width) {
  const gguf_tensor& embedding = m.file().at("token_embd.weight");
  if (embedding.shape.size() != 2 || embedding.shape[0] < 1 || embedding.shape[0] > limits::tokens)
    reject({m.file().path()}, "tensor \"token_embd.weight\" is not a matrix of 1 to ",
           limits::tokens, " tokens");
  if (embedding.shape[1] != width)  // before a token is too large for what are no rows
    reject({m.file().path()}, "tensor \"token_embd.weight\" has shape ",
           shape_text(embedding.shape), ", expected [tokens, ", width, "]");
  const auto rows = static_cast<std::size_t>(embedding.shape[0]);
  const std::string key = a + "vocab_size";
  if (const std::size_t said = size_or(m, key, limits::tokens, rows); said != rows)
    m.wrong(key, "is ", said, ", but the embedding has ", rows, " tokens");
  return rows;
}

}  // namespace

model_config gguf_config(const gguf_file& file) {
  const gguf_metadata m(file);
  model_config c;
  c.family = read_family(m);
  const std::string a = std::string(name(c.family)) + ".";
  if (const std::string causal = a + "attention.causal"; !m.boolean(causal, true))
    m.wrong(causal, "is not supported; expected true");
  c.width = c.embed_width = size(m, a + "embedding_length", limits::width);
  c.layers = size(m, a + "block_count", limits::layers);
  c.ffn = size(m, a + "feed_forward_length", 4 * limits::width);
  c.positions = size(m, a + "context_length", limits::positions);
  read_heads(m, a, c);
  const bool llama = c.family == model_family::llama;
  llama ? read_llama(m, c) : read_gpt2(m, c);
  const std::string epsilon =
      a + (llama ? "attention.layer_norm_rms_epsilon" : "attention.layer_norm_epsilon");
  const double eps = m.real(epsilon);
  if (!(eps >= 0 && eps < 1)) m.wrong(epsilon, "is ", eps, "; expected 0 <= epsilon < 1");
  c.norm_eps = static_cast<float>(eps);
  c.vocab = read_vocabulary(m, a, c.width);
  c.tied_head = file.find("output.weight") == nullptr;
  c.bos = token_id(m, "tokenizer.ggml.bos_token_id", c.vocab);
  for (const char* key : {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
                          "tokenizer.ggml.eom_token_id"}) {
    const auto end = token_id(m, key, c.vocab);
    if (end && std::find(c.eos.begin(), c.eos.end(), *end) == c.eos.end()) c.eos.push_back(*end);
  }
  return c;
}

}  // namespace lab
