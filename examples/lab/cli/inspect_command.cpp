// zp-lab inspect: what is in a checkpoint, from the headers of its files; no tensor is read.
#include <lab/cli/commands.hpp>
#include <lab/io/gguf.hpp>
#include <lab/io/safetensors.hpp>

#include <algorithm>
#include <iomanip>
#include <iostream>
#include <map>
#include <memory>
#include <string>

namespace lab::cli {
namespace {

/// A line of the listing; the texts are printable.
struct row {
  std::string name, type, shape;
  std::uint64_t elements = 0, bytes = 0;
};

std::vector<row> rows_of(const safetensors_file& file) {
  std::vector<row> rows;
  for (const auto& t : file.tensors())
    rows.push_back({printable(t.name), printable(t.type_name, 16), printable(shape_text(t.shape)),
                    t.elements(), t.bytes()});
  return rows;
}

std::vector<row> rows_of(const gguf_file& file) {
  std::vector<row> rows;
  for (const auto& t : file.tensors())
    rows.push_back({printable(t.name), std::string(t.type->name), printable(shape_text(t.shape)),
                    t.elements(), t.bytes()});
  return rows;
}

struct total {
  std::size_t tensors = 0;
  std::uint64_t elements = 0, bytes = 0;

  void add(const row& r) {
    ++tensors;
    elements += r.elements;
    bytes += r.bytes;
  }
};

/// Over all files.
struct totals {
  std::map<std::string, total> by_type;
  total all;

  void add(const std::vector<row>& rows) {
    for (const row& r : rows) {
      by_type[r.type].add(r);
      all.add(r);
    }
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

void print_file(const std::string& path, std::uint64_t bytes) {
  std::cout << printable(path, 4000) << ": " << bytes << " bytes\n";
}

void print_metadata(const std::string& key, const std::string& text) {
  std::cout << "  metadata " << printable(key) << ": " << text << "\n";
}

void print_rows(const std::vector<row>& rows) {
  std::size_t name_width = 0, shape_width = 0;
  for (const row& r : rows) {
    name_width = std::max(name_width, shown_width(r.name));
    shape_width = std::max(shape_width, r.shape.size());
  }
  shape_width = std::min<std::size_t>(shape_width, 40);
  for (const row& r : rows)
    std::cout << "  " << padded(r.name, name_width) << "  " << padded(r.type, 5) << "  "
              << padded(r.shape, shape_width) << "  " << std::setw(12) << r.bytes << "\n";
}

void print_totals(const totals& t) {
  const auto print = [](const std::string& name, const total& sum) {
    std::cout << padded(name, 6) << " " << sum.tensors << " tensors, " << sum.elements
              << " elements, " << sum.bytes << " bytes\n";
  };
  for (const auto& [name, sum] : t.by_type) print(name, sum);
  print("total", t.all);
}

void inspect_gguf(const std::string& path) {
  const gguf_file file(path);
  const gguf_header& header = file.header();
  print_file(file.path(), file.file_bytes());
  std::cout << "  GGUF version " << header.version << ", alignment " << header.alignment << "\n";
  for (const auto& [key, value] : header.metadata) print_metadata(key, text_of(value));
  const auto rows = rows_of(file);
  print_rows(rows);
  totals sums;
  sums.add(rows);
  print_totals(sums);
}

void inspect_safetensors(const std::string& path) {
  const safetensors checkpoint(path);
  totals sums;
  for (const auto& file : checkpoint.files()) {
    print_file(file.path(), file.file_bytes());
    for (const auto& [key, text] : file.metadata()) print_metadata(key, printable(text));
    const auto rows = rows_of(file);
    print_rows(rows);
    sums.add(rows);
  }
  print_totals(sums);
}

void inspect(const std::string& path) {
  if (path.ends_with(".gguf")) return inspect_gguf(path);
  inspect_safetensors(path);
}

}  // namespace

void add_inspect(CLI::App& app) {
  auto* command =
      app.add_subcommand("inspect", "List the tensors of a checkpoint: type, shape, bytes");
  command->footer(
      "Reads the headers alone, so a checkpoint of any size takes no time.\n"
      "FILE_OR_DIR is a .gguf file, a .safetensors file, a model.safetensors.index.json, or a "
      "folder with one of\nthe last two.");
  auto path = std::make_shared<std::string>();
  command->add_option("path", *path, "The checkpoint")->required()->type_name("FILE_OR_DIR");
  command->callback([path] { inspect(*path); });
}

}  // namespace lab::cli
