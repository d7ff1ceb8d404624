// The vocabularies of config.json. Defaults are those of the transformers library; sizes have
// none, because a guessed size only moves the error to a worse place.
#include <lab/io/config.hpp>
#include <lab/io/config_limits.hpp>
#include <lab/io/file.hpp>
#include <lab/io/gguf_config.hpp>
#include <lab/io/json.hpp>

#include <bit>

#include <array>
#include <cmath>
#include <utility>

namespace lab {
namespace {

constexpr std::uint64_t most_tokens = config_limits::tokens;
constexpr std::uint64_t most_width = config_limits::width;
constexpr std::uint64_t most_layers = config_limits::layers;
constexpr std::uint64_t most_positions = config_limits::positions;

std::size_t size(const json_object& config, std::string_view key, std::uint64_t high) {
  return static_cast<std::size_t>(config.integer(key, 1, high));
}

std::size_t size_or(const json_object& config, std::string_view key, std::uint64_t high,
                    std::size_t fallback) {
  return static_cast<std::size_t>(config.maybe_integer(key, 1, high).value_or(fallback));
}

/// Throws unless the vocabulary, whose size `whose` says, has the token.
void require_token(const json_object& config, std::string_view key, std::uint64_t id,
                   std::size_t vocab, std::string_view whose) {
  if (id >= vocab) config.wrong(key, "has token ", id, "; expected less than ", vocab, ", ", whose);
}

std::optional<std::uint32_t> token_id(const json_object& config, std::string_view key,
                                      std::size_t vocab, std::string_view whose) {
  const auto id = config.maybe_integer(key, 0, 0xFFFFFFFFu);
  if (!id) return std::nullopt;
  require_token(config, key, *id, vocab, whose);
  return static_cast<std::uint32_t>(*id);
}

/// A number, or a list of them.
std::vector<std::uint32_t> eos_ids(const json_object& config, std::size_t vocab,
                                   std::string_view whose) {
  constexpr const char* key = "eos_token_id";
  const json* found = config.find(key);
  if (found == nullptr) return {};
  std::vector<std::uint32_t> ids;
  if (!found->is_array()) {
    ids.push_back(*token_id(config, key, vocab, whose));
    return ids;
  }
  for (const json& item : *found) {
    if (!item.is_number_unsigned() || item.get<std::uint64_t>() > 0xFFFFFFFFu)
      config.wrong(key, "element ", ids.size(), " is not a token; expected a list of integers");
    require_token(config, key, item.get<std::uint64_t>(), vocab, whose);
    ids.push_back(item.get<std::uint32_t>());
  }
  return ids;
}

activation activation_of(const json_object& config, std::string_view key, activation fallback) {
  const auto text = config.maybe_text(key);
  if (!text) return fallback;
  if (*text == "gelu_new" || *text == "gelu_pytorch_tanh") return activation::gelu_new;
  if (*text == "gelu") return activation::gelu;
  if (*text == "relu") return activation::relu;
  if (*text == "silu" || *text == "swish") return activation::silu;
  config.wrong(key, "is ", in_quotes(*text),
               "; expected gelu_new, gelu_pytorch_tanh, gelu, relu or silu");
}

float epsilon(const json_object& config, std::string_view key, double fallback) {
  const double eps = config.real(key, fallback);
  if (!(eps >= 0 && eps < 1)) config.wrong(key, "expected 0 <= epsilon < 1");
  return static_cast<float>(eps);
}

void refuse_if(const json_object& config, std::string_view key, bool bad, const char* why) {
  if (bad) config.wrong(key, why);
}

model_config read_gpt2(const json_object& config) {
  model_config c;
  c.family = model_family::gpt2;
  c.width = size(config, "n_embd", most_width);
  c.layers = size(config, "n_layer", most_layers);
  c.heads = size(config, "n_head", most_width);
  c.ffn = size_or(config, "n_inner", 4 * most_width, 4 * c.width);
  c.positions = config.find("n_positions") == nullptr && config.find("n_ctx") != nullptr
                    ? size(config, "n_ctx", most_positions)
                    : size(config, "n_positions", most_positions);
  c.embed_width = c.width;
  c.act = activation_of(config, "activation_function", activation::gelu_new);
  c.norm_eps = epsilon(config, "layer_norm_epsilon", 1e-5);
  c.scale_attention = config.boolean("scale_attn_weights", true);
  c.scale_by_inverse_layer = config.boolean("scale_attn_by_inverse_layer_idx", false);
  refuse_if(config, "add_cross_attention", config.boolean("add_cross_attention", false),
            "cross-attention is not supported");
  return c;
}

model_config read_opt(const json_object& config) {
  model_config c;
  c.family = model_family::opt;
  c.width = size(config, "hidden_size", most_width);
  c.layers = size(config, "num_hidden_layers", most_layers);
  c.heads = size(config, "num_attention_heads", most_width);
  c.ffn = size(config, "ffn_dim", 4 * most_width);
  c.positions = size(config, "max_position_embeddings", most_positions);
  c.position_offset = 2;
  c.embed_width = size_or(config, "word_embed_proj_dim", most_width, c.width);
  c.act = activation_of(config, "activation_function", activation::relu);
  c.pre_norm = config.boolean("do_layer_norm_before", true);
  c.final_norm = c.pre_norm && !config.boolean("_remove_final_layer_norm", false);
  c.bias = c.mlp_bias = config.boolean("enable_bias", true);
  c.norm_affine = config.boolean("layer_norm_elementwise_affine", true);
  return c;
}

/// "rope_theta", or since transformers 5 {"rope_parameters": {"rope_theta", "rope_type"}}. The scaled
/// kinds (linear, dynamic, yarn, llama3, ...) have other angles.
double read_rotary(const json_object& config) {
  double theta = config.real("rope_theta", 10000);
  const auto read = [&](const json_object& from) {
    for (const char* key : {"rope_type", "type"}) {
      const auto kind = from.maybe_text(key);
      if (kind && *kind != "default") {
        from.wrong(key, "is ", in_quotes(*kind), ", which is not supported; expected default");
      }
    }
    if (from.real("partial_rotary_factor", 1) != 1) {
      from.wrong("partial_rotary_factor", "is not supported; expected 1");
    }
    theta = from.real("rope_theta", theta);
  };
  refuse_if(config, "rope_interleaved", config.boolean("rope_interleaved", false),
            "is not supported; expected false");
  read(config);
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    if (config.find(key) != nullptr) read(config.object(key));
  }
  if (!(theta >= 1 && theta <= 1e12)) {
    config.wrong("rope_theta", "is ", theta, "; expected a number from 1 to 1e12");
  }
  return theta;
}

model_config read_llama(const json_object& config) {
  model_config c;
  c.family = model_family::llama;
  c.width = size(config, "hidden_size", most_width);
  c.layers = size(config, "num_hidden_layers", most_layers);
  c.heads = size(config, "num_attention_heads", most_width);
  c.kv_heads = size_or(config, "num_key_value_heads", most_width, c.heads);
  if (c.heads % c.kv_heads != 0) {
    config.wrong("num_key_value_heads", "is ", c.kv_heads, ", which does not divide the ", c.heads,
                 " heads of the queries");
  }
  if (const auto d = config.maybe_integer("head_dim", 1, most_width))
    c.head_width = static_cast<std::size_t>(*d);
  c.ffn = size(config, "intermediate_size", 4 * most_width);
  c.positions = size(config, "max_position_embeddings", most_positions);
  c.embed_width = c.width;
  c.act = activation_of(config, "hidden_act", activation::silu);
  c.norm_eps = epsilon(config, "rms_norm_eps", 1e-6);
  c.rms_norm = c.gated = true;
  c.bias = config.boolean("attention_bias", false);
  c.mlp_bias = config.boolean("mlp_bias", false);
  c.rope_theta = read_rotary(config);
  return c;
}

constexpr std::array<std::pair<std::string_view, model_family>, 6> families{{
    {"gpt2", model_family::gpt2},
    {"opt", model_family::opt},
    {"llama", model_family::llama},
    {"GPT2LMHeadModel", model_family::gpt2},
    {"OPTForCausalLM", model_family::opt},
    {"LlamaForCausalLM", model_family::llama},
}};

model_config read_family(const json_object& config, model_family family) {
  switch (family) {
    case model_family::gpt2:
      return read_gpt2(config);
    case model_family::opt:
      return read_opt(config);
    case model_family::llama:
      break;
  }
  return read_llama(config);
}

/// From "model_type", else from the first of "architectures".
model_family family_of(const json_object& config) {
  std::string_view key = "model_type";
  auto text = config.maybe_text(key);
  if (!text) {
    key = "architectures";
    const json* list = config.find(key);
    if (list == nullptr) config.wrong("model_type", "is missing; expected gpt2, opt or llama");
    if (!list->is_array() || list->empty() || !list->front().is_string())
      config.wrong(key, "expected a list of names");
    text = list->front().get<std::string>();
  }
  for (const auto& [known, family] : families)
    if (*text == known) return family;
  config.wrong(key, "the architecture ", in_quotes(*text),
               " is not supported; supported are gpt2 (GPT2LMHeadModel), opt (OPTForCausalLM) and "
               "llama (LlamaForCausalLM)");
}

}  // namespace

