// Tables padded to columns, so that they can be read as they are.
#include <lab/io/error.hpp>
#include <lab/report/content.hpp>
#include <lab/report/format.hpp>

#include <algorithm>
#include <cmath>

namespace lab {

namespace {

/// Text in which Markdown finds nothing to do, for words that are not names.
std::string plain(std::string_view text) {
  std::string result;
  for (const char c : printable(text, text.size() * 4)) {
    if (std::string_view("\\`*_[]<>|").find(c) != std::string_view::npos) result += '\\';
    result += c;
  }
  return result;
}

/// A code span: nothing in it is special but its end and the bar of a table.
std::string code(std::string_view name) {
  std::string result = "`";
  for (const char c : printable(name, name.size() * 4)) {
    if (c == '|') result += '\\';
    result += c == '`' ? '\'' : c;
  }
  return result + "`";
}

std::string text_of(const paragraph& p) {
  std::string text;
  for (const words& w : p) text += w.is_name ? code(w.text) : plain(w.text);
  return text;
}

/// Characters, not bytes.
std::size_t width_of(const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string text_of(const table& t) {
  const std::size_t n = t.columns.size();
  std::vector<std::vector<std::string>> cells(1);
  for (const auto& column : t.columns) cells[0].push_back(plain(column.first));
  for (const auto& row : t.rows) {
    auto& line = cells.emplace_back();
    for (std::size_t j = 0; j < n; ++j) {
      line.push_back(t.columns[j].second == cell_kind::name ? code(row[j]) : plain(row[j]));
    }
  }
  std::vector<std::size_t> widths(n, 3);
  for (const auto& line : cells) {
    for (std::size_t j = 0; j < n; ++j) widths[j] = std::max(widths[j], width_of(line[j]));
  }
  std::string text;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      const std::string space(widths[j] - width_of(cells[i][j]), ' ');
      const bool right = t.columns[j].second == cell_kind::number;
      text += "| " + (right ? space + cells[i][j] : cells[i][j] + space) + " ";
    }
    text += "|\n";
    if (i > 0) continue;
    for (std::size_t j = 0; j < n; ++j) {
      const bool right = t.columns[j].second == cell_kind::number;
      text += "|" + std::string(widths[j] + 1, '-') + (right ? ":" : "-");
    }
    text += "|\n";
  }
  return text;
}

/// The grid as a line of at most 64 blocks, each as high as the logarithm of its count, and the codes
/// at its ends.
std::string blocks_of(const grid_histogram& h) {
  static const char* const heights[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  const std::size_t codes = h.after.size(), cells = std::min<std::size_t>(codes, 64);
  std::vector<std::uint64_t> sums(cells);
  for (std::size_t i = 0; i < codes; ++i) sums[i * cells / codes] += h.after[i];
  const double most = std::log1p(static_cast<double>(*std::max_element(sums.begin(), sums.end())));
  std::string text = std::to_string(h.qmin) + " ";
  for (const std::uint64_t n : sums) {
    const double share = most > 0 ? std::log1p(static_cast<double>(n)) / most : 0;
    text += heights[static_cast<std::size_t>(std::ceil(share * 8))];
  }
  return "```\n" + text + " " + std::to_string(h.qmax) + "\n```\n";
}

}  // namespace

std::string markdown_of(const page& p) {
  const content c = content_of(p);
  std::string text = "# " + plain(c.title) + "\n\n";
  for (const paragraph& one : c.introduction) text += wrapped(text_of(one)) + "\n";
  for (const fact& f : c.facts) {
    text +=
        wrapped("- " + plain(f.label) + ": **" + plain(f.value) + "** (" + text_of(f.note) + ")");
  }
  for (const section& s : c.sections) {
    text += (s.histogram != nullptr ? "\n### " : "\n## ") + text_of(s.title) + "\n\n";
    for (const paragraph& one : s.text) text += wrapped(text_of(one)) + "\n";
    if (s.histogram != nullptr) text += blocks_of(*s.histogram);
    bool first = true;
    for (const table& t : s.tables) {
      if (t.bulky) continue;
      text += (first ? "" : "\n") + text_of(t);
      first = false;
    }
  }
  return text;
}

}  // namespace lab
