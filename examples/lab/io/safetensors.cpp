// Opening files and shards, reading tensors, conversion to float.
#include <lab/io/json.hpp>
#include <lab/io/safetensors.hpp>

#include <zeropoint/base/float16.hpp>

#include <cstring>
#include <utility>

namespace lab {
namespace {

constexpr std::uint64_t largest_header = 100'000'000;  // of the reference implementation
constexpr std::uint64_t largest_index = 100'000'000;
constexpr std::size_t largest_piece = std::size_t{1} << 16;  // converted at a time, in cache

safetensors_header read_header(const input_file& file) {
  const place at{file.path(), 0};
  if (file.size() < 8)
    reject(at, "the file has ", file.size(), " bytes; expected the 8 of the header's size");
  std::uint64_t size = 0;
  file.read(0, std::as_writable_bytes(std::span(&size, 1)));  // little-endian, as this machine
  if (size > largest_header)
    reject(at, "the header would have ", size, " bytes; expected at most ", largest_header);
  if (size > file.size() - 8)
    reject(at, "the header would have ", size, " bytes, the file has ", file.size() - 8,
           " after its size");
  std::string text(static_cast<std::size_t>(size), '\0');
  file.read(8, std::as_writable_bytes(std::span(text)));
  return parse_safetensors_header(text, file.size() - 8 - size, file.path());
}

template <class Stored>
float value(Stored stored) {
  if constexpr (std::is_arithmetic_v<Stored>)
    return static_cast<float>(stored);
  else
    return zeropoint::to_float(stored);
}

template <class Stored>
void convert(std::span<const std::byte> bytes, std::span<float> out) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    Stored stored;
    std::memcpy(&stored, bytes.data() + i * sizeof stored, sizeof stored);  // no alignment promised
    out[i] = value(stored);
  }
}

using converter = void (*)(std::span<const std::byte>, std::span<float>);

/// Null for a type that has no conversion.
converter converter_of(dtype type) {
  switch (type) {
    case dtype::boolean:
    case dtype::u8:
      return convert<std::uint8_t>;
    case dtype::i8:
      return convert<std::int8_t>;
    case dtype::u16:
      return convert<std::uint16_t>;
    case dtype::i16:
      return convert<std::int16_t>;
    case dtype::f16:
      return convert<zeropoint::float16>;
    case dtype::bf16:
      return convert<zeropoint::bfloat16>;
    case dtype::u32:
      return convert<std::uint32_t>;
    case dtype::i32:
      return convert<std::int32_t>;
    case dtype::f32:
      return convert<float>;
    case dtype::f64:
      return convert<double>;
    case dtype::u64:
      return convert<std::uint64_t>;
    case dtype::i64:
      return convert<std::int64_t>;
    default:
      return nullptr;
  }
}

/// The file of a checkpoint folder, or the path itself.
std::filesystem::path resolve(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::is_directory(path, ignored)) return path;
  for (const char* name : {"model.safetensors", "model.safetensors.index.json"})
    if (std::filesystem::exists(path / name, ignored)) return path / name;
  reject({path.string()}, "holds neither model.safetensors nor model.safetensors.index.json");
}

/// A plain file name: what stands beside the index and nowhere else.
bool plain(const std::string& name) {
  return !name.empty() && name != "." && name != ".." &&
         name.find_first_of(std::string_view("/\\\0", 3)) == std::string::npos;
}

/// weight_map: tensor -> file name.
std::map<std::string, std::string> read_index(const std::filesystem::path& path) {
  const std::string file = path.string();
  const json tree = parse_json(read_file(path, largest_index), file, 8);
  const json_object map = json_object(tree, file).object("weight_map");
  std::map<std::string, std::string> result;
  for (const auto& [tensor, shard] : map.value().items()) {
    if (!shard.is_string()) map.wrong(tensor, "is a ", shard.type_name(), "; expected a file name");
    const auto& name = shard.get_ref<const std::string&>();
    if (!plain(name)) map.wrong(tensor, in_quotes(name), "; expected a plain file name");
    result.emplace(tensor, name);
  }
  if (result.empty()) map.wrong("", "names no tensor");
  return result;
}

}  // namespace

