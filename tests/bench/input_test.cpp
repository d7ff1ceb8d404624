// What zp-bench refuses: mistakes in files of shapes and in its flags, each with a line that says what,
// where and what was expected.
#include <bench/input.hpp>

#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "support/test.hpp"

namespace {

using bench::input_error;

class shapes_file {
 public:
  explicit shapes_file(const std::string& text)
      : path_(std::filesystem::temp_directory_path() /
              ("zp-shapes-" + std::to_string(getpid()) + ".txt")) {
    std::ofstream(path_) << text;
  }
  ~shapes_file() { std::filesystem::remove(path_); }
  shapes_file(const shapes_file&) = delete;
  [[nodiscard]] std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

/// What read_shapes says to it.
std::string refusal(const std::string& text) {
  const shapes_file file(text);
  try {
    static_cast<void>(bench::read_shapes(file.path()));
  } catch (const input_error& problem) {
    return problem.what();
  }
  return "";
}

/// What options say to an argument.
std::string refused(const std::string& argument) {
  bench::options o;
  try {
    static_cast<void>(o.take(argument));
  } catch (const input_error& problem) {
    return problem.what();
  }
  return "";
}

}  // namespace

TEST_CASE("a file of shapes has a name and two sizes a line, and comments") {
  const shapes_file file("# layer K N\n\nqkv 768 2304\n  deep\t131071 1  # the deepest sum\n");
  const auto shapes = bench::read_shapes(file.path());
  REQUIRE(shapes.size() == 2);
  CHECK(shapes[0].name == "qkv");
  CHECK(shapes[0].k == 768);
  CHECK(shapes[0].n == 2304);
  CHECK(shapes[1].name == "deep");
  CHECK(shapes[1].k == 131071);
  CHECK(shapes[1].n == 1);
}

TEST_CASE("the shapes that come with the benchmarks can be read") {
  for (const auto& file : std::filesystem::directory_iterator("bench/shapes")) {
    CAPTURE(file.path().string());
    CHECK_FALSE(bench::read_shapes(file.path().string()).empty());
  }
}

TEST_CASE("a line that is no shape is refused with its number and what was expected") {
  for (const std::string line :
       {"y -3 4", "bad 12", "x 0 4", "x 4 0", "x 4x 4", "x 4 4 4", "x 131072 1", "x 1 1048577",
        "x 99999999999999999999 1", "x 1.5 2", "alone"}) {
    CAPTURE(line);
    const std::string said = refusal("a 1 1\n" + line + "\n");
    CHECK_THAT(said, Catch::Contains("line 2: \"" + line + "\", expected NAME K N"));
    CHECK(said.find('\n') == std::string::npos);
  }
  CHECK_THAT(refusal(""), Catch::Contains("no shape, expected"));
  CHECK_THAT(refusal("# only a comment\n"), Catch::Contains("no shape, expected"));
  CHECK_THROWS_WITH(bench::read_shapes("no/such/file"),
                    Catch::Contains("no/such/file") && Catch::Contains("expected"));
}

TEST_CASE("zp-bench's own flags are taken, all others left") {
  bench::options o;
  CHECK(o.m == std::vector<std::size_t>{1, 4, 8, 16, 32, 128, 512});
  CHECK(o.take("--m=1,77"));
  CHECK(o.take("--shapes=a.txt,b.txt"));
  CHECK(o.take("--kernels=scalar"));
  CHECK(o.take("--weights=cold,hot"));
  CHECK(o.take("--outputs=int4,s8"));
  CHECK(o.take("--threads=2"));
  CHECK(o.m == std::vector<std::size_t>{1, 77});
  CHECK(o.shapes == std::vector<std::string>{"a.txt", "b.txt"});
  CHECK(o.kernels == std::vector<std::string>{"scalar"});
  CHECK(o.weights == std::vector<std::string>{"cold", "hot"});
  CHECK(o.outputs == std::vector<std::string>{"int4", "s8"});
  CHECK(o.threads == 2);
  for (const char* other : {"--benchmark_filter=x", "--mm=1", "m=1", "", "--help", "-m"}) {
    CAPTURE(other);
    CHECK_FALSE(o.take(other));
  }
}

TEST_CASE("a flag without a value that makes sense is refused with what was expected") {
  for (const std::string text : {"abc", "0", "-1", "1x", " 1", "1048577", "1,,2", "1,0"}) {
    CAPTURE(text);
    CHECK_THAT(refused("--m=" + text),
               Catch::Contains("--m: \"") && Catch::Contains("expected a whole number from 1 to"));
  }
  for (const std::string text : {"x", "0", "1025", "1,2"}) {
    CAPTURE(text);
    CHECK_THAT(refused("--threads=" + text), Catch::Contains("--threads: \"" + text + "\""));
  }
  CHECK(refused("--weights=warm") == "--weights: \"warm\", expected hot or cold");
  CHECK(refused("--outputs=f64") == "output \"f64\", expected s32, f32, s8 or int4");
  for (const std::string flag : {"--m", "--m=", "--shapes=", "--threads=", "--weights"}) {
    CAPTURE(flag);
    CHECK_THAT(refused(flag), Catch::Contains("no value, expected"));
  }
}
