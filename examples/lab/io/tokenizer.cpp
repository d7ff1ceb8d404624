// Encoding: split off special tokens if asked, cut into pre-tokens, merge each. Most pre-tokens of
// a text have occurred in it before; their ids are copied from there.
#include <lab/io/pre_tokens.hpp>
#include <lab/io/tokenizer.hpp>
#include <lab/io/tokenizer_files.hpp>
#include <lab/io/unicode.hpp>

#include <algorithm>
#include <utility>

namespace lab {

struct tokenizer::state {
  tokenizer_data data;
  merge_table merges;
};

namespace {

/// Where a short pre-token has been encoded before: a direct-mapped table, so that no text can make
/// a look-up slow.
class memory {
 public:
  struct slot {
    std::string_view text;
    std::size_t first = 0;  // of its ids in the result
    std::size_t count = 0;
  };
  slot& of(std::string_view text) {
    std::uint64_t hash = 0xCBF29CE484222325;  // FNV-1a
    for (char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3;
    return slots_[(hash ^ (hash >> 32)) % slots_.size()];
  }
  static constexpr std::size_t longest = 64;

 private:
  std::vector<slot> slots_ = std::vector<slot>(std::size_t{1} << 15);
};

class encoder {
 public:
  encoder(const tokenizer_data& data, const merge_table& merges, std::vector<std::uint32_t>& out)
      : data_(data), merges_(merges), out_(out) {}

  /// `text` outlives the encoder.
  void add_text(std::string_view text, const std::function<void(std::size_t)>& report) {
    if (data_.sentencepiece) return add_sentence(text);
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = data_.digits_alone ? number_cut(text, at) : text.size();
      add_piece(text.substr(at, end - at), report);
      at = end;
    }
  }

 private:
  void add_piece(std::string_view text, const std::function<void(std::size_t)>& report) {
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = pre_token_end(text, at);
      add_pre_token(text.substr(at, end - at));
      done_ += end - at;
      at = end;
      if (report && done_ - reported_ >= std::size_t{1} << 16) report(reported_ = done_);
    }
  }
  /// The whole text as one piece: a token or bytes for every character, then merges.
  void add_sentence(std::string_view text) {
    symbols_.clear();
    for (std::size_t at = 0; at < text.size();) {
      const std::string_view character = text.substr(at, unicode::decode(text, at).size);
      const auto found = data_.ids.find(character == "\xE2\x96\x81" ? " " : character);
      if (found != data_.ids.end()) {
        symbols_.push_back(found->second);
      } else {
        for (char c : character) symbols_.push_back(data_.byte_ids[static_cast<unsigned char>(c)]);
      }
      at += character.size();
    }
    merges_.merge(symbols_);
    out_.insert(out_.end(), symbols_.begin(), symbols_.end());
  }
  void add_pre_token(std::string_view text) {
    if (text.size() > memory::longest) return add_new(text);
    auto& slot = memory_.of(text);
    if (slot.count == 0 || slot.text != text) {
      const std::size_t first = out_.size();
      add_new(text);
      slot = {text, first, out_.size() - first};
      return;
    }
    for (std::size_t i = 0; i < slot.count; ++i) {
      const std::uint32_t id = out_[slot.first + i];
      out_.push_back(id);
    }
  }

  void add_new(std::string_view text) {
    if (data_.ignore_merges) {
      if (const auto whole = data_.ids.find(text); whole != data_.ids.end()) {
        out_.push_back(whole->second);
        return;
      }
    }
    symbols_.clear();
    for (char c : text) {
      const std::uint32_t id = data_.byte_ids[static_cast<unsigned char>(c)];
      if (id != tokenizer_data::no_token) symbols_.push_back(id);
    }
    merges_.merge(symbols_);
    out_.insert(out_.end(), symbols_.begin(), symbols_.end());
  }

