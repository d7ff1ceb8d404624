// zp-lab in a test: run() with the standard streams caught, and text to run it on.
#pragma once

#include "support/test.hpp"

#include <lab/cli/commands.hpp>

#include <iostream>
#include <sstream>
#include <string>
#include <vector>

namespace test {

struct outcome {
  int code = -1;
  std::string out, err;
};

/// Swaps the buffer of a stream for its lifetime.
class captured {
 public:
  explicit captured(std::ostream& stream) : stream_(stream), old_(stream.rdbuf(text_.rdbuf())) {}
  captured(const captured&) = delete;
  captured& operator=(const captured&) = delete;
  ~captured() { stream_.rdbuf(old_); }
  [[nodiscard]] std::string text() const { return text_.str(); }

 private:
  std::ostringstream text_;
  std::ostream& stream_;
  std::streambuf* old_;
};

inline outcome zp_lab(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "zp-lab");
  std::vector<const char*> argv;
  for (const auto& a : arguments) argv.push_back(a.c_str());
  const captured out(std::cout), err(std::cerr);
  const int code = lab::cli::run(static_cast<int>(argv.size()), argv.data());
  return {code, out.text(), err.text()};
}

/// Random words and lines.
inline std::string some_text(std::size_t bytes, std::uint64_t salt = 41) {
  generator g(seed(salt));
  std::string text;
  while (text.size() < bytes) {
    text += static_cast<char>('a' + g() % 26);
    if (g() % 6 == 0) text += ' ';
    if (g() % 60 == 0) text += '\n';
  }
  return text;
}

}  // namespace test
