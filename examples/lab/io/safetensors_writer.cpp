// The writer: the layout of the reference implementation, so that a file is the same whoever wrote
// it.
#include <lab/io/json.hpp>
#include <lab/io/safetensors.hpp>

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

void append_entry(std::string& header, const tensor_source& tensor, std::uint64_t begin) {
  std::ostringstream text;
  text << json_text(tensor.name) << ":{\"dtype\":\"" << name(tensor.type) << "\",\"shape\":[";
  for (std::size_t i = 0; i < tensor.shape.size(); ++i)
    text << (i > 0 ? "," : "") << tensor.shape[i];
  text << "],\"data_offsets\":[" << begin << ',' << begin + tensor.data.size() << "]}";
  header += text.str();
}

}  // namespace

void write_safetensors(const std::filesystem::path& path, std::span<const tensor_source> tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::vector<const tensor_source*> order;
  for (const auto& tensor : tensors) order.push_back(&tensor);
  std::sort(order.begin(), order.end(), [](const tensor_source* a, const tensor_source* b) {
    return a->type != b->type ? a->type > b->type : a->name < b->name;
  });

  std::string header = "{";
  if (!metadata.empty()) {
    header += "\"__metadata__\":{";
    for (const auto& [key, text] : metadata)
      header += (header.back() == '{' ? "" : ",") + json_text(key) + ":" + json_text(text);
    header += "}";
  }
  std::uint64_t end = 0;
  for (const auto* tensor : order) {
    ZP_REQUIRE(tensor->type != dtype::unknown, "write_safetensors: ", in_quotes(tensor->name),
               " has no type");
    if (header.size() > 1) header += ",";
    append_entry(header, *tensor, end);
    end += tensor->data.size();
  }
  header += "}";
  header.append((8 - header.size() % 8) % 8, ' ');
  try {  // the reader is the specification: sizes, duplicate names, limits
    (void)parse_safetensors_header(header, end, path.string());
  } catch (const input_error& problem) {
    zeropoint::fail("write_safetensors: ", problem.what());
  }

  output_file file(path);
  const std::uint64_t size = header.size();
  file.write(std::as_bytes(std::span(&size, 1)));
  file.write(header);
  for (const auto* tensor : order) file.write(tensor->data);
  file.finish();
}

}  // namespace lab