  const tokenizer_data& data_;
  const merge_table& merges_;
  std::vector<std::uint32_t>& out_;
  std::vector<std::uint32_t> symbols_;
  memory memory_;
  std::size_t done_ = 0;
  std::size_t reported_ = 0;
};

/// The longest added token that text[at...] begins with; size 0 when there is none.
struct match {
  std::size_t size = 0;
  std::uint32_t id = 0;
};
match added_at(const tokenizer_data& data, std::string_view text, std::size_t at) {
  match best;
  const char first = text[at];
  for (auto it = data.added.lower_bound(std::string_view(&first, 1));
       it != data.added.end() && it->first[0] == first; ++it)
    if (it->first.size() > best.size && text.substr(at, it->first.size()) == it->first)
      best = {it->first.size(), it->second};
  return best;
}

constexpr std::size_t longest_text = 0x7FFFFFFF;  // ids and places are 32 bits wide

}  // namespace

tokenizer::tokenizer(const std::filesystem::path& path) : state_(std::make_unique<state>()) {
  state_->data = load_tokenizer(path);
  state_->merges = merge_table(state_->data.merges, state_->data.tokens.size());
}
tokenizer::tokenizer(tokenizer&&) noexcept = default;
tokenizer& tokenizer::operator=(tokenizer&&) noexcept = default;
tokenizer::~tokenizer() = default;

std::vector<std::uint32_t> tokenizer::encode(std::string_view text, special_tokens special,
                                             const std::function<void(std::size_t)>& report) const {
  const tokenizer_data& data = state_->data;
  if (text.size() > longest_text)
    throw input_error("a text of " + std::to_string(text.size()) +
                      " bytes; the tokenizer takes at most 2147483647 at once");
  const bool recognise = special == special_tokens::recognised;
  if (recognise && data.trims_around_added)
    reject({data.file}, "an added token with lstrip, rstrip or single_word is not supported");
  std::vector<std::pair<std::string, match>> pieces;  // text, then the added token behind it
  std::size_t begin = 0;
  for (std::size_t at = 0; recognise && at < text.size();) {
    const match found = added_at(data, text, at);
    if (found.size == 0) {
      ++at;
      continue;
    }
    pieces.emplace_back(text.substr(begin, at - begin), found);
    begin = at += found.size;
  }
  pieces.emplace_back(text.substr(begin), match{});

  std::vector<std::uint32_t> ids;
  encoder encode_piece(data, state_->merges, ids);
  for (auto& [piece, token] : pieces) {
    const bool spaced = data.sentencepiece || (data.add_prefix_space && piece[0] != ' ');
    if (!piece.empty() && spaced) piece.insert(0, 1, ' ');
    encode_piece.add_text(piece, report);
    if (token.size > 0) ids.push_back(token.id);
  }
  return ids;
}

std::string tokenizer::decode_bytes(std::span<const std::uint32_t> ids) const {
  const auto& tokens = state_->data.tokens;
  std::string result;
  for (const std::uint32_t id : ids) {
    if (id >= tokens.size() || !tokens[id].present)
      reject({state_->data.file}, "no token has the id ", id, "; the largest is ",
             tokens.size() - 1);
    result += tokens[id].bytes;
  }
  return result;
}

std::string tokenizer::decode(std::span<const std::uint32_t> ids) const {
  return unicode::replace_invalid(decode_bytes(ids));
}

std::size_t tokenizer::size() const noexcept {
  return state_->data.tokens.size();
}

std::optional<std::uint32_t> tokenizer::find(std::string_view token) const {
  for (const auto* table : {&state_->data.added, &state_->data.ids})
    if (const auto found = table->find(token); found != table->end()) return found->second;
  return std::nullopt;
}

bool tokenizer::begins_with_space() const noexcept {
  return state_->data.sentencepiece;
}

std::optional<std::uint32_t> tokenizer::leading_bos() const noexcept {
  return state_->data.bos;
}

}  // namespace lab
