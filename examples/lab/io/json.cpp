// The strict layer over the SAX parser of nlohmann::json, which by itself skips a byte order mark,
// ends at a zero byte and keeps the last of two equal keys.
#include <lab/io/json.hpp>

#include <iterator>
#include <set>
#include <utility>
#include <vector>

namespace lab {
namespace {

/// Reads a text and tells where it stands: the parser's own events carry no position.
struct counting_iterator {
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  const char* at = nullptr;
  const char** latest = nullptr;

  reference operator*() const { return *at; }
  counting_iterator& operator++() {
    *latest = ++at;
    return *this;
  }
  counting_iterator operator++(int) {
    const auto copy = *this;
    ++*this;
    return copy;
  }
  friend bool operator==(const counting_iterator& a, const counting_iterator& b) {
    return a.at == b.at;
  }
};

/// "[json.exception.parse_error.101] parse error at line 1, column 2: X" -> "X"
std::string_view last_part(std::string_view message) {
  for (std::string_view mark : {": ", "] "}) {
    const auto at = message.find(mark);
    if (at != std::string_view::npos) return message.substr(at + 2);
  }
  return message;
}

class checker final : public nlohmann::json_sax<json> {
 public:
  checker(std::string_view text, json_events& events, const std::string& file, unsigned max_depth,
          std::uint64_t base)
      : text_(text),
        latest_(text.data()),
        events_(events),
        file_(file),
        max_depth_(max_depth),
        base_(base) {}

  void run() {
    if (text_.empty()) reject({file_, base_}, "empty; expected JSON");
    if (const auto zero = text_.find('\0'); zero != std::string_view::npos)
      reject({file_, base_ + zero}, "JSON: a zero byte");
    if (text_.substr(0, 3) == "\xEF\xBB\xBF") reject({file_, base_}, "JSON: a byte order mark");
    const char* end = text_.data() + text_.size();
    json::sax_parse(counting_iterator{text_.data(), &latest_}, counting_iterator{end, &latest_},
                    this);
  }

  bool null() override { return events_.null(end()), true; }
  bool boolean(bool value) override { return events_.boolean(value, end()), true; }
  bool number_integer(std::int64_t value) override { return events_.negative(value, end()), true; }
  bool number_unsigned(std::uint64_t value) override { return events_.integer(value, end()), true; }
  bool number_float(double value, const std::string&) override {
    return events_.real(value, end()), true;
  }
  bool string(std::string& value) override { return events_.text(std::move(value), end()), true; }
  bool binary(json::binary_t&) override { reject({file_}, "JSON: binary"); }
  bool start_object(std::size_t) override {
    deeper();
    keys_.emplace_back();
    return events_.begin_object(end()), true;
  }
  bool key(std::string& value) override {
    if (!keys_.back().insert(value).second)
      reject({file_, base_ + end()}, "JSON: the key ", in_quotes(value), " appears twice");
    return events_.key(std::move(value), end()), true;
  }
  bool end_object() override {
    keys_.pop_back();
    --depth_;
    return events_.end_object(end()), true;
  }
  bool start_array(std::size_t) override {
    deeper();
    return events_.begin_array(end()), true;
  }
  bool end_array() override {
    --depth_;
    return events_.end_array(end()), true;
  }
  bool parse_error(std::size_t, const std::string&,
                   const nlohmann::detail::exception& problem) override {
    reject({file_, base_ + end()}, "JSON: ", printable(last_part(problem.what()), 240));
  }

 private:
  [[nodiscard]] std::uint64_t end() const {
    return static_cast<std::uint64_t>(latest_ - text_.data());
  }
  void deeper() {
    if (++depth_ > max_depth_)
      reject({file_, base_ + end()}, "JSON: nested deeper than ", max_depth_, " levels");
  }

  std::string_view text_;
  const char* latest_;
  json_events& events_;
  const std::string& file_;
  unsigned max_depth_;
  std::uint64_t base_;
  unsigned depth_ = 0;
  std::vector<std::set<std::string>> keys_;  // of the open objects; no hash to attack
};

class tree_builder final : public json_events {
 public:
  json result;

