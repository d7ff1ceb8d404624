// Files: exact reads, one clear line for everything that is not a readable file, atomic writes.
#include <lab/io/file.hpp>

#include "lab/scratch.hpp"
#include "support/test.hpp"

#include <array>

#include <sys/stat.h>

namespace fs = std::filesystem;

TEST_CASE("input_file reads any range and nothing beyond the end") {
  const test::scratch dir;
  const lab::input_file file(dir.write("f", "0123456789"));
  CHECK(file.size() == 10);
  std::array<char, 4> got{};
  const auto out = std::as_writable_bytes(std::span(got));
  file.read(6, out);
  CHECK(std::string(got.data(), 4) == "6789");
  file.read(10, out.first(0));
  CHECK(test::contains(test::rejection([&] { file.read(7, out); }), "byte offset 7"));
  CHECK(test::rejection([&] { file.read(~std::uint64_t{0}, out); }) != "");
}

TEST_CASE("a file that shrinks while it is open is an input error") {
  const test::scratch dir;
  const auto path = dir.write("f", std::string(100, 'x'));
  const lab::input_file file(path);
  fs::resize_file(path, 50);
  std::array<std::byte, 100> out{};
  CHECK(test::contains(test::rejection([&] { file.read(0, out); }), "became shorter"));
}

TEST_CASE("what is not a regular file is refused by name") {
  const test::scratch dir;
  const auto says = [](const fs::path& path) {
    return test::rejection([&] { lab::input_file file(path); });
  };
  CHECK(test::contains(says(dir.path()), "is a folder"));
  CHECK(test::contains(says(dir.path() / "none"), "No such file"));
  CHECK(test::contains(says("/dev/zero"), "not a regular file"));
  CHECK(test::contains(says(""), "No such file"));
  CHECK(test::contains(test::rejection([&] { return lab::read_file(dir.write("f", "abc"), 2); }),
                       "expected at most 2"));
  CHECK(lab::read_file(dir.path() / "f", 3) == "abc");
}

TEST_CASE("output_file appears when finished and leaves nothing behind otherwise") {
  const test::scratch dir;
  const auto path = dir.path() / "out";
  const auto files = [&] {
    return std::distance(fs::directory_iterator(dir.path()), fs::directory_iterator());
  };
  {
    lab::output_file file(path);
    file.write("half");
    CHECK(!fs::exists(path));
  }
  CHECK(files() == 0);
  dir.write("out", "old");
  const lab::input_file old(path);
  {
    lab::output_file file(path);
    file.write("new text");
    CHECK(test::slurp(path) == "old");
    file.finish();
  }
  CHECK(test::slurp(path) == "new text");
  CHECK(files() == 1);
  std::array<char, 3> got{};  // a reader of the old file is not disturbed
  old.read(0, std::as_writable_bytes(std::span(got)));
  CHECK(std::string(got.data(), 3) == "old");
  CHECK((fs::status(path).permissions() & fs::perms::group_read) != fs::perms::none);
}

TEST_CASE("output_file keeps links and devices and names a place that cannot be written") {
  const test::scratch dir;
  dir.write("target", "old");
  fs::create_symlink("target", dir.path() / "link");
  lab::output_file through(dir.path() / "link");
  through.write("new");
  through.finish();
  CHECK(fs::is_symlink(dir.path() / "link"));
  CHECK(test::slurp(dir.path() / "target") == "new");

  lab::output_file null("/dev/null");
  null.write("x");
  null.finish();
  CHECK(fs::is_character_file("/dev/null"));

  lab::output_file full("/dev/full");  // a full disk is nobody's wrong input
  CHECK_THROWS_WITH(full.write("x"), "/dev/full: cannot be written: No space left on device");
  try {
    full.write("x");
  } catch (const lab::input_error&) {
    FAIL("an input_error");
  } catch (const std::runtime_error&) {
  }

  CHECK(test::contains(test::rejection([&] { lab::output_file f(dir.path()); }), "is a folder"));
  CHECK(test::contains(test::rejection([&] { lab::output_file f(dir.path() / "no" / "f"); }),
                       "cannot be written"));
}

TEST_CASE("What can be written is found out without a trace") {
  const test::scratch dir;
  const auto says = [](auto check, const fs::path& path) {
    return test::rejection([&] {
      check(path);
      return 0;
    });
  };
  const auto file = dir.write("f", "old"), none = dir.path() / "none";
  CHECK(says(lab::require_writable, file) == "");
  CHECK(says(lab::require_writable, none) == "");
  CHECK(says(lab::require_writable, "/dev/null") == "");
  CHECK(test::contains(says(lab::require_writable, dir.path()), "is a folder"));
  CHECK(test::contains(says(lab::require_writable, none / "x"), "none/x: cannot be written: "));
  CHECK(test::contains(says(lab::require_writable, file / "x"), "f/x: cannot be written: "));
  const auto pipe = dir.path() / "pipe";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  CHECK(says(lab::require_writable, pipe) == "");  // without waiting for its reader

  CHECK(says(lab::require_folder, dir.path()) == "");
  CHECK(says(lab::require_folder, none) == "");
  CHECK(says(lab::require_folder, none / "a" / "b/") == "");
  CHECK(test::contains(says(lab::require_folder, file), "f: cannot be made: "));
  CHECK(test::contains(says(lab::require_folder, file / "x"), "f/x: cannot be made: "));
  CHECK(test::contains(says(lab::require_folder, "/proc/x/y"), "/proc/x/y: cannot be made: "));
  CHECK(test::slurp(file) == "old");
  CHECK(std::distance(fs::directory_iterator(dir.path()), fs::directory_iterator()) == 2);

  lab::make_folder(none / "a" / "b");
  lab::make_folder(none / "a" / "b/");
  CHECK(fs::is_directory(none / "a" / "b"));
  CHECK(test::contains(says(lab::make_folder, file / "x"), "f/x: cannot be made: "));
}
