// The header of a GGUF file, read front to back through a small window. Nothing is allocated for a
// count or a length before the rest of the file is known to be long enough for it.
#include <lab/io/gguf.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <set>

namespace lab {
namespace {

constexpr std::uint64_t largest_gguf_header = 100'000'000;  // real ones: a vocabulary, some 10 MB
constexpr std::uint64_t smallest_entry = 8 + 4 + 1;         // an empty key, a type, a byte
constexpr std::uint64_t smallest_tensor = 8 + 4 + 4 + 8;    // an empty name, no sizes

/// Bytes of a number of this kind; 0 for text and arrays.
std::size_t width_of(gguf_kind kind) {
  constexpr std::array<std::uint8_t, 13> widths{1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
  return widths[static_cast<std::size_t>(kind)];
}

class header_reader {
 public:
  explicit header_reader(const input_file& file)
      : file_(file), size_(std::min(file.size(), largest_gguf_header)) {}

  [[nodiscard]] std::uint64_t offset() const noexcept { return offset_; }
  [[nodiscard]] std::uint64_t left() const noexcept { return size_ - offset_; }
  [[nodiscard]] place here() const { return {file_.path(), offset_}; }

  void read(std::span<std::byte> out, std::string_view what) {
    require(out.size(), what);
    if (out.empty()) return;
    if (out.size() > window_.size()) {
      file_.read(offset_, out);
    } else {
      if (offset_ < begin_ || offset_ + out.size() > begin_ + filled_) fill();
      std::memcpy(out.data(), window_.data() + (offset_ - begin_), out.size());
    }
    offset_ += out.size();
  }
  template <class T>
  T number(std::string_view what) {
    T value{};
    read(std::as_writable_bytes(std::span(&value, 1)), what);  // little-endian, as this machine
    return value;
  }
  /// A count of things of at least `smallest` bytes each.
  std::uint64_t count(std::uint64_t smallest, std::string_view what) {
    const place at = here();
    const auto value = number<std::uint64_t>(what);
    if (value > left() / smallest)
      reject(at, what, ": ", value, " of at least ", smallest, " bytes, the header has ", left(),
             " left");
    return value;
  }
  std::string text(std::uint64_t longest, std::string_view what) {
    const place at = here();
    const auto length = number<std::uint64_t>(what);
    if (length > longest)
      reject(at, what, ": a length of ", length, "; expected at most ", longest);
    require(length, what);
    std::string result(static_cast<std::size_t>(length), '\0');
    read(std::as_writable_bytes(std::span(result)), what);
    return result;
  }

 private:
  void require(std::uint64_t bytes, std::string_view what) const {
    if (bytes <= left()) return;
    reject(here(), what, ": expected ", bytes, " bytes, ",
           size_ < file_.size() ? "a header may have " : "the file has ", size_, " in all");
  }
  void fill() {
    begin_ = offset_;
    filled_ = static_cast<std::size_t>(std::min<std::uint64_t>(window_.size(), left()));
    file_.read(begin_, std::span(window_).first(filled_));
  }

  const input_file& file_;
  std::uint64_t size_, offset_ = 0, begin_ = 0;
  std::size_t filled_ = 0;
  std::vector<std::byte> window_ = std::vector<std::byte>(1 << 16);
};

gguf_kind read_kind(header_reader& in, const std::string& subject) {
  const place at = in.here();
  const auto kind = in.number<std::uint32_t>(subject);
  if (kind > static_cast<std::uint32_t>(gguf_kind::f64))
    reject(at, subject, ": type ", kind, "; expected 0 .. 12");
  return static_cast<gguf_kind>(kind);
}

gguf_value read_numbers(header_reader& in, gguf_kind kind, bool is_array, std::uint64_t count,
                        const std::string& subject) {
  const std::uint64_t first = in.offset();
  std::vector<std::byte> bytes(static_cast<std::size_t>(count) * width_of(kind));
  const place at = in.here();
  in.read(bytes, subject);
  if (kind == gguf_kind::boolean) {
    const auto wrong =
        std::find_if(bytes.begin(), bytes.end(), [](std::byte b) { return b > std::byte{1}; });
    if (wrong != bytes.end())
      reject({at.file, first + static_cast<std::uint64_t>(wrong - bytes.begin())}, subject,
             ": a boolean of ", std::to_integer<int>(*wrong), "; expected 0 or 1");
  }
  return {kind, is_array, std::move(bytes)};
}

gguf_value read_value(header_reader& in, const std::string& subject) {
  gguf_kind kind = read_kind(in, subject);
  const bool is_array = kind == gguf_kind::array;
  std::uint64_t count = 1;
  if (is_array) {
    const place at = in.here();
    kind = read_kind(in, subject);
    if (kind == gguf_kind::array) reject(at, subject, ": an array of arrays; expected one level");
    count = in.count(kind == gguf_kind::text ? 8 : width_of(kind), subject);
  } else if (kind != gguf_kind::text) {
    return read_numbers(in, kind, false, 1, subject);
  }
  if (kind != gguf_kind::text) return read_numbers(in, kind, true, count, subject);
  std::vector<std::string> texts;
  texts.reserve(static_cast<std::size_t>(count));
  for (std::uint64_t i = 0; i < count; ++i) texts.push_back(in.text(largest_gguf_header, subject));
  return {is_array, std::move(texts)};
}

/// The two keys that say how to read the rest.
void apply(gguf_header& header, const std::string& key, const gguf_value& value, const place& at) {
  const bool is_number = !value.is_array() && value.kind() == gguf_kind::u32;
  const std::uint64_t number = is_number ? std::get<std::uint64_t>(value[0]) : 0;
  if (key == "general.alignment") {
    if (!std::has_single_bit(number) || number < 8)
      reject(at, key, " is ", text_of(value), "; expected a power of two from 8 on, as u32");
    header.alignment = number;
  } else if (key == "general.quantization_version" && number != 2) {
    reject(at, key, " is ", text_of(value), "; expected 2, as u32");
  }
}

void read_metadata(header_reader& in, std::uint64_t count, gguf_header& header) {
  std::set<std::string, std::less<>> seen;
  header.metadata.reserve(static_cast<std::size_t>(count));
  for (std::uint64_t i = 0; i < count; ++i) {
    const place at = in.here();
    std::string key = in.text(gguf_longest_key, "the key of entry " + std::to_string(i));
    if (!seen.insert(key).second) reject(at, "the key ", in_quotes(key), " appears twice");
    gguf_value value = read_value(in, "the value of " + in_quotes(key));
    apply(header, key, value, at);
    header.metadata.emplace_back(std::move(key), std::move(value));
  }
}

/// The next multiple of a power of two; false when it does not fit.
bool round_up(std::uint64_t& n, std::uint64_t alignment) {
  if (__builtin_add_overflow(n, alignment - 1, &n)) return false;
  n &= ~(alignment - 1);
  return true;
}

/// Bytes of a tensor by shape and type. The product of the sizes other than 0 must fit too.
std::uint64_t bytes_of(const gguf_tensor& t, const place& at) {
  const std::string subject = "tensor " + in_quotes(t.name) + ": ";
  std::uint64_t elements = 1, bytes = 0;
  bool zero = false, fits = true;
  for (const std::uint64_t size : t.shape) {
    zero = zero || size == 0;
    fits = fits && !__builtin_mul_overflow(elements, std::max<std::uint64_t>(size, 1), &elements);
  }
  const std::uint64_t row = t.shape.empty() ? 1 : t.shape.back();
  if (fits && row % t.type->block != 0)
    reject(at, subject, "rows of ", row, " elements; expected a multiple of ", t.type->block,
           ", the block of ", t.type->name);
  fits = fits && !__builtin_mul_overflow(elements / t.type->block, t.type->bytes, &bytes);
  if (!fits) reject(at, subject, "the sizes do not fit 64 bits");
  return zero ? 0 : bytes;
}

gguf_tensor read_tensor(header_reader& in, std::uint64_t index, const place& entry) {
  gguf_tensor t;
  t.name = in.text(gguf_longest_name, "the name of tensor " + std::to_string(index));
  const std::string subject = "tensor " + in_quotes(t.name);
  place at = in.here();
  const auto dimensions = in.number<std::uint32_t>(subject);
  if (dimensions > 4) reject(at, subject, ": ", dimensions, " dimensions; expected at most 4");
  t.shape.resize(dimensions);
  for (std::size_t i = dimensions; i-- > 0;) t.shape[i] = in.number<std::uint64_t>(subject);
  at = in.here();
  const auto type = in.number<std::uint32_t>(subject);
  t.type = find_ggml_type(type);
  if (t.type == nullptr) reject(at, subject, ": type ", type, " is not known");
  t.begin = in.number<std::uint64_t>(subject);
  if (__builtin_add_overflow(t.begin, bytes_of(t, entry), &t.end))
    reject(entry, subject, ": begins at byte ", t.begin, " of the data, its end does not fit");
  return t;
}

void read_tensors(header_reader& in, std::uint64_t count, gguf_header& header) {
  std::set<std::string, std::less<>> seen;
  header.tensors.reserve(static_cast<std::size_t>(count));
  std::uint64_t covered = 0;  // the place of the next tensor in the data
  for (std::uint64_t i = 0; i < count; ++i) {
    const place at = in.here();
    gguf_tensor t = read_tensor(in, i, at);
    if (!seen.insert(t.name).second) reject(at, "tensor ", in_quotes(t.name), " appears twice");
    if (t.begin != covered)
      reject(at, "tensor ", in_quotes(t.name), ": begins at byte ", t.begin,
             " of the data; expected ", covered,
             t.begin < covered ? " (they overlap)" : " (a gap)");
    covered = t.end;
    if (!round_up(covered, header.alignment))
      reject(at, "tensor ", in_quotes(t.name), ": its end does not fit 64 bits");
    header.tensors.push_back(std::move(t));
  }
}

void read_preamble(header_reader& in, gguf_header& header) {
  const place start = in.here();
  std::array<char, 4> magic{};
  in.read(std::as_writable_bytes(std::span(magic)), "the first four bytes");
  if (std::string_view(magic.data(), magic.size()) != "GGUF")
    reject(start, "begins with ", in_quotes({magic.data(), magic.size()}), "; expected \"GGUF\"");
  const place at = in.here();
  header.version = in.number<std::uint32_t>("the version");
  if (header.version != 2 && header.version != 3)
    reject(at, "version ", header.version, "; expected 2 or 3, little-endian");
}

}  // namespace

gguf_header read_gguf_header(const input_file& file) {
  gguf_header header;
  header_reader in(file);
  read_preamble(in, header);
  const std::uint64_t tensors = in.count(smallest_tensor, "the number of tensors");
  const std::uint64_t entries = in.count(smallest_entry, "the number of metadata entries");
  read_metadata(in, entries, header);
  read_tensors(in, tensors, header);
  header.data_begin = in.offset();
  (void)round_up(header.data_begin, header.alignment);  // both are below 2^33
  if (header.tensors.empty()) {
    if (file.size() > header.data_begin)
      reject({file.path(), header.data_begin}, "no tensors, but the file has ", file.size(),
             " bytes");
    return header;
  }
  std::uint64_t end = header.tensors.back().end, padded = end;
  (void)round_up(padded, header.alignment);  // checked with the tensor
  const std::uint64_t has = file.size() - std::min(file.size(), header.data_begin);
  if (has < end || has > padded)
    reject({file.path(), header.data_begin}, "the tensors need ", end,
           " bytes of data, the file has ", has,
           has < end ? " (it is cut off)" : " (trailing bytes)");
  return header;
}

}  // namespace lab
