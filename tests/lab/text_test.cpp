// Joining lines, hashing, ids as files.
#include <lab/io/text.hpp>

#include "lab/scratch.hpp"
#include "support/test.hpp"

TEST_CASE("lines are joined as the HuggingFace rows are") {
  const auto join = lab::join_lines_as_huggingface;
  CHECK(join("") == "");
  CHECK(join("a\n") == "a\n");
  CHECK(join("a") == "a");
  CHECK(join(" \n = T = \n \n x \n") == "\n\n = T = \n\n\n\n\n x \n");
  CHECK(join("a\n\nb") == "a\n\n\n\n\nb");
  CHECK(join(" \t\x1f\xC2\xA0\n") == "");             // what Python's strip() takes away
  CHECK(join("\xE2\x80\x8B\n") == "\xE2\x80\x8B\n");  // a zero-width space is not white space
}

TEST_CASE("WikiText-2 raw test has 4,358 lines, of which the blank ones shrink") {
  const std::string text = lab::read_text("examples/data/wikitext-2-raw/wiki.test.raw");
  std::size_t lines = 0, blank = 0;
  for (std::size_t at = 0; at < text.size(); ++lines) {
    const std::size_t end = text.find('\n', at) + 1;
    REQUIRE(end > 0);
    blank += text.substr(at, end - at).find_first_not_of(" \n") == std::string::npos;
    at = end;
  }
  CHECK(lines == 4358);
  CHECK(blank == 1467);
  // every blank line " \n" loses two bytes, every gap between lines gains two
  CHECK(lab::join_lines_as_huggingface(text).size() == text.size() - 2 * blank + 2 * (lines - 1));
}

TEST_CASE("the hash is FNV-1a") {
  CHECK(lab::text_hash("") == "cbf29ce484222325");
  CHECK(lab::text_hash("a") == "af63dc4c8601ec8c");
  CHECK(lab::text_hash("foobar") == "85944171f73967e8");
}

TEST_CASE("ids are written as little-endian uint16 and read back") {
  const test::scratch dir;
  const auto path = dir.path() / "x.u16";
  const std::vector<std::uint32_t> ids{0, 1, 258, 65535};
  lab::write_ids(path, ids);
  CHECK(test::slurp(path) == std::string("\0\0\1\0\2\1\xFF\xFF", 8));
  CHECK(lab::read_ids(path) == ids);
  const std::vector<std::uint32_t> large{65536};
  CHECK(test::contains(test::rejection([&] { lab::write_ids(path, large); }), "65536"));
  CHECK(lab::read_ids(path) == ids);  // the old file is untouched
  CHECK(test::contains(test::rejection([&] { return lab::read_ids(dir.write("o", "abc")); }),
                       "an even number"));
  CHECK(lab::read_ids(dir.write("e", "")).empty());
}

TEST_CASE("an empty text is refused") {
  const test::scratch dir;
  CHECK(test::contains(test::rejection([&] { return lab::read_text(dir.write("e", "")); }),
                       "is empty"));
}
