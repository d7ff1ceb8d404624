// Tokens go back into the byte alphabet; added ones are plain text of type control.
#include <lab/io/gguf_writer.hpp>
#include <lab/io/pre_tokens.hpp>
#include <lab/io/tokenizer_gguf.hpp>

namespace lab {
namespace {

void require_expressible(const tokenizer_data& data, std::size_t rows) {
  const auto refuse = [&](const auto&... why) {
    reject({data.file}, "cannot be written as GGUF: ", why...);
  };
  if (data.sentencepiece) refuse("its scores are not in tokenizer.json");
  if (data.tokens.size() > rows)
    refuse(data.tokens.size(), " tokens, but the embedding has ", rows);
  if (data.ignore_merges) refuse("ignore_merges has no key of its own there");
  if (data.trims_around_added) refuse("an added token has lstrip, rstrip or single_word");
  if (data.add_prefix_space && data.digits_alone)
    refuse("a prefix space in front of single digits has no key there");
  for (std::size_t b = 0; b < 256; ++b) {
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
  return {reachable ? written_token(bytes) : bytes, gguf_token::normal};
}

}  // namespace

gguf_entries gguf_tokenizer_entries(const tokenizer_data& data, std::size_t rows) {
  require_expressible(data, rows);
  std::vector<std::string> tokens, merges;
  std::vector<std::int32_t> types;
  for (std::uint32_t id = 0; id < rows; ++id) {
    auto [text, type] = written(data, id);
    tokens.push_back(std::move(text));
    types.push_back(type);
  }
  for (const merge_rule& m : data.merges) merges.push_back(tokens[m.left] + " " + tokens[m.right]);
  return {{"tokenizer.ggml.model", gguf_text("gpt2")},
          {"tokenizer.ggml.pre", gguf_text(data.digits_alone ? "smollm" : "gpt-2")},
          {"tokenizer.ggml.tokens", gguf_texts(std::move(tokens))},
          {"tokenizer.ggml.token_type", gguf_i32s(types)},
          {"tokenizer.ggml.merges", gguf_texts(std::move(merges))},
          {"tokenizer.ggml.add_bos_token", gguf_boolean(data.bos.has_value())},
          {"tokenizer.ggml.add_space_prefix", gguf_boolean(data.add_prefix_space)}};
}

}  // namespace lab
