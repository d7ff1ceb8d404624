// Ids from strangers: none is far beyond the number of tokens, none is given twice.
#include <lab/io/pre_tokens.hpp>
#include <lab/io/tokenizer_vocabulary.hpp>

#include <utility>

namespace lab {
namespace {

void put(tokenizer_data& data, std::uint32_t id, std::string bytes, const std::string& label) {
  if (id >= data.tokens.size())
    reject({data.file}, label, " has id ", id, "; expected at most ", data.tokens.size() - 1,
           " in a vocabulary of this size");
  if (data.tokens[id].present && data.tokens[id].bytes != bytes)
    reject({data.file}, label, " has id ", id, ", which ", in_quotes(data.tokens[id].bytes),
           " has already");
  data.tokens[id] = {std::move(bytes), true};
}

/// Control characters, and bytes that begin characters from U+40000 on or none.
bool is_rare(std::size_t b) {
  const bool control = (b < 32 && b != '\t' && b != '\n' && b != '\r') || b == 127;
  return control || b == 0xC0 || b == 0xC1 || b > 0xF0;
}

}  // namespace

void finish_vocabulary(tokenizer_data& data, const vocabulary& written, missing_bytes missing,
                       const std::optional<std::string>& unknown) {
  // Ids need not be dense, but a table must not be much larger than the file that asks for it.
  data.tokens.resize(2 * (written.size() + data.added.size()) + 1024);
  for (const auto& [token, id] : written) {
    auto bytes = token_bytes(token);
    if (bytes) data.ids.emplace(*bytes, id);
    if (!bytes) bytes = token;  // not reachable from text; decodes to itself
    put(data, id, *std::move(bytes), in_quotes(token));
  }
  for (const auto& [text, id] : data.added) put(data, id, text, in_quotes(text));
  while (!data.tokens.empty() && !data.tokens.back().present) data.tokens.pop_back();

  for (std::size_t b = 0; b < 256; ++b) {
    const std::string byte(1, static_cast<char>(b));
    auto found = data.ids.find(byte);
    if (found == data.ids.end() && missing == missing_bytes::unknown && unknown)
      found = data.ids.find(token_bytes(*unknown).value_or(""));
    if (found == data.ids.end() && (missing != missing_bytes::dropped || !is_rare(b)))
      reject({data.file}, "the vocabulary has no token for the byte ", b, " (written ",
             in_quotes(written_token(byte)), ")");
    data.byte_ids[b] = found == data.ids.end() ? tokenizer_data::no_token : found->second;
  }
}

void add_token(tokenizer_data& data, const std::string& text, std::uint32_t id) {
  if (text.empty()) reject({data.file}, "added token ", id, " is empty");
  const auto [found, is_new] = data.added.emplace(text, id);
  if (!is_new && found->second != id)
    reject({data.file}, "the added token ", in_quotes(text), " has the ids ", found->second,
           " and ", id);
}

}  // namespace lab