std::string_view name(model_family family) noexcept {
  constexpr std::string_view names[] = {"gpt2", "opt", "llama"};
  return names[static_cast<std::size_t>(family)];
}

std::string_view name(activation act) noexcept {
  constexpr std::string_view names[] = {"gelu_new", "gelu", "relu", "silu"};
  return names[static_cast<std::size_t>(act)];
}

model_config parse_config(std::string_view text, const std::string& file) {
  const json tree = parse_json(text, file);
  const json_object config(tree, file);
  const model_family family = family_of(config);
  refuse_if(config, "quantization_config", config.find("quantization_config") != nullptr,
            "the checkpoint is quantized already; expected a float checkpoint");
  refuse_if(config, "is_encoder_decoder", config.boolean("is_encoder_decoder", false),
            "encoder-decoder models are not supported");
  model_config c = read_family(config, family);
  c.vocab = size(config, "vocab_size", most_tokens);
  c.tied_head = config.boolean("tie_word_embeddings", family != model_family::llama);
  c.bos = token_id(config, "bos_token_id", c.vocab, "vocab_size");
  c.eos = eos_ids(config, c.vocab, "vocab_size");
  if (c.head_width == 0 && c.width % c.heads != 0)
    config.wrong(family == model_family::gpt2 ? "n_head" : "num_attention_heads", "is ", c.heads,
                 ", which does not divide the width ", c.width);
  if (c.head_width == 0) c.head_width = c.width / c.heads;
  if (c.kv_heads == 0) c.kv_heads = c.heads;
  if (c.rotary() && c.head_width % 2 != 0)
    config.wrong("head_dim", "is ", c.head_width, "; rotary positions need an even number");
  return c;
}

