// The header is built in memory: its largest part is a vocabulary, some MB.
#include <lab/io/gguf_writer.hpp>

#include <zeropoint/base/error.hpp>

#include <set>

namespace lab {
namespace {

constexpr std::uint64_t alignment = 32;

class header_bytes {
 public:
  template <class T>
  void number(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);  // little-endian
  }
  void text(std::string_view value) {
    number<std::uint64_t>(value.size());
    bytes_.append(value);
  }
  void value(const gguf_value& v) {
    if (v.is_array()) number(static_cast<std::uint32_t>(gguf_kind::array));
    number(static_cast<std::uint32_t>(v.kind()));
    if (v.is_array()) number<std::uint64_t>(v.size());
    const auto numbers = v.numbers();
    bytes_.append(reinterpret_cast<const char*>(numbers.data()), numbers.size());
    for (const std::string& t : v.texts()) text(t);
  }
  void pad() { bytes_.append((alignment - bytes_.size() % alignment) % alignment, '\0'); }
  [[nodiscard]] const std::string& get() const noexcept { return bytes_; }

 private:
  std::string bytes_;
};

void require_new(std::set<std::string_view>& seen, std::string_view name, std::size_t longest) {
  ZP_REQUIRE(name.size() <= longest, "gguf_writer: ", in_quotes(name), " has ", name.size(),
             " bytes, at most ", longest, " fit");
  ZP_REQUIRE(seen.insert(name).second, "gguf_writer: ", in_quotes(name), " appears twice");
}

template <class T>
gguf_value number_value(gguf_kind kind, T value) {
  const auto bytes = std::as_bytes(std::span(&value, 1));
  return {kind, false, {bytes.begin(), bytes.end()}};
}

}  // namespace

std::uint64_t gguf_layout::bytes() const {
  std::uint64_t elements = 1;
  for (const std::uint64_t size : shape) elements *= size;
  ZP_REQUIRE(shape.size() <= 4 && (shape.empty() ? 1 : shape.back()) % type->block == 0,
             "gguf_writer: ", in_quotes(name), " of ", shape.size(),
             " dimensions has rows that are not whole blocks of ", type->block);
  return elements / type->block * type->bytes;
}

gguf_writer::gguf_writer(const std::filesystem::path& path, const gguf_entries& metadata,
                         std::span<const gguf_layout> tensors)
    : file_(path) {
  header_bytes header;
  for (const char c : {'G', 'G', 'U', 'F'}) header.number(c);
  header.number<std::uint32_t>(3);
  header.number<std::uint64_t>(tensors.size());
  header.number<std::uint64_t>(metadata.size());
  std::set<std::string_view> keys, names;
  for (const auto& [key, value] : metadata) {
    require_new(keys, key, gguf_longest_key);
    header.text(key);
    header.value(value);
  }
  std::uint64_t offset = 0;
  for (const gguf_layout& t : tensors) {
    require_new(names, t.name, gguf_longest_name);
    sizes_.push_back(t.bytes());
    header.text(t.name);
    header.number(static_cast<std::uint32_t>(t.shape.size()));
    for (std::size_t i = t.shape.size(); i-- > 0;) header.number(t.shape[i]);
    header.number(t.type->number);
    header.number(offset);
    offset += (sizes_.back() + alignment - 1) / alignment * alignment;
  }
  header.pad();
  file_.write(header.get());
}

void gguf_writer::write(std::span<const std::byte> tensor) {
  ZP_REQUIRE(written_ < sizes_.size() && tensor.size() == sizes_[written_],
             "gguf_writer: ", tensor.size(), " bytes for tensor ", written_, " of ", sizes_.size());
  file_.write(tensor);
  const std::string padding((alignment - tensor.size() % alignment) % alignment, '\0');
  file_.write(padding);
  ++written_;
}

void gguf_writer::finish() {
  ZP_REQUIRE(written_ == sizes_.size(), "gguf_writer: ", sizes_.size() - written_,
             " tensors have not come");
  file_.finish();
}

gguf_value gguf_u32(std::uint32_t value) {
  return number_value(gguf_kind::u32, value);
}
gguf_value gguf_f32(float value) {
  return number_value(gguf_kind::f32, value);
}
gguf_value gguf_boolean(bool value) {
  return number_value(gguf_kind::boolean, value);
}
gguf_value gguf_text(std::string value) {
  return {false, {std::move(value)}};
}
gguf_value gguf_texts(std::vector<std::string> values) {
  return {true, std::move(values)};
}
gguf_value gguf_i32s(std::span<const std::int32_t> values) {
  const auto bytes = std::as_bytes(values);
  return {gguf_kind::i32, true, {bytes.begin(), bytes.end()}};
}
gguf_value gguf_f32s(std::span<const float> values) {
  const auto bytes = std::as_bytes(values);
  return {gguf_kind::f32, true, {bytes.begin(), bytes.end()}};
}

}  // namespace lab
