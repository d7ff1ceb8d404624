// The header of a safetensors file: a streaming parse into entries (no tree: a hostile header of
// 100 MB must not become gigabytes), then one pass over the sorted byte ranges.
#include <lab/io/json.hpp>
#include <lab/io/safetensors.hpp>

#include <algorithm>
#include <array>
#include <tuple>
#include <utility>

namespace lab {
namespace {

constexpr std::uint64_t largest_number = (std::uint64_t{1} << 48) - 1;  // as the format's schema

struct type_row {
  dtype type;
  std::string_view name;
  unsigned bits;
};
constexpr std::array<type_row, 23> types{{
    {dtype::unknown, "unknown", 0},
    {dtype::boolean, "BOOL", 8},
    {dtype::f4, "F4", 4},
    {dtype::f6_e2m3, "F6_E2M3", 6},
    {dtype::f6_e3m2, "F6_E3M2", 6},
    {dtype::u8, "U8", 8},
    {dtype::i8, "I8", 8},
    {dtype::f8_e5m2, "F8_E5M2", 8},
    {dtype::f8_e4m3, "F8_E4M3", 8},
    {dtype::f8_e8m0, "F8_E8M0", 8},
    {dtype::f8_e4m3fnuz, "F8_E4M3FNUZ", 8},
    {dtype::f8_e5m2fnuz, "F8_E5M2FNUZ", 8},
    {dtype::i16, "I16", 16},
    {dtype::u16, "U16", 16},
    {dtype::f16, "F16", 16},
    {dtype::bf16, "BF16", 16},
    {dtype::i32, "I32", 32},
    {dtype::u32, "U32", 32},
    {dtype::f32, "F32", 32},
    {dtype::c64, "C64", 64},
    {dtype::f64, "F64", 64},
    {dtype::i64, "I64", 64},
    {dtype::u64, "U64", 64},
}};

/// An entry while it is parsed, with the place of its name for messages.
struct parsed_entry {
  tensor_info info;
  std::uint64_t offset = 0;
};

/// {"__metadata__": {text: text}, name: {"dtype": text, "shape": [n...], "data_offsets": [b, e]}}
class header_events final : public json_events {
 public:
  explicit header_events(const std::string& file) : file_(file) {}

  std::vector<parsed_entry> entries;
  std::map<std::string, std::string> metadata;

  void null(std::uint64_t end) override { unexpected("null", end); }
  void boolean(bool, std::uint64_t end) override { unexpected("a boolean", end); }
  void negative(std::int64_t, std::uint64_t end) override { unexpected("a negative number", end); }
  void real(double, std::uint64_t end) override { unexpected("a number that is no integer", end); }

  void integer(std::uint64_t value, std::uint64_t end) override {
    if (state_ != state::numbers) unexpected("a number", end);
    if (value > largest_number)
      reject(here(end), subject(), ": ", field_, " holds ", value, "; expected at most 2^48 - 1");
    (field_ == "shape" ? entries.back().info.shape : offsets_).push_back(value);
    if (offsets_.size() > 2) wrong_offsets(end);
  }
  void text(std::string&& value, std::uint64_t end) override {
    if (state_ == state::metadata_value) {
      metadata[field_] = std::move(value);
      state_ = state::metadata;
    } else if (state_ == state::value && field_ == "dtype") {
      entries.back().info.type = dtype_named(value);
      entries.back().info.type_name = std::move(value);
      state_ = state::entry;
    } else {
      unexpected("a string", end);
    }
  }
  void key(std::string&& value, std::uint64_t end) override {
    if (state_ == state::header && value == "__metadata__") {
      state_ = state::metadata_object;
    } else if (state_ == state::header) {
      entries.push_back({{.name = std::move(value), .type_name = {}, .shape = {}}, end});
      state_ = state::entry_object;
    } else if (state_ == state::metadata) {
      field_ = std::move(value);
      state_ = state::metadata_value;
    } else {
      if (value != "dtype" && value != "shape" && value != "data_offsets")
        reject(here(end), subject(), ": unknown field ", in_quotes(value),
               "; expected dtype, shape and data_offsets");
      field_ = std::move(value);
      ++fields_;
      state_ = state::value;
    }
  }
  void begin_object(std::uint64_t end) override {
    if (state_ == state::start) {
      state_ = state::header;
    } else if (state_ == state::entry_object) {
      state_ = state::entry;
      fields_ = 0;
      offsets_.clear();
    } else if (state_ == state::metadata_object) {
      state_ = state::metadata;
    } else {
      unexpected("an object", end);
    }
  }
  void end_object(std::uint64_t end) override {
    if (state_ == state::entry) {
      if (fields_ != 3)  // the keys are known and different
        reject(here(end), subject(), ": expected dtype, shape and data_offsets");
      entries.back().info.begin = offsets_[0];
      entries.back().info.end = offsets_[1];
    }
    state_ = state_ == state::header ? state::done : state::header;
  }
  void begin_array(std::uint64_t end) override {
    if (state_ != state::value || field_ == "dtype") unexpected("an array", end);
    state_ = state::numbers;
  }
  void end_array(std::uint64_t end) override {
    if (field_ == "data_offsets" && offsets_.size() != 2) wrong_offsets(end);
    state_ = state::entry;
  }