std::string identity(const model_config& c) {
  std::string text(name(c.family));
  for (const std::size_t n : {c.vocab, c.width, c.layers, c.heads, c.kv_heads, c.head_width, c.ffn,
                              c.positions, c.embed_width, c.position_offset}) {
    text += ' ' + std::to_string(n);
  }
  text += ' ' + std::string(name(c.act)) + ' ' +
          std::to_string(std::bit_cast<std::uint32_t>(c.norm_eps)) + ' ' +
          std::to_string(std::bit_cast<std::uint64_t>(c.rope_theta)) + ' ';
  for (const bool flag : {c.rms_norm, c.pre_norm, c.final_norm, c.tied_head, c.bias, c.mlp_bias,
                          c.gated, c.norm_affine, c.scale_attention, c.scale_by_inverse_layer}) {
    text += flag ? '1' : '0';
  }
  return text;
}

void read_generation_config(const std::filesystem::path& folder, model_config& c) {
  const std::filesystem::path file = folder / "generation_config.json";
  std::error_code problem;
  if (!std::filesystem::exists(file, problem)) {
    if (problem) reject({file.string()}, "cannot be opened: ", problem.message());
    return;
  }
  const json tree = parse_json(read_file(file, largest_config), file.string());
  const json_object config(tree, file.string());
  if (config.find("eos_token_id") == nullptr) return;
  c.eos = eos_ids(config, c.vocab, "the vocabulary of config.json");
}

model_config load_config(const std::filesystem::path& path) {
  if (is_gguf(path)) return gguf_config(gguf_file(path));
  std::error_code ignored;
  const bool folder = std::filesystem::is_directory(path, ignored);
  const auto file = folder ? path / "config.json" : path;
  model_config c = parse_config(read_file(file, largest_config), file.string());
  if (folder) read_generation_config(path, c);
  return c;
}

}  // namespace lab
