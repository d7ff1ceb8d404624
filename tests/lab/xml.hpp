// A strict reader of the XML that the reports write: tags nest, attributes are quoted and appear
// once, & begins a known entity, < and > appear nowhere else. HTML's void elements and the contents
// of <style> are let through.
#pragma once

#include <algorithm>
#include <cctype>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace test {

class xml_reader {
 public:
  explicit xml_reader(std::string_view text) : text_(text) {}

  /// "" when the document is well-formed, otherwise what is wrong and where.
  std::string problem() {
    if (rest().substr(0, 15) == "<!DOCTYPE html>") at_ += 15;
    while (at_ < text_.size() && problem_.empty()) {
      if (text_[at_] == '<') {
        tag();
      } else {
        character();
      }
    }
    if (problem_.empty() && !open_.empty()) problem_ = "never closed: " + open_.back();
    return problem_.empty() ? "" : problem_ + " at byte " + std::to_string(at_);
  }
  /// How often each element opened; after problem().
  std::size_t count(const std::string& element) const {
    std::size_t n = 0;
    for (const auto& e : elements_) n += e == element ? 1 : 0;
    return n;
  }

 private:
  std::string_view rest() const { return text_.substr(at_); }
  void fail(const std::string& what) {
    if (problem_.empty()) problem_ = what;
    at_ = text_.size();
  }
  void character() {
    const auto c = static_cast<unsigned char>(text_[at_]);
    if (c == '>' || c == '<') return fail("a bare angle bracket");
    if (c < 0x20 && c != '\n') return fail("a control character");
    if (c != '&') {
      ++at_;
      return;
    }
    for (const std::string_view entity : {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"}) {
      if (rest().substr(0, entity.size()) == entity) {
        at_ += entity.size();
        return;
      }
    }
    fail("an unknown entity");
  }
  std::string name() {
    std::string result;
    while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) != 0 ||
                                  text_[at_] == '-' || text_[at_] == ':')) {
      result += text_[at_++];
    }
    if (result.empty()) fail("a name was expected");
    return result;
  }
  void tag() {
    ++at_;
    if (rest().substr(0, 1) == "/") {
      ++at_;
      const std::string closed = name();
      if (open_.empty() || open_.back() != closed) return fail("</" + closed + "> closes nothing");
      open_.pop_back();
      if (rest().substr(0, 1) != ">") return fail("> was expected");
      ++at_;
      return;
    }
    const std::string element = name();
    elements_.push_back(element);
    attributes();
    if (rest().substr(0, 2) == "/>") {
      at_ += 2;
      return;
    }
    if (rest().substr(0, 1) != ">") return fail("> was expected");
    ++at_;
    if (element == "meta") return;
    open_.push_back(element);
    if (element == "style") at_ = std::min(text_.find("</style>", at_), text_.size());
  }
  void attributes() {
    std::set<std::string> seen;
    while (problem_.empty() && at_ < text_.size() && text_[at_] == ' ') {
      ++at_;
      if (!seen.insert(name()).second) return fail("an attribute twice");
      if (rest().substr(0, 2) != "=\"") return fail("=\" was expected");
      at_ += 2;
      while (at_ < text_.size() && text_[at_] != '"') character();
      if (at_ >= text_.size()) return fail("an attribute without end");
      ++at_;
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::vector<std::string> open_, elements_;
  std::string problem_;
};

inline std::string xml_problem(std::string_view text) {
  return xml_reader(text).problem();
}

}  // namespace test
