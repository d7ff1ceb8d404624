// Values of the metadata, and tensors read from an opened file.
#include <lab/io/gguf.hpp>

#include <zeropoint/base/error.hpp>

#include <algorithm>
#include <cstring>
#include <type_traits>

namespace lab {
namespace {

/// Converted at a time by each loading thread: 256 kB of floats do not show on any number of them.
constexpr std::size_t elements_at_once = std::size_t{1} << 16;
constexpr std::size_t shown_elements = 4;

/// f(T{}) with the type in which numbers of this kind are stored.
template <class F>
decltype(auto) with_number(gguf_kind kind, F&& f) {
  switch (kind) {
    case gguf_kind::u8:
      return f(std::uint8_t{});
    case gguf_kind::i8:
      return f(std::int8_t{});
    case gguf_kind::u16:
      return f(std::uint16_t{});
    case gguf_kind::i16:
      return f(std::int16_t{});
    case gguf_kind::u32:
      return f(std::uint32_t{});
    case gguf_kind::i32:
      return f(std::int32_t{});
    case gguf_kind::f32:
      return f(float{});
    case gguf_kind::u64:
      return f(std::uint64_t{});
    case gguf_kind::i64:
      return f(std::int64_t{});
    case gguf_kind::f64:
      return f(double{});
    default:
      return f(bool{});
  }
}

std::string text_of(const gguf_value::element& e) {
  return std::visit(
      [](const auto& v) -> std::string {
        using type = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<type, std::string>) return in_quotes(v);
        if constexpr (std::is_same_v<type, bool>) return v ? "true" : "false";
        std::ostringstream text;
        text << v;
        return text.str();
      },
      e);
}

}  // namespace

std::size_t gguf_value::size() const noexcept {
  if (kind_ == gguf_kind::text) return texts_.size();
  return with_number(kind_, [&](auto zero) { return numbers_.size() / sizeof zero; });
}

gguf_value::element gguf_value::operator[](std::size_t i) const {
  ZP_REQUIRE(i < size(), "gguf: element ", i, " of ", size());
  if (kind_ == gguf_kind::text) return texts_[i];
  return with_number(kind_, [&](auto value) -> element {
    using type = decltype(value);
    if constexpr (std::is_same_v<type, bool>) {
      return numbers_[i] != std::byte{0};
    } else {
      std::memcpy(&value, &numbers_[i * sizeof value], sizeof value);
      if constexpr (std::is_floating_point_v<type>) return static_cast<double>(value);
      if constexpr (std::is_signed_v<type>) return static_cast<std::int64_t>(value);
      return static_cast<std::uint64_t>(value);
    }
  });
}

std::string text_of(const gguf_value& value) {
  if (!value.is_array()) return text_of(value[0]);
  std::string text = "[";
  const std::size_t shown = std::min(value.size(), shown_elements);
  for (std::size_t i = 0; i < shown; ++i) text += (i > 0 ? ", " : "") + text_of(value[i]);
  text += value.size() > shown ? ", ...]" : "]";
  return text + " (" + std::to_string(value.size()) + " elements)";
}

std::uint64_t gguf_tensor::elements() const noexcept {
  std::uint64_t result = 1;
  for (const std::uint64_t size : shape) result *= size;
  return result;
}

bool is_gguf(const std::filesystem::path& path) {
  std::error_code ignored;
  return path.extension() == ".gguf" && !std::filesystem::is_directory(path, ignored);
}

gguf_file::gguf_file(const std::filesystem::path& path)
    : file_(path), header_(read_gguf_header(file_)) {
  for (const gguf_tensor& t : header_.tensors) by_name_.emplace(t.name, by_name_.size());
}

const gguf_value* gguf_file::metadata(std::string_view key) const {
  const auto found = std::find_if(header_.metadata.begin(), header_.metadata.end(),
                                  [&](const auto& entry) { return entry.first == key; });
  return found == header_.metadata.end() ? nullptr : &found->second;
}

const gguf_tensor* gguf_file::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &header_.tensors[found->second];
}

const gguf_tensor& gguf_file::at(std::string_view name) const {
  const gguf_tensor* found = find(name);
  if (found == nullptr)
    reject({path()}, "tensor ", in_quotes(name), " is missing (", tensors().size(),
           " others are here)");
  return *found;
}

void gguf_file::read(const gguf_tensor& tensor, std::span<std::byte> out) const {
  ZP_REQUIRE(out.size() == tensor.bytes(), "gguf: ", tensor.bytes(), " bytes into a span of ",
             out.size());
  file_.read(header_.data_begin + tensor.begin, out);
}

void gguf_file::require_decoder(const gguf_tensor& tensor) const {
  if (tensor.type->decode != nullptr) return;
  reject({path()}, "tensor ", in_quotes(tensor.name), " has type ", tensor.type->name,
         "; expected F32, F16, BF16, Q8_0, Q4_0, Q4_1 or integers");
}

std::vector<float> gguf_file::floats(const gguf_tensor& tensor) const {
  require_decoder(tensor);  // before memory is asked for
  std::vector<float> result(static_cast<std::size_t>(tensor.elements()));
  floats(tensor, result);
  return result;
}

void gguf_file::floats(const gguf_tensor& tensor, std::span<float> out) const {
  require_decoder(tensor);
  ZP_REQUIRE(out.size() == tensor.elements(), "gguf: ", tensor.elements(),
             " elements into a span of ", out.size());
  const ggml_type& type = *tensor.type;  // elements_at_once is a multiple of every block
  std::vector<std::byte> piece(std::min(elements_at_once, out.size()) / type.block * type.bytes);
  std::uint64_t from = header_.data_begin + tensor.begin;
  for (std::size_t at = 0; at < out.size();) {
    const std::size_t count = std::min(elements_at_once, out.size() - at);
    const auto blocks = std::span(piece).first(count / type.block * type.bytes);
    file_.read(from, blocks);
    type.decode(blocks, out.subspan(at, count));
    from += blocks.size();
    at += count;
  }
}

}  // namespace lab
