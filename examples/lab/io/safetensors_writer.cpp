// The writer: the layout of the reference implementation, so that a file is the same whoever wrote
// it.
#include <lab/io/json.hpp>
#include <lab/io/safetensors_writer.hpp>

#include <zeropoint/base/error.hpp>

#include <algorithm>
#include <sstream>

namespace lab {
namespace {

/// As the reference escapes: non-ASCII stays UTF-8. Invalid UTF-8 is the caller's mistake.
std::string json_text(const std::string& text) {
  try {
    return json(text).dump();
  } catch (const json::type_error&) {
    zeropoint::fail("write_safetensors: the name ", in_quotes(text), " is not UTF-8");
  }
}

void append_entry(std::string& header, const tensor_layout& tensor, std::uint64_t begin) {
  std::ostringstream text;
  text << json_text(tensor.name) << ":{\"dtype\":\"" << name(tensor.type) << "\",\"shape\":[";
  for (std::size_t i = 0; i < tensor.shape.size(); ++i)
    text << (i > 0 ? "," : "") << tensor.shape[i];
  text << "],\"data_offsets\":[" << begin << ',' << begin + tensor.bytes << "]}";
  header += text.str();
}

/// As the reference writer sorts them.
template <class Tensor>
bool precedes(const Tensor& a, const Tensor& b) {
  return a.type != b.type ? a.type > b.type : a.name < b.name;
}

}  // namespace

safetensors_writer::safetensors_writer(const std::filesystem::path& path,
                                       std::vector<tensor_layout> tensors,
                                       const std::map<std::string, std::string>& metadata)
    : tensors_(std::move(tensors)), file_(path) {
  std::sort(tensors_.begin(), tensors_.end(), precedes<tensor_layout>);
  std::string header = "{";
  if (!metadata.empty()) {
    header += "\"__metadata__\":{";
    for (const auto& [key, text] : metadata)
      header += (header.back() == '{' ? "" : ",") + json_text(key) + ":" + json_text(text);
    header += "}";
  }
  for (const tensor_layout& tensor : tensors_) {
    ZP_REQUIRE(tensor.type != dtype::unknown, "write_safetensors: ", in_quotes(tensor.name),
               " has no type");
    if (header.size() > 1) header += ",";
    append_entry(header, tensor, missing_);
    missing_ += tensor.bytes;
  }
  header += "}";
  header.append((8 - header.size() % 8) % 8, ' ');
  try {  // the reader is the specification: sizes, duplicate names, limits
    (void)parse_safetensors_header(header, missing_, path.string());
  } catch (const input_error& problem) {
    zeropoint::fail("write_safetensors: ", problem.what());
  }
  const std::uint64_t size = header.size();
  file_.write(std::as_bytes(std::span(&size, 1)));
  file_.write(header);
}

void safetensors_writer::write(std::span<const std::byte> data) {
  ZP_REQUIRE(data.size() <= missing_, "safetensors_writer: ", data.size(),
             " bytes, the header has ", missing_, " more");
  file_.write(data);
  missing_ -= data.size();
}

void safetensors_writer::finish() {
  ZP_REQUIRE(missing_ == 0, "safetensors_writer: ", missing_, " bytes have not come");
  file_.finish();
}

void write_safetensors(const std::filesystem::path& path, std::span<const tensor_source> tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::vector<tensor_source> order(tensors.begin(), tensors.end());
  std::sort(order.begin(), order.end(), precedes<tensor_source>);
  std::vector<tensor_layout> layout;
  for (const tensor_source& t : order) layout.push_back({t.name, t.type, t.shape, t.data.size()});
  safetensors_writer file(path, std::move(layout), metadata);
  for (const tensor_source& t : order) file.write(t.data);
  file.finish();
}

}  // namespace lab
