// tokenizer.json (HuggingFace tokenizers), vocab.json + merges.txt (OpenAI), and the small files
// that say whether a text begins with a BOS.
#include <lab/io/file.hpp>
#include <lab/io/json.hpp>
#include <lab/io/pre_tokens.hpp>
#include <lab/io/tokenizer_files.hpp>
#include <lab/io/tokenizer_gguf.hpp>
#include <lab/io/tokenizer_merges.hpp>
#include <lab/io/tokenizer_sentencepiece.hpp>
#include <lab/io/tokenizer_vocabulary.hpp>

#include <utility>

namespace lab {
namespace {

constexpr std::uint64_t largest_side_file = std::uint64_t{1} << 24;

std::optional<json> side_file(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return std::nullopt;
  return parse_json(read_file(path, largest_side_file), path.string());
}

vocabulary read_vocabulary(const json_object& object) {
  vocabulary result;
  for (const auto& [token, id] : object.value().items())
    result.emplace(token, static_cast<std::uint32_t>(object.integer(token, 0, largest_id)));
  return result;
}

/// "text" or {"content": "text", ...}
std::optional<std::string> token_text(const json_object& object, std::string_view key) {
  const json* found = object.find(key);
  if (found == nullptr) return std::nullopt;
  if (found->is_object()) return object.object(key).maybe_text("content");
  return object.maybe_text(key);
}

void require_type(const json_object& object, std::string_view type) {
  const auto found = object.maybe_text("type");
  if (found != type)
    object.wrong("type", "is ", in_quotes(found.value_or("")),
                 ", which is not supported; expected ", type);
}

/// The parts of tokenizer.json that would change ids and are not implemented.
void refuse_unknown_parts(const json_object& root, const json_object& model) {
  if (!is_sentencepiece(model)) {
    if (root.find("normalizer") != nullptr) root.wrong("normalizer", "is not supported");
    if (root.find("decoder") != nullptr) require_type(root.object("decoder"), "ByteLevel");
  }
  if (model.find("type") != nullptr) require_type(model, "BPE");
  if (model.real("dropout", 0) != 0) model.wrong("dropout", "is not supported");
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"})
    if (!model.maybe_text(key).value_or("").empty()) model.wrong(key, "is not supported");
}

void read_added_token(tokenizer_data& data, const json_object& token, std::uint64_t id) {
  const auto text = token.maybe_text("content");
  if (!text) token.wrong("content", "is missing");
  add_token(data, *text, static_cast<std::uint32_t>(id));
  for (const char* key : {"lstrip", "rstrip", "single_word"})
    if (token.boolean(key, false)) data.trims_around_added = true;
}

/// A template may put one special token in front of a text: that is the BOS.
void read_post_processor(tokenizer_data& data, const json_object& processor) {
  if (processor.maybe_text("type") == "ByteLevel") return;  // offsets only
  require_type(processor, "TemplateProcessing");
  const json& single = processor.at("single");
  if (!single.is_array() || single.empty() || single.size() > 2)
    processor.wrong("single", "expected at most one special token in front of the text");
  if (!single.back().is_object() || !single.back().contains("Sequence"))
    processor.wrong("single", "expected the text last");
  if (single.size() < 2) return;
  const json_object first(single.front(), processor.file(), processor.label("single[0]"));
  const auto text = first.object("SpecialToken").maybe_text("id");
  const auto found = data.added.find(text.value_or(""));
  if (found == data.added.end())
    processor.wrong("single", "the special token ", in_quotes(text.value_or("")),
                    " is not an added token");
  data.bos = found->second;
}

void read_byte_level(tokenizer_data& data, const json_object& pre) {
  require_type(pre, "ByteLevel");
  if (!pre.boolean("use_regex", true)) pre.wrong("use_regex", "false is not supported");
  (void)pre.at("add_prefix_space");  // has no default in the format
  data.add_prefix_space = pre.boolean("add_prefix_space", false);
}

/// ByteLevel, or a sequence of it alone or of Digits and it.
void read_pre_tokenizer(tokenizer_data& data, const json_object& pre) {
  if (pre.maybe_text("type") != "Sequence") return read_byte_level(data, pre);
  constexpr const char* key = "pretokenizers";
  const json& list = pre.at(key);
  if (!list.is_array() || list.empty() || list.size() > 2)
    pre.wrong(key, "expected ByteLevel, or Digits and ByteLevel");
  const auto step = [&](std::size_t i) {
    return json_object(list[i], pre.file(),
                       pre.label(std::string(key) + "[" + std::to_string(i) + "]"));
  };
  read_byte_level(data, step(list.size() - 1));
  if (list.size() < 2) return;
  const json_object digits = step(0);
  require_type(digits, "Digits");
  if (!digits.boolean("individual_digits", false))
    digits.wrong("individual_digits", "false is not supported");
  data.digits_alone = true;
}

void finish_byte_level(tokenizer_data& data, const json_object& model, const vocabulary& ids) {
  const auto unknown = model.maybe_text("unk_token");
  finish_vocabulary(data, ids,
                    !unknown                           ? missing_bytes::dropped
                    : model.boolean("fuse_unk", false) ? missing_bytes::refused
                                                       : missing_bytes::unknown,
                    unknown);
}

void read_tokenizer_json(tokenizer_data& data, const std::filesystem::path& path) {
  data.file = path.string();
  const json tree = parse_json(read_file(path, largest_tokenizer_file), data.file);
  const json_object root(tree, data.file);
  const json_object model = root.object("model");
  refuse_unknown_parts(root, model);
  data.ignore_merges = model.boolean("ignore_merges", false);
  const vocabulary ids = read_vocabulary(model.object("vocab"));
  if (const json* list = root.find("added_tokens")) {
    if (!list->is_array()) root.wrong("added_tokens", "expected a list");
    for (const json& item : *list) {
      const json_object token(item, data.file, "added_tokens");
      read_added_token(data, token, token.integer("id", 0, largest_id));
    }
  }
  if (is_sentencepiece(model)) {
    read_sentencepiece(data, root, model, ids);
  } else {
    read_pre_tokenizer(data, root.object("pre_tokenizer"));
    data.merges = read_merges(model, ids);
    finish_byte_level(data, model, ids);
  }
  if (root.find("post_processor") != nullptr)
    read_post_processor(data, root.object("post_processor"));
}

void read_vocabulary_and_merges(tokenizer_data& data, const std::filesystem::path& folder,
                                const json_object* config) {
  data.file = (folder / "vocab.json").string();
  const json tree = parse_json(read_file(data.file, largest_tokenizer_file), data.file);
  const vocabulary ids = read_vocabulary(json_object(tree, data.file));
  data.merges = read_merges_file(folder / "merges.txt", ids);
  if (const auto extra = side_file(folder / "added_tokens.json"))
    for (const auto& [text, id] :
         read_vocabulary(json_object(*extra, (folder / "added_tokens.json").string())))
      add_token(data, text, id);
  const auto add_known = [&](const std::optional<std::string>& text) {
    if (!text) return;
    if (const auto found = ids.find(*text); found != ids.end())
      add_token(data, *text, found->second);
  };
  add_known("<|endoftext|>");
  if (config != nullptr) {
    for (const char* key : {"bos_token", "eos_token", "unk_token", "pad_token"})
      add_known(token_text(*config, key));
    data.add_prefix_space = config->boolean("add_prefix_space", false);
  }
  finish_vocabulary(data, ids, missing_bytes::unknown,
                    config == nullptr ? std::nullopt : token_text(*config, "unk_token"));
}

/// Whether and with which id a text begins: add_bos_token where it is said, else what a template of
/// tokenizer.json said, else the rule that OPT has one (its own files leave it to the code).
void find_bos(tokenizer_data& data, const std::filesystem::path& folder,
              const json_object* config) {
  const auto model_file = side_file(folder / "config.json");
  std::optional<json_object> model;
  if (model_file) model.emplace(*model_file, (folder / "config.json").string());
  const bool is_opt = model && model->maybe_text("model_type") == "opt";
  const bool by_default = data.bos || is_opt;
  if (!(config == nullptr ? by_default : config->boolean("add_bos_token", by_default))) {
    data.bos.reset();
    return;
  }
  std::optional<std::string> text;
  if (config != nullptr) text = token_text(*config, "bos_token");
  if (!text)
    if (const auto map = side_file(folder / "special_tokens_map.json"))
      text =
          token_text(json_object(*map, (folder / "special_tokens_map.json").string()), "bos_token");
  if (text) {
    const auto special = data.added.find(*text);
    const auto plain = data.ids.find(token_bytes(*text).value_or(""));
    if (special == data.added.end() && plain == data.ids.end())
      reject({data.file}, "the BOS ", in_quotes(*text), " is not in the vocabulary");
    data.bos = special != data.added.end() ? special->second : plain->second;
  } else if (!data.bos && model) {
    if (const auto id = model->maybe_integer("bos_token_id", 0, largest_id))
      data.bos = static_cast<std::uint32_t>(*id);
  }
  if (!data.bos || *data.bos >= data.tokens.size() || !data.tokens[*data.bos].present)
    reject({data.file}, "a text begins with a BOS, but no file names a token for it");
}

}  // namespace

bool has_tokenizer(const std::filesystem::path& folder) {
  return is_gguf(folder) || std::filesystem::exists(folder / "tokenizer.json") ||
         std::filesystem::exists(folder / "vocab.json");
}

tokenizer_data load_tokenizer(const std::filesystem::path& folder) {
  if (is_gguf(folder)) return gguf_tokenizer(gguf_file(folder));
  std::error_code ignored;
  if (!std::filesystem::is_directory(folder, ignored))
    reject({folder.string()},
           "is not a folder; expected one with tokenizer.json, or vocab.json "
           "and merges.txt");
  const auto config_path = folder / "tokenizer_config.json";
  const auto config_tree = side_file(config_path);
  std::optional<json_object> config;
  if (config_tree) config.emplace(*config_tree, config_path.string());
  const json_object* side = config ? &*config : nullptr;

  tokenizer_data data;
  if (std::filesystem::exists(folder / "tokenizer.json", ignored)) {
    read_tokenizer_json(data, folder / "tokenizer.json");
    if (side != nullptr)
      data.add_prefix_space = side->boolean("add_prefix_space", data.add_prefix_space);
    if (data.digits_alone && data.add_prefix_space)  // a space before every piece between numbers
      reject({data.file}, "add_prefix_space behind Digits is not supported");
  } else if (std::filesystem::exists(folder / "vocab.json", ignored)) {
    read_vocabulary_and_merges(data, folder, side);
  } else {
    reject({folder.string()}, "holds neither tokenizer.json nor vocab.json and merges.txt");
  }
  find_bos(data, folder, side);
  return data;
}

}  // namespace lab
