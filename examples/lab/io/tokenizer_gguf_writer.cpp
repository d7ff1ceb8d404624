// Tokens go back into the byte alphabet, or get their U+2581 back; added ones are plain text of
// type control. A token of SentencePiece has its rank as score: the place of its merges among those
// of all tokens.
#include <lab/io/gguf_writer.hpp>
#include <lab/io/pre_tokens.hpp>
#include <lab/io/tokenizer_gguf.hpp>
#include <lab/io/tokenizer_scores.hpp>
#include <lab/io/tokenizer_sentencepiece.hpp>

#include <algorithm>

namespace lab {
namespace {

void require_expressible(const tokenizer_data& data, std::size_t rows) {
  const auto refuse = [&](const auto&... why) {
    reject({data.file}, "cannot be written as GGUF: ", why...);
  };
  if (data.tokens.size() > rows)
    refuse(data.tokens.size(), " tokens, but the embedding has ", rows);
  if (data.ignore_merges) refuse("ignore_merges has no key of its own there");
  if (data.trims_around_added) refuse("an added token has lstrip, rstrip or single_word");
  if (data.add_prefix_space && data.digits_alone)
    refuse("a prefix space in front of single digits has no key there");
  for (std::size_t b = 0; b < 256 && !data.sentencepiece; ++b) {
    const std::uint32_t id = data.byte_ids[b];
    if (id != tokenizer_data::no_token &&
        data.tokens[id].bytes != std::string(1, static_cast<char>(b)))
      refuse("byte ", b, " becomes the unknown token");
  }
}

/// Text and type of a token.
std::pair<std::string, gguf_token::type> written(const tokenizer_data& data, std::uint32_t id) {
  if (id >= data.tokens.size() || !data.tokens[id].present)
    return {"[PAD" + std::to_string(id) + "]", gguf_token::unused};
  const std::string& bytes = data.tokens[id].bytes;
  if (const auto added = data.added.find(bytes); added != data.added.end() && added->second == id)
    return {bytes, gguf_token::control};
  const auto found = data.ids.find(bytes);
  const bool reachable = found != data.ids.end() && found->second == id;
  if (data.sentencepiece && !reachable)
    return {byte_token(static_cast<unsigned char>(bytes[0])), gguf_token::byte};
  if (data.sentencepiece) return {sentencepiece_text(bytes), gguf_token::normal};
  return {reachable ? written_token(bytes) : bytes, gguf_token::normal};
}

/// Scores that give the merges again, but for the order of merges that end in the same token.
std::vector<float> scores_of(const tokenizer_data& data, std::span<const std::string> tokens,
                             std::span<const std::int32_t> types) {
  std::vector<float> scores(tokens.size(), -static_cast<float>(data.merges.size()));
  float next = 0;
  for (std::size_t i = 0; i < data.merges.size(); ++i) {
    const std::uint32_t result = data.merges[i].result;
    if (i == 0 || result != data.merges[i - 1].result) scores[result] = next--;
  }
  std::vector<scored_token> normal;
  for (std::size_t i = 0; i < tokens.size(); ++i)
    if (types[i] == gguf_token::normal) normal.push_back({tokens[i], scores[i]});
  const auto again = merges_by_score(normal, data.file);
  const bool same = std::equal(again.begin(), again.end(), data.merges.begin(), data.merges.end(),
                               [&](const auto& pair, const merge_rule& rule) {
                                 return pair.first + pair.second == tokens[rule.result];
                               });
  if (!same) reject({data.file}, "cannot be written as GGUF: no scores give its merges");
  return scores;
}

gguf_entries entries_of_merges(const tokenizer_data& data, std::span<const std::string> tokens,
                               std::span<const std::int32_t> types) {
  if (data.sentencepiece)
    return {{"tokenizer.ggml.scores", gguf_f32s(scores_of(data, tokens, types))}};
  std::vector<std::string> merges;
  for (const merge_rule& m : data.merges) merges.push_back(tokens[m.left] + " " + tokens[m.right]);
  return {{"tokenizer.ggml.merges", gguf_texts(std::move(merges))}};
}

}  // namespace

gguf_entries gguf_tokenizer_entries(const tokenizer_data& data, std::size_t rows) {
  require_expressible(data, rows);
  std::vector<std::string> tokens;
  std::vector<std::int32_t> types;
  for (std::uint32_t id = 0; id < rows; ++id) {
    auto [text, type] = written(data, id);
    tokens.push_back(std::move(text));
    types.push_back(type);
  }
  gguf_entries merges = entries_of_merges(data, tokens, types);
  const char* pre = data.sentencepiece ? "default" : data.digits_alone ? "smollm" : "gpt-2";
  gguf_entries entries{{"tokenizer.ggml.model", gguf_text(data.sentencepiece ? "llama" : "gpt2")},
                       {"tokenizer.ggml.pre", gguf_text(pre)},
                       {"tokenizer.ggml.tokens", gguf_texts(std::move(tokens))},
                       {"tokenizer.ggml.token_type", gguf_i32s(types)}};
  std::move(merges.begin(), merges.end(), std::back_inserter(entries));
  entries.emplace_back("tokenizer.ggml.add_bos_token", gguf_boolean(data.bos.has_value()));
  entries.emplace_back("tokenizer.ggml.add_space_prefix",
                       gguf_boolean(data.sentencepiece || data.add_prefix_space));
  return entries;
}

}  // namespace lab
