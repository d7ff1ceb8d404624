// Elements as text.
#include <lab/io/error.hpp>
#include <lab/report/format.hpp>
#include <lab/report/svg.hpp>

namespace lab {

namespace {

/// One decimal, none when it is zero.
std::string short_number(double x) {
  std::string text = format("%.1f", x);
  if (text.ends_with(".0")) text.resize(text.size() - 2);
  return text == "-0" ? "0" : text;
}

std::string attribute(const char* name, double value) {
  return format(" %s=\"%s\"", name, short_number(value).c_str());
}

std::string style_of(std::string_view style) {
  return style.empty() ? std::string() : " class=\"" + escaped(style) + "\"";
}

}  // namespace

std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : printable(text, text.size() * 4)) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      case '\'':
        result += "&#39;";
        break;
      default:
        result += c;
    }
  }
  return result;
}

svg::svg(double width, double height, std::string_view title, std::string_view description) {
  body_ = "<svg role=\"img\" viewBox=\"0 0 " + short_number(width) + " " + short_number(height) +
          "\"" + attribute("width", width) + attribute("height", height) +
          " xmlns=\"http://www.w3.org/2000/svg\">\n<title>" + escaped(title) + "</title><desc>" +
          escaped(description) + "</desc>\n";
}

void svg::finish(std::string_view element, std::string_view hint) {
  if (hint.empty()) {
    body_ += "/>\n";
  } else {
    ((((body_ += "><title>") += escaped(hint)) += "</title></") += element) += ">\n";
  }
}

void svg::rect(double x, double y, double width, double height, std::string_view style,
               std::string_view hint) {
  body_ += "<rect" + attribute("x", x) + attribute("y", y) + attribute("width", width) +
           attribute("height", height) + style_of(style);
  finish("rect", hint);
}

void svg::line(double x1, double y1, double x2, double y2, std::string_view style) {
  body_ += "<line" + attribute("x1", x1) + attribute("y1", y1) + attribute("x2", x2) +
           attribute("y2", y2) + style_of(style) + "/>\n";
}

void svg::circle(double x, double y, double radius, std::string_view style, std::string_view hint) {
  body_ += "<circle" + attribute("cx", x) + attribute("cy", y) + attribute("r", radius) +
           style_of(style);
  finish("circle", hint);
}

void svg::polyline(std::span<const point> points, std::string_view style) {
  if (points.empty()) return;
  body_ += "<polyline" + style_of(style) + " points=\"";
  for (const auto& [x, y] : points) body_ += short_number(x) + "," + short_number(y) + " ";
  body_.back() = '"';
  body_ += "/>\n";
}

void svg::combs(std::span<const double> xs, double y1, double y2, std::string_view style) {
  if (xs.empty()) return;
  body_ += "<path" + style_of(style) + " d=\"";
  for (const double x : xs)
    body_ += "M" + short_number(x) + " " + short_number(y1) + "V" + short_number(y2);
  body_ += "\"/>\n";
}

void svg::text(double x, double y, std::string_view words, std::string_view anchor,
               std::string_view style) {
  body_ += "<text" + attribute("x", x) + attribute("y", y);
  if (anchor != "start") body_ += " text-anchor=\"" + escaped(anchor) + "\"";
  body_ += style_of(style) + ">" + escaped(words) + "</text>\n";
}

}  // namespace lab
