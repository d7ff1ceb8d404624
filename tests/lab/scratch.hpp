// What the laboratory's tests share: a folder that disappears, files in one call, and the text of a
// rejection.
#pragma once

#include <lab/io/error.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>

namespace test {

/// A folder of the repository, in whose root every test runs. A constant: static objects of a test file
/// may be built before those of a header.
struct folder {
  const char* name;
  friend std::filesystem::path operator/(folder f, const std::filesystem::path& below) {
    return std::filesystem::path(f.name) / below;
  }
};
inline constexpr folder data{"tests/lab/data"};

inline std::string slurp(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error("cannot open " + path.string());
  return {std::istreambuf_iterator<char>(in), {}};
}

class scratch {
 public:
  scratch() {
    std::string name = (std::filesystem::temp_directory_path() / "zp-lab-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp " + name);
    path_ = name;
  }
  scratch(const scratch&) = delete;
  scratch& operator=(const scratch&) = delete;
  ~scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  std::filesystem::path write(const std::string& name, std::string_view text) const {
    std::ofstream out(path_ / name, std::ios::binary);
    out.write(text.data(), static_cast<std::streamsize>(text.size()));
    if (!out.flush()) throw std::runtime_error("cannot write " + name);
    return path_ / name;
  }

 private:
  std::filesystem::path path_;
};

/// The message when `call` throws lab::input_error, "" when it does not throw. Anything else that is
/// thrown passes on and fails the test.
template <class Call>
std::string rejection(Call&& call) {
  try {
    (void)call();
  } catch (const lab::input_error& problem) {
    return problem.what();
  }
  return "";
}

inline bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

}  // namespace test
