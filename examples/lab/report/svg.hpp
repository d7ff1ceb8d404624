// A drawing in a page: elements are appended as text, colours come from the page's style sheet by
// class, numbers have one decimal, and every string that came from outside is escaped.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace lab {

/// Text for an element or a quoted attribute of HTML and XML: & < > " ' as entities, and what
/// printable() does not print (control characters, invalid UTF-8) as \xNN.
[[nodiscard]] std::string escaped(std::string_view text);

class svg {
 public:
  using point = std::pair<double, double>;

  /// `title` names the drawing and `description` says what it shows, for those who cannot see it.
  svg(double width, double height, std::string_view title, std::string_view description);

  // `style` is a list of classes; `hint`, when given, shows under the pointer.
  void rect(double x, double y, double width, double height, std::string_view style,
            std::string_view hint = {});
  void line(double x1, double y1, double x2, double y2, std::string_view style);
  void circle(double x, double y, double radius, std::string_view style,
              std::string_view hint = {});
  void polyline(std::span<const point> points, std::string_view style);
  /// Many vertical lines as one element.
  void combs(std::span<const double> xs, double y1, double y2, std::string_view style);
  /// `anchor` is start, middle or end.
  void text(double x, double y, std::string_view words, std::string_view anchor = "start",
            std::string_view style = {});

  [[nodiscard]] std::string str() const { return body_ + "</svg>\n"; }

 private:
  void finish(std::string_view element, std::string_view hint);

  std::string body_;
};

}  // namespace lab
