// What the user of zp-bench may get wrong: files of shapes and the program's own flags. Nothing runs
// before all of it was read; a mistake is one line that says what, where and what was expected.
#pragma once

#include <zeropoint/gemm/epilogue.hpp>

#include <charconv>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace bench {

namespace zp = zeropoint;

class input_error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Of rows and columns: what the memory of a large machine holds.
inline constexpr std::size_t most_rows = std::size_t{1} << 20;
/// Of sums of int8 products that fit 32 bits.
inline constexpr std::size_t most_depth = zp::max_depth(128, 128);

/// The whole text as a number from 1 to `most`. False when it is anything else.
[[nodiscard]] inline bool read_number(const std::string& text, std::size_t most, std::size_t& to) {
  const char* const end = text.data() + text.size();
  const auto [stop, problem] = std::from_chars(text.data(), end, to);
  return problem == std::errc() && stop == end && to >= 1 && to <= most;
}

struct shape {
  std::string name;
  std::size_t k = 0, n = 0;
};

/// Lines of NAME K N; what follows a # is a comment.
[[nodiscard]] inline std::vector<shape> read_shapes(const std::string& path) {
  std::ifstream in(path);
  if (!in) throw input_error(path + ": cannot be opened, expected a file with lines NAME K N");
  std::vector<shape> shapes;
  std::size_t number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    std::istringstream fields(line.substr(0, line.find('#')));
    std::vector<std::string> words;
    for (std::string word; fields >> word;) words.push_back(word);
    if (words.empty()) continue;
    shape s{words[0]};
    if (words.size() != 3 || !read_number(words[1], most_depth, s.k) ||
        !read_number(words[2], most_rows, s.n)) {
      throw input_error(path + ", line " + std::to_string(number) + ": \"" + line +
                        "\", expected NAME K N with K from 1 to " + std::to_string(most_depth) +
                        " and N from 1 to " + std::to_string(most_rows));
    }
    shapes.push_back(s);
  }
  if (shapes.empty()) throw input_error(path + ": no shape, expected lines NAME K N");
  return shapes;
}

/// What a product of s8 gives; u8_s32: of activations that are moved up by 128.
enum class output { s32, u8_s32, f32, s8, int4 };

/// One that has a name.
[[nodiscard]] inline output output_of(const std::string& name) {
  if (name == "s32") return output::s32;
  if (name == "f32") return output::f32;
  if (name == "s8") return output::s8;
  if (name == "int4") return output::int4;
  throw input_error("output \"" + name + "\", expected s32, f32, s8 or int4");
}

/// zp-bench's own flags. No kernels: the best one.
struct options {
  std::vector<std::string> shapes, kernels, weights{"hot"}, outputs{"s32", "f32"};
  std::vector<std::size_t> m{1, 4, 8, 16, 32, 128, 512};
  std::size_t threads = 1;

  /// Takes an argument if it is one of these flags; throws input_error when its value is none.
  [[nodiscard]] bool take(const std::string& argument);

 private:
  [[nodiscard]] static std::size_t number(const std::string& flag, const std::string& text,
                                          std::size_t most) {
    std::size_t value = 0;
    if (read_number(text, most, value)) return value;
    throw input_error(flag + ": \"" + text + "\", expected a whole number from 1 to " +
                      std::to_string(most));
  }
};

inline bool options::take(const std::string& argument) {
  const std::size_t equals = argument.find('=');
  const std::string flag = argument.substr(0, equals);
  if (flag != "--shapes" && flag != "--m" && flag != "--kernels" && flag != "--weights" &&
      flag != "--outputs" && flag != "--threads") {
    return false;
  }
  std::vector<std::string> parts;
  if (equals != std::string::npos) {
    std::istringstream list(argument.substr(equals + 1));
    for (std::string part; std::getline(list, part, ',');) parts.push_back(part);
  }
  if (parts.empty()) throw input_error(flag + ": no value, expected " + flag + "=VALUE");
  if (flag == "--shapes") {
    shapes = parts;
  } else if (flag == "--kernels") {
    kernels = parts;
  } else if (flag == "--weights") {
    for (const std::string& one : parts) {
      if (one != "hot" && one != "cold") {
        throw input_error(flag + ": \"" + one + "\", expected hot or cold");
      }
    }
    weights = parts;
  } else if (flag == "--outputs") {
    for (const std::string& one : parts) static_cast<void>(output_of(one));
    outputs = parts;
  } else if (flag == "--m") {
    m.clear();
    for (const std::string& one : parts) m.push_back(number(flag, one, most_rows));
  } else {
    threads = number(flag, argument.substr(equals + 1), 1024);
  }
  return true;
}

}  // namespace bench
