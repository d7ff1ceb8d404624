// The page for a browser: one file, no script; everything that came from outside is escaped.
#include <lab/report/figures.hpp>
#include <lab/report/style.hpp>
#include <lab/report/svg.hpp>

namespace lab {

namespace {

std::string html_of(const paragraph& p) {
  std::string text;
  for (const words& w : p) {
    text += w.is_name ? "<code>" + escaped(w.text) + "</code>" : escaped(w.text);
  }
  return text;
}

std::string cell(const char* tag, cell_kind kind, const std::string& text, const char* scope = "") {
  const std::string inside =
      kind == cell_kind::name ? html_of(paragraph{named(text)}) : escaped(text);
  return std::string("<") + tag + scope + (kind == cell_kind::number ? " class=\"n\">" : ">") +
         inside + "</" + tag + ">";
}

std::string html_of(const table& t) {
  std::string text = "<div class=\"wide\"><table>";
  if (!t.folded) text += "<caption>" + escaped(t.caption) + "</caption>";
  text += "\n<thead><tr>";
  for (const auto& [title, kind] : t.columns) {
    text += cell("th", kind == cell_kind::name ? cell_kind::text : kind, title, " scope=\"col\"");
  }
  text += "</tr></thead>\n<tbody>\n";
  for (const auto& row : t.rows) {
    text += "<tr>";
    for (std::size_t j = 0; j < row.size(); ++j) text += cell("td", t.columns[j].second, row[j]);
    text += "</tr>\n";
  }
  text += "</tbody></table></div>\n";
  if (!t.folded) return text;
  return "<details><summary>Table: " + escaped(t.caption) + "</summary>\n" + text + "</details>\n";
}

std::string html_of(const page& p, const section& s) {
  const char* heading = s.histogram != nullptr ? "h3" : "h2";
  std::string text =
      std::string("<section>\n<") + heading + ">" + html_of(s.title) + "</" + heading + ">\n";
  for (const paragraph& one : s.text) text += "<p>" + html_of(one) + "</p>\n";
  for (const std::string& figure : figures_of(p, s)) text += "<figure>" + figure + "</figure>\n";
  for (const table& t : s.tables) text += html_of(t);
  return text + "</section>\n";
}

}  // namespace

std::string html_of(const page& p) {
  const content c = content_of(p);
  std::string text =
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" "
      "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n<title>" +
      escaped(c.title) + "</title>\n<style>" + style_sheet +
      "</style>\n</head>\n<body>\n<main>\n<h1>" + escaped(c.title) + "</h1>\n";
  for (const paragraph& one : c.introduction)
    text += "<p class=\"lead\">" + html_of(one) + "</p>\n";
  text += "<dl class=\"facts\">\n";
  for (const fact& f : c.facts) {
    text += "<div><dt>" + escaped(f.label) + "</dt><dd class=\"value\">" + escaped(f.value) +
            "</dd><dd>" + html_of(f.note) + "</dd></div>\n";
  }
  text += "</dl>\n";
  for (const section& s : c.sections) text += html_of(p, s);
  return text + "</main>\n</body>\n</html>\n";
}

}  // namespace lab
