// Tokens are in the byte alphabet of pre_tokens.hpp, those of SentencePiece have U+2581 for a
// space; those of type control and user-defined are added tokens, as plain text, and so is
// SentencePiece's unknown one.
#include <lab/io/gguf_metadata.hpp>
#include <lab/io/tokenizer_gguf.hpp>
#include <lab/io/tokenizer_scores.hpp>
#include <lab/io/tokenizer_sentencepiece.hpp>
#include <lab/io/tokenizer_vocabulary.hpp>

#include <cmath>

namespace lab {
namespace {

constexpr std::string_view tokens_key = "tokenizer.ggml.tokens",
                           types_key = "tokenizer.ggml.token_type", pre_key = "tokenizer.ggml.pre",
                           bos_key = "tokenizer.ggml.bos_token_id";

std::vector<std::uint64_t> read_types(const gguf_metadata& m, std::size_t tokens) {
  std::vector<std::uint64_t> types(tokens, gguf_token::normal);
  const gguf_value* list = m.maybe_integers(types_key);
  if (list == nullptr) return types;
  if (list->size() != tokens)
    m.wrong(types_key, "has ", list->size(), " elements; expected one for each of ", tokens,
            " tokens");
  for (std::size_t i = 0; i < tokens; ++i) {
    types[i] = unsigned_of((*list)[i]).value_or(0);
    if (types[i] < gguf_token::normal || types[i] > gguf_token::last)
      m.wrong(types_key, "element ", i, " is not a type; expected 1 to ", gguf_token::last);
  }
  return types;
}

/// Those that merges and bytes can reach; the others go to data.added.
vocabulary read_tokens(const gguf_metadata& m, std::span<const std::string> tokens,
                       std::span<const std::uint64_t> types, bool sentencepiece,
                       tokenizer_data& data) {
  vocabulary written;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const auto id = static_cast<std::uint32_t>(i);
    if (types[i] == gguf_token::control || types[i] == gguf_token::user_defined ||
        (sentencepiece && types[i] == gguf_token::unknown)) {
      add_token(data, tokens[i], id);
    } else if (const auto [at, is_new] = written.emplace(tokens[i], id); !is_new) {
      m.wrong(tokens_key, "element ", i, " is ", in_quotes(tokens[i]), ", as is element ",
              at->second);
    }
  }
  return written;
}

void read_pre(const gguf_metadata& m, tokenizer_data& data) {
  const std::string pre = m.text(pre_key);
  data.digits_alone = pre == "smollm";
  if (!data.digits_alone && pre != "gpt-2")
    m.wrong(pre_key, "is ", in_quotes(pre), ", which is not supported; expected gpt-2 or smollm");
  constexpr std::string_view prefix = "tokenizer.ggml.add_space_prefix";
  data.add_prefix_space = m.boolean(prefix, false);
  if (data.add_prefix_space && data.digits_alone)
    m.wrong(prefix, "is not supported with smollm; expected false");
}

void read_byte_level(const gguf_metadata& m, tokenizer_data& data, const vocabulary& written) {
  read_pre(m, data);
  const std::vector<std::string> merges = m.texts("tokenizer.ggml.merges");
  data.merges = read_merges(merges, written, data.file);
  finish_vocabulary(data, written, missing_bytes::dropped, std::nullopt);
}

/// The tokens that neighbours can become. Those of single bytes are not among them.
std::vector<scored_token> read_scores(const gguf_metadata& m, std::span<const std::string> tokens,
                                      std::span<const std::uint64_t> types) {
  constexpr std::string_view key = "tokenizer.ggml.scores";
  const std::vector<float> scores = m.reals(key);
  if (scores.size() != tokens.size())
    m.wrong(key, "has ", scores.size(), " elements; expected one for each of ", tokens.size(),
            " tokens");
  std::vector<scored_token> found;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (std::isnan(scores[i])) m.wrong(key, "element ", i, " is nan");
    if (types[i] != gguf_token::normal) continue;
    if (tokens[i].size() > longest_scored_token)
      m.wrong(tokens_key, "element ", i, " has ", tokens[i].size(), " bytes; expected at most ",
              longest_scored_token);
    found.push_back({tokens[i], scores[i]});
  }
  return found;
}

void read_sentencepiece(const gguf_metadata& m, tokenizer_data& data, const vocabulary& written,
                        std::span<const std::string> tokens, std::span<const std::uint64_t> types) {
  constexpr std::string_view prefix = "tokenizer.ggml.add_space_prefix",
                             squeeze = "tokenizer.ggml.remove_extra_whitespaces";
  if (!m.boolean(prefix, true)) m.wrong(prefix, "is not supported with llama; expected true");
  if (m.boolean(squeeze, false)) m.wrong(squeeze, "is not supported; expected false");
  const auto id = [&](const std::string& text) { return written.find(text)->second; };
  for (const auto& [left, right] : merges_by_score(read_scores(m, tokens, types), data.file))
    data.merges.push_back({id(left), id(right), id(left + right)});
  finish_sentencepiece(data, written,
                       [&](const std::string& complaint) { m.wrong(tokens_key, complaint); });
}

}  // namespace

tokenizer_data gguf_tokenizer(const gguf_file& file) {
  const gguf_metadata m(file);
  constexpr std::string_view model = "tokenizer.ggml.model";
  const std::string kind = m.text(model);
  const bool sentencepiece = kind == "llama";
  if (!sentencepiece && kind != "gpt2")
    m.wrong(model, "is ", in_quotes(kind), ", which is not supported; expected gpt2 or llama");
  tokenizer_data data;
  data.file = file.path();
  const std::vector<std::string> tokens = m.texts(tokens_key);
  if (tokens.size() > largest_id)
    m.wrong(tokens_key, "has ", tokens.size(), " elements; expected at most ", largest_id);
  const std::vector<std::uint64_t> types = read_types(m, tokens.size());
  const vocabulary written = read_tokens(m, tokens, types, sentencepiece, data);
  if (sentencepiece) {
    read_sentencepiece(m, data, written, tokens, types);
  } else {
    read_byte_level(m, data, written);
  }
  for (const char* key : {"tokenizer.ggml.add_eos_token", "tokenizer.ggml.add_sep_token"}) {
    if (m.boolean(key, false)) m.wrong(key, "is not supported; expected false");
  }
  if (m.boolean("tokenizer.ggml.add_bos_token", sentencepiece)) {  // llama.cpp's defaults
    if (data.tokens.empty()) m.wrong(tokens_key, "is empty");
    data.bos = static_cast<std::uint32_t>(m.integer(bos_key, 0, data.tokens.size() - 1));
  }
  return data;
}

}  // namespace lab
