// Tokens are kept by the bytes that they stand for, a space for U+2581.
#include <lab/io/tokenizer_sentencepiece.hpp>

#include <array>
#include <cstdio>
#include <set>

namespace lab {
namespace {

constexpr std::string_view space = "\xE2\x96\x81";

json replacement(std::string_view from, std::string_view to) {
  return {{"type", "Replace"}, {"pattern", {{"String", from}}}, {"content", to}};
}

void require_same(const json_object& root, const char* key, const json& expected) {
  const json* found = root.find(key);
  if (found == nullptr || *found != expected)
    root.wrong(key, "is not supported with byte_fallback; expected that of Llama, ",
               expected.dump());
}

std::string with_spaces(std::string_view written) {
  std::string bytes;
  for (std::size_t at = 0; at < written.size();) {
    const bool is_space = written.substr(at, space.size()) == space;
    bytes += is_space ? ' ' : written[at];
    at += is_space ? space.size() : 1;
  }
  return bytes;
}

}  // namespace

bool is_sentencepiece(const json_object& model) {
  return model.boolean("byte_fallback", false);
}

void read_sentencepiece(tokenizer_data& data, const json_object& root, const json_object& model,
                        const vocabulary& written) {
  const json prepend = {{"type", "Prepend"}, {"prepend", space}};
  require_same(root, "normalizer",
               {{"type", "Sequence"}, {"normalizers", {prepend, replacement(" ", space)}}});
  if (root.find("pre_tokenizer") != nullptr)
    root.wrong("pre_tokenizer", "is not supported with byte_fallback; expected null");
  const json strip = {{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}};
  require_same(
      root, "decoder",
      {{"type", "Sequence"},
       {"decoders",
        {replacement(space, " "), {{"type", "ByteFallback"}}, {{"type", "Fuse"}}, strip}}});
  data.merges = read_merges(model, written);
  finish_sentencepiece(data, written,
                       [&](const std::string& complaint) { model.wrong("vocab", complaint); });
}

std::string sentencepiece_text(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) c == ' ' ? text += space : text += c;
  return text;
}

std::string byte_token(unsigned char byte) {
  std::array<char, 8> text{};
  std::snprintf(text.data(), text.size(), "<0x%02X>", static_cast<unsigned>(byte));
  return text.data();
}

void finish_sentencepiece(tokenizer_data& data, const vocabulary& written,
                          const std::function<void(const std::string&)>& wrong) {
  data.sentencepiece = true;
  data.tokens.resize(2 * (written.size() + data.added.size()) + 1024);
  const auto put = [&](std::uint32_t id, const std::string& label, std::string bytes) {
    if (id >= data.tokens.size() || data.tokens[id].present)
      wrong(in_quotes(label) + " has id " + std::to_string(id) +
            ", which is too large or has been given");
    data.tokens[id] = {std::move(bytes), true};
  };
  std::set<std::string_view> given;
  for (std::size_t b = 0; b < data.byte_ids.size(); ++b) {
    const auto byte = static_cast<unsigned char>(b);
    const auto found = written.find(byte_token(byte));
    if (found == written.end()) wrong("has no token " + byte_token(byte));
    data.byte_ids[b] = found->second;
    given.insert(found->first);
    put(found->second, found->first, std::string(1, static_cast<char>(byte)));
  }
  for (const auto& [text, id] : data.added) {
    put(id, text, text);
    if (const auto same = written.find(text); same != written.end() && same->second == id)
      given.insert(same->first);
  }
  for (const auto& [text, id] : written) {
    if (given.contains(text)) continue;
    if (text.find(' ') != std::string::npos)
      wrong(in_quotes(text) + " has a space; expected U+2581 in its place");
    data.ids.emplace(with_spaces(text), id);
    put(id, text, with_spaces(text));
  }
  while (!data.tokens.empty() && !data.tokens.back().present) data.tokens.pop_back();
}

}  // namespace lab
