// Each reader looks up a key once and says what it expected.
#include <lab/io/gguf_metadata.hpp>

namespace lab {
namespace {

bool is_integer(gguf_kind kind) {
  switch (kind) {
    case gguf_kind::f32:
    case gguf_kind::f64:
    case gguf_kind::boolean:
    case gguf_kind::text:
    case gguf_kind::array:
      return false;
    default:
      return true;
  }
}

}  // namespace

std::optional<std::uint64_t> unsigned_of(const gguf_value::element& value) {
  if (const auto* u = std::get_if<std::uint64_t>(&value)) return *u;
  const auto* i = std::get_if<std::int64_t>(&value);
  if (i == nullptr || *i < 0) return std::nullopt;
  return static_cast<std::uint64_t>(*i);
}

std::optional<std::uint64_t> gguf_metadata::maybe_integer(std::string_view key, std::uint64_t low,
                                                          std::uint64_t high) const {
  const gguf_value* found = file_->metadata(key);
  if (found == nullptr) return std::nullopt;
  if (!found->is_array() && is_integer(found->kind())) {
    const auto value = unsigned_of((*found)[0]);
    if (value && *value >= low && *value <= high) return value;
  }
  wrong(key, "is ", text_of(*found), "; expected an integer from ", low, " to ", high);
}

std::uint64_t gguf_metadata::integer(std::string_view key, std::uint64_t low,
                                     std::uint64_t high) const {
  if (const auto value = maybe_integer(key, low, high)) return *value;
  wrong(key, "is missing; expected an integer from ", low, " to ", high);
}

std::optional<double> gguf_metadata::maybe_real(std::string_view key) const {
  const gguf_value* found = file_->metadata(key);
  if (found == nullptr) return std::nullopt;
  if (!found->is_array())
    if (const auto value = (*found)[0]; const auto* real = std::get_if<double>(&value))
      return *real;
  wrong(key, "is ", text_of(*found), "; expected a float");
}

double gguf_metadata::real(std::string_view key) const {
  if (const auto value = maybe_real(key)) return *value;
  wrong(key, "is missing; expected a float");
}

bool gguf_metadata::boolean(std::string_view key, bool fallback) const {
  const gguf_value* found = file_->metadata(key);
  if (found == nullptr) return fallback;
  if (!found->is_array())
    if (const auto value = (*found)[0]; const auto* truth = std::get_if<bool>(&value))
      return *truth;
  wrong(key, "is ", text_of(*found), "; expected true or false");
}

std::optional<std::string> gguf_metadata::maybe_text(std::string_view key) const {
  const gguf_value* found = file_->metadata(key);
  if (found == nullptr) return std::nullopt;
  if (!found->is_array())
    if (const auto value = (*found)[0]; const auto* text = std::get_if<std::string>(&value))
      return *text;
  wrong(key, "is ", text_of(*found), "; expected a text");
}

std::string gguf_metadata::text(std::string_view key) const {
  if (auto value = maybe_text(key)) return *std::move(value);
  wrong(key, "is missing; expected a text");
}

std::vector<std::string> gguf_metadata::texts(std::string_view key) const {
  const gguf_value* found = file_->metadata(key);
  if (found == nullptr) wrong(key, "is missing; expected a list of texts");
  if (!found->is_array() || found->kind() != gguf_kind::text)
    wrong(key, "is ", text_of(*found), "; expected a list of texts");
  std::vector<std::string> result;
  result.reserve(found->size());
  for (std::size_t i = 0; i < found->size(); ++i)
    result.push_back(std::get<std::string>((*found)[i]));
  return result;
}

std::vector<float> gguf_metadata::reals(std::string_view key) const {
  const gguf_value* found = file_->metadata(key);
  if (found == nullptr) wrong(key, "is missing; expected a list of floats");
  if (!found->is_array() || found->kind() != gguf_kind::f32)
    wrong(key, "is ", text_of(*found), "; expected a list of floats");
  std::vector<float> result;
  result.reserve(found->size());
  for (std::size_t i = 0; i < found->size(); ++i)
    result.push_back(static_cast<float>(std::get<double>((*found)[i])));
  return result;
}

const gguf_value* gguf_metadata::maybe_integers(std::string_view key) const {
  const gguf_value* found = file_->metadata(key);
  if (found == nullptr || (found->is_array() && is_integer(found->kind()))) return found;
  wrong(key, "is ", text_of(*found), "; expected a list of integers");
}

}  // namespace lab