safetensors_file::safetensors_file(const std::filesystem::path& path)
    : file_(path), header_(read_header(file_)) {}

void safetensors_file::read(const tensor_info& info, std::span<std::byte> out) const {
  ZP_REQUIRE(out.size() == info.bytes(), "safetensors: ", info.bytes(), " bytes into a span of ",
             out.size());
  file_.read(header_.data_begin + info.begin, out);
}

void safetensors_file::read(const tensor_info& info, std::uint64_t from,
                            std::span<std::byte> out) const {
  ZP_REQUIRE(from <= info.bytes() && out.size() <= info.bytes() - from, "safetensors: ", out.size(),
             " bytes from byte ", from, " of a tensor of ", info.bytes());
  file_.read(header_.data_begin + info.begin + from, out);
}

safetensors::safetensors(const std::filesystem::path& given) {
  const auto path = resolve(given);
  path_ = path.string();
  if (path.extension() != ".json") {
    files_.emplace_back(path);
    for (const auto& info : files_[0].tensors()) tensors_.emplace(info.name, entry{info, 0});
    return;
  }
  const auto index = read_index(path);
  std::map<std::string, std::size_t> opened;
  for (const auto& [tensor, name] : index) {
    if (!opened.emplace(name, files_.size()).second) continue;
    const std::size_t file = files_.size();
    files_.emplace_back(path.parent_path() / name);
    for (const auto& info : files_[file].tensors()) {
      const auto wanted = index.find(info.name);
      if (wanted == index.end() || wanted->second != name)
        reject({files_[file].path()}, "tensor ", in_quotes(info.name), " is here, the index ",
               wanted == index.end() ? "does not name it"
                                     : "says it is in " + in_quotes(wanted->second));
      tensors_.emplace(info.name, entry{info, file});
    }
  }
  for (const auto& [tensor, name] : index)
    if (!tensors_.contains(tensor))
      reject({path_}, "tensor ", in_quotes(tensor), " is not in ", in_quotes(name));
}

const safetensors::entry& safetensors::require(std::string_view name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end())
    reject({path_}, "tensor ", in_quotes(name), " is missing (", tensors_.size(),
           " others are here)");
  return found->second;
}

const tensor_info* safetensors::find(std::string_view name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : &found->second.info;
}

const tensor_info& safetensors::at(std::string_view name) const {
  return require(name).info;
}

std::vector<std::byte> safetensors::bytes(std::string_view name) const {
  const entry& found = require(name);
  std::vector<std::byte> result(static_cast<std::size_t>(found.info.bytes()));
  files_[found.file].read(found.info, result);
  return result;
}

std::vector<float> safetensors::floats(std::string_view name) const {
  const entry& found = require(name);
  if (converter_of(found.info.type) == nullptr) floats_from(name, 0, {});  // says so
  std::vector<float> result(static_cast<std::size_t>(found.info.elements()));
  floats(name, result);
  return result;
}

void safetensors::floats(std::string_view name, std::span<float> out) const {
  const std::uint64_t elements = require(name).info.elements();
  ZP_REQUIRE(out.size() == elements, "safetensors: ", elements, " elements into a span of ",
             out.size());
  floats_from(name, 0, out);
}

void safetensors::floats_from(std::string_view name, std::uint64_t first,
                              std::span<float> out) const {
  const auto& [info, file] = require(name);
  const converter convert_piece = converter_of(info.type);
  if (convert_piece == nullptr)
    reject({files_[file].path()}, "tensor ", in_quotes(name), " has type ",
           in_quotes(info.type_name), ", which cannot be converted to float");
  const std::uint64_t elements = info.elements();
  ZP_REQUIRE(first <= elements && out.size() <= elements - first, "safetensors: ", out.size(),
             " elements from element ", first, " of a tensor of ", elements);
  const std::size_t width = bits(info.type) / 8;
  std::vector<std::byte> piece(std::min(largest_piece, out.size()) * width);
  for (std::size_t at = 0; at < out.size();) {
    const std::size_t count = std::min(largest_piece, out.size() - at);
    const auto stored = std::span(piece).first(count * width);
    files_[file].read(info, (first + at) * width, stored);
    convert_piece(stored, out.subspan(at, count));
    at += count;
  }
}

}  // namespace lab
