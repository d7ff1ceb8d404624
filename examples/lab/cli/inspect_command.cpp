// zp-lab inspect: what is in a checkpoint, from the headers of its files; no tensor is read.
#include <lab/cli/commands.hpp>
#include <lab/io/safetensors.hpp>

#include <algorithm>
#include <iomanip>
#include <iostream>
#include <map>
#include <memory>
#include <string>

namespace lab::cli {
namespace {

struct total {
  std::size_t tensors = 0;
  std::uint64_t elements = 0, bytes = 0;

  void add(const tensor_info& info) {
    ++tensors;
    elements += info.elements();
    bytes += info.bytes();
  }
};

std::size_t shown_width(const std::string& text) {  // code points: close enough for a column
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string padded(std::string text, std::size_t width) {
  const std::size_t has = shown_width(text);
  if (has < width) text.append(width - has, ' ');
  return text;
}

void print_file(const safetensors_file& file) {
  std::cout << printable(file.path(), 4000) << ": " << file.file_bytes() << " bytes\n";
  for (const auto& [key, text] : file.metadata())
    std::cout << "  metadata " << printable(key) << ": " << printable(text) << "\n";
  std::size_t name_width = 0, shape_width = 0;
  for (const auto& info : file.tensors()) {
    name_width = std::max(name_width, shown_width(printable(info.name)));
    shape_width = std::max(shape_width, shape_text(info.shape).size());
  }
  shape_width = std::min<std::size_t>(shape_width, 40);
  for (const auto& info : file.tensors())
    std::cout << "  " << padded(printable(info.name), name_width) << "  "
              << padded(printable(info.type_name, 16), 5) << "  "
              << padded(printable(shape_text(info.shape)), shape_width) << "  " << std::setw(12)
              << info.bytes() << "\n";
}

void inspect(const std::string& path) {
  const safetensors checkpoint(path);
  std::map<std::string, total> by_type;
  total all;
  for (const auto& file : checkpoint.files()) {
    print_file(file);
    for (const auto& info : file.tensors()) {
      by_type[printable(info.type_name, 16)].add(info);
      all.add(info);
    }
  }
  const auto print = [](const std::string& name, const total& t) {
    std::cout << padded(name, 6) << " " << t.tensors << " tensors, " << t.elements << " elements, "
              << t.bytes << " bytes\n";
  };
  for (const auto& [name, t] : by_type) print(name, t);
  print("total", all);
}

}  // namespace

void add_inspect(CLI::App& app) {
  auto* command =
      app.add_subcommand("inspect", "List the tensors of a checkpoint: type, shape, bytes");
  command->footer(
      "Reads the headers alone, so a checkpoint of any size takes no time.\n"
      "FILE_OR_DIR is a .safetensors file, a model.safetensors.index.json, or a folder with one "
      "of them.");
  auto path = std::make_shared<std::string>();
  command->add_option("path", *path, "The checkpoint")->required()->type_name("FILE_OR_DIR");
  command->callback([path] { inspect(*path); });
}

}  // namespace lab::cli