 private:
  enum class state : std::uint8_t {
    start,
    header,
    entry_object,
    entry,
    value,
    numbers,
    metadata_object,
    metadata,
    metadata_value,
    done
  };

  [[nodiscard]] place here(std::uint64_t end) const { return {file_, 8 + end}; }
  [[nodiscard]] std::string subject() const {
    const bool in_entry = state_ == state::entry || state_ == state::entry_object ||
                          state_ == state::value || state_ == state::numbers;
    if (in_entry) return "tensor " + in_quotes(entries.back().info.name);
    return state_ == state::start || state_ == state::header ? "header" : "__metadata__";
  }
  [[noreturn]] void unexpected(const char* what, std::uint64_t end) const {
    const char* expected =
        state_ == state::start || state_ == state::entry_object || state_ == state::metadata_object
            ? "an object"
        : state_ == state::numbers                    ? "a non-negative integer"
        : state_ == state::metadata_value             ? "a string"
        : state_ == state::value && field_ == "dtype" ? "a string"
        : state_ == state::value                      ? "an array of integers"
                                                      : "a key";
    reject(here(end), subject(), ": ", what, "; expected ", expected);
  }
  [[noreturn]] void wrong_offsets(std::uint64_t end) const {
    reject(here(end), subject(), ": data_offsets; expected two numbers, begin and end");
  }

  const std::string& file_;
  state state_ = state::start;
  std::string field_;
  unsigned fields_ = 0;
  std::vector<std::uint64_t> offsets_;
};

/// The size that type and shape ask for. The product of the dimensions other than 0 must fit too,
/// so that whoever multiplies them in another order is safe.
void check_size(const tensor_info& info, const place& where) {
  const auto subject = [&] { return "tensor " + in_quotes(info.name) + ": "; };
  if (info.begin > info.end)
    reject(where, subject(), "data_offsets begin at ", info.begin, " and end at ", info.end);
  std::uint64_t elements = 1;
  bool zero = false;
  for (const std::uint64_t size : info.shape) {
    if (size == 0) zero = true;
    if (__builtin_mul_overflow(elements, std::max<std::uint64_t>(size, 1), &elements))
      reject(where, subject(), "the product of the shape ", printable(shape_text(info.shape)),
             " does not fit 64 bits");
  }
  std::uint64_t all_bits = 0;
  if (__builtin_mul_overflow(zero ? 0 : elements, bits(info.type), &all_bits))
    reject(where, subject(), "the size of the shape ", printable(shape_text(info.shape)),
           " does not fit 64 bits");
  if (info.type == dtype::unknown) return;  // can be listed; reading it is refused
  if (all_bits % 8 != 0) reject(where, subject(), "ends within a byte: ", all_bits, " bits");
  if (all_bits / 8 != info.bytes())
    reject(where, subject(), info.type_name, " ", printable(shape_text(info.shape)), " needs ",
           all_bits / 8, " bytes, data_offsets give ", info.bytes());
}

}  // namespace

std::string_view name(dtype type) noexcept {
  return types[static_cast<std::size_t>(type)].name;
}
unsigned bits(dtype type) noexcept {
  return types[static_cast<std::size_t>(type)].bits;
}

dtype dtype_named(std::string_view text) noexcept {
  for (const auto& row : types)
    if (row.name == text) return row.type;
  return dtype::unknown;
}

std::uint64_t tensor_info::elements() const noexcept {
  std::uint64_t result = 1;
  for (const std::uint64_t size : shape) result *= size;
  return result;
}

std::string shape_text(std::span<const std::uint64_t> shape) {
  std::string result = "[";
  for (const std::uint64_t size : shape)
    result.append(result.size() > 1 ? ", " : "").append(std::to_string(size));
  return result + "]";
}

safetensors_header parse_safetensors_header(std::string_view text, std::uint64_t data_bytes,
                                            const std::string& file) {
  if (text.substr(0, 1) != "{")
    reject({file, 8}, "the header begins with ", in_quotes(text.substr(0, 1)), "; expected {");
  header_events events(file);
  stream_json(text, events, file, 3, 8);

  std::sort(events.entries.begin(), events.entries.end(), [](const auto& a, const auto& b) {
    return std::tie(a.info.begin, a.info.end, a.info.name) <
           std::tie(b.info.begin, b.info.end, b.info.name);
  });
  safetensors_header header;
  header.metadata = std::move(events.metadata);
  header.data_begin = 8 + text.size();
  header.tensors.reserve(events.entries.size());
  std::uint64_t covered = 0;
  for (auto& [info, offset] : events.entries) {
    const place where{file, 8 + offset};
    check_size(info, where);
    if (info.begin != covered)
      reject(where, "tensor ", in_quotes(info.name), ": begins at byte ", info.begin,
             " of the data, the tensor before it ends at ", covered,
             info.begin < covered ? " (they overlap)" : " (a hole)");
    covered = info.end;
    header.tensors.push_back(std::move(info));
  }
  if (covered != data_bytes)
    reject({file, header.data_begin}, "the tensors need ", covered, " bytes of data, the file has ",
           data_bytes, covered < data_bytes ? " (trailing bytes)" : " (it is cut off)");
  return header;
}

}  // namespace lab