  void null(std::uint64_t) override { put(nullptr); }
  void boolean(bool value, std::uint64_t) override { put(value); }
  void integer(std::uint64_t value, std::uint64_t) override { put(value); }
  void negative(std::int64_t value, std::uint64_t) override { put(value); }
  void real(double value, std::uint64_t) override { put(value); }
  void text(std::string&& value, std::uint64_t) override { put(std::move(value)); }
  void key(std::string&& value, std::uint64_t) override { key_ = std::move(value); }
  void begin_object(std::uint64_t) override { open_.push_back(put(json::object())); }
  void end_object(std::uint64_t) override { open_.pop_back(); }
  void begin_array(std::uint64_t) override { open_.push_back(put(json::array())); }
  void end_array(std::uint64_t) override { open_.pop_back(); }

 private:
  // The parents on the stack stay where they are: only the innermost container grows.
  json* put(json&& value) {
    if (open_.empty()) return &(result = std::move(value));
    json& parent = *open_.back();
    if (parent.is_array()) {
      parent.push_back(std::move(value));
      return &parent.back();
    }
    return &(parent[key_] = std::move(value));
  }

  std::vector<json*> open_;
  std::string key_;
};

}  // namespace

void stream_json(std::string_view text, json_events& events, const std::string& file,
                 unsigned max_depth, std::uint64_t base) {
  checker(text, events, file, max_depth, base).run();
}

json parse_json(std::string_view text, const std::string& file, unsigned max_depth) {
  tree_builder tree;
  stream_json(text, tree, file, max_depth);
  return std::move(tree.result);
}

json_object::json_object(const json& value, std::string file, std::string where)
    : value_(&value), file_(std::move(file)), where_(std::move(where)) {
  if (!value.is_object())
    reject({file_}, where_.empty() ? "the top level" : where_, " is ", value.type_name(),
           "; expected an object");
}

std::string json_object::label(std::string_view key) const {
  return (where_.empty() ? "" : where_ + ".") + printable(key);
}

const json* json_object::find(std::string_view key) const {
  const auto found = value_->find(std::string(key));
  return found == value_->end() || found->is_null() ? nullptr : &*found;
}

const json& json_object::at(std::string_view key) const {
  const json* found = find(key);
  if (found == nullptr) wrong(key, "is missing");
  return *found;
}

std::uint64_t json_object::integer(std::string_view key, std::uint64_t low,
                                   std::uint64_t high) const {
  const json& found = at(key);
  if (!found.is_number_unsigned() || found.get<std::uint64_t>() < low ||
      found.get<std::uint64_t>() > high)
    wrong(key, "is ", printable(found.is_structured() ? found.type_name() : found.dump()),
          "; expected an integer from ", low, " to ", high);
  return found.get<std::uint64_t>();
}

std::optional<std::uint64_t> json_object::maybe_integer(std::string_view key, std::uint64_t low,
                                                        std::uint64_t high) const {
  if (find(key) == nullptr) return std::nullopt;
  return integer(key, low, high);
}

bool json_object::boolean(std::string_view key, bool fallback) const {
  const json* found = find(key);
  if (found == nullptr) return fallback;
  if (!found->is_boolean()) wrong(key, "is a ", found->type_name(), "; expected true or false");
  return found->get<bool>();
}

double json_object::real(std::string_view key, double fallback) const {
  const json* found = find(key);
  if (found == nullptr) return fallback;
  if (!found->is_number()) wrong(key, "is a ", found->type_name(), "; expected a number");
  return found->get<double>();
}

std::optional<std::string> json_object::maybe_text(std::string_view key) const {
  const json* found = find(key);
  if (found == nullptr) return std::nullopt;
  if (!found->is_string()) wrong(key, "is a ", found->type_name(), "; expected a string");
  return found->get<std::string>();
}

std::string json_object::text(std::string_view key) const {
  const auto found = maybe_text(key);
  if (!found) wrong(key, "is missing");
  return *found;
}

const json& json_object::array(std::string_view key) const {
  const json& found = at(key);
  if (!found.is_array()) wrong(key, "is a ", found.type_name(), "; expected an array");
  return found;
}

json_object json_object::object(std::string_view key) const {
  return {at(key), file_, label(key)};
}

}  // namespace lab
