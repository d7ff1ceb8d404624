// The words and the tables of a page, the same for a browser and for a terminal; charts come on top
// in html.cpp, lines of blocks in markdown.cpp.
#pragma once

#include <lab/report/page.hpp>

namespace lab {

/// A piece of a sentence. Names come from files, and are set apart from the text.
struct words {
  words(const char* t) : text(t) {}             // NOLINT: sentences read better
  words(std::string t) : text(std::move(t)) {}  // NOLINT
  std::string text;
  bool is_name = false;
};
[[nodiscard]] inline words named(std::string name) {
  words w(std::move(name));
  w.is_name = true;
  return w;
}
using paragraph = std::vector<words>;

enum class cell_kind { name, text, number };

struct table {
  std::string caption;
  std::vector<std::pair<std::string, cell_kind>> columns;
  std::vector<std::vector<std::string>> rows;
  bool folded = false;  ///< a browser shows it on demand
  bool bulky = false;   ///< a terminal does without
};

struct section {
  std::string id;  ///< names its charts (figures.hpp)
  paragraph title;
  std::vector<paragraph> text;
  std::vector<table> tables;
  const grid_histogram* histogram = nullptr;  ///< of a page: the section is about this one
};

/// One of the numbers at the top.
struct fact {
  std::string label, value;
  paragraph note;
};

struct content {
  std::string title;
  std::vector<paragraph> introduction;
  std::vector<fact> facts;
  std::vector<section> sections;
};
[[nodiscard]] content content_of(const page& p);

/// The class of a channel whose largest |x| is `ratio` times that of the median channel: an index
/// into channel_classes(), of which those from channel_outliers on are outliers.
[[nodiscard]] std::size_t channel_class(double ratio);
[[nodiscard]] const std::vector<std::string>& channel_classes();
inline constexpr std::size_t channel_outliers = 5;
/// Every channel over the median channel; infinite where that is 0 and the channel is not.
[[nodiscard]] std::vector<double> channel_ratios(const input_shape& s);

/// The codes that most ordinary values take: those between the 0.05 % and the 99.95 % quantile.
struct code_span {
  int first = 0, last = 0;
};
[[nodiscard]] code_span usual_codes(const grid_histogram& h);

}  // namespace lab
