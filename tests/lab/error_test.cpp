// Messages are one line of printable text whatever a file puts into a name.
#include <lab/io/error.hpp>

#include "lab/scratch.hpp"
#include "support/test.hpp"

TEST_CASE("printable escapes what a terminal would obey") {
  CHECK(lab::printable("wte.weight") == "wte.weight");
  CHECK(lab::printable("caf\xC3\xA9") == "caf\xC3\xA9");
  CHECK(lab::printable("a\nb\x1b[2J\x7f") == "a\\x0ab\\x1b[2J\\x7f");
  CHECK(lab::printable("\xC2\x9B"
                       "31m") == "\\xc2\\x9b31m");    // C1 control
  CHECK(lab::printable("\xFF\xC3") == "\\xff\\xc3");  // not UTF-8
  CHECK(lab::printable("\xE2\x80\xAE"
                       "x") == "\\xe2\\x80\\xaex");  // right-to-left override
  CHECK(lab::printable(std::string(500, 'x'), 10) == "xxxxxxxxxx...");
  CHECK(lab::in_quotes("a\tb") == "\"a\\x09b\"");
}

TEST_CASE("every byte gives a line of printable ASCII or UTF-8") {
  for (int byte = 0; byte < 256; ++byte) {
    const std::string text = lab::printable(std::string(1, static_cast<char>(byte)));
    for (char c : text) CHECK((c >= 0x20 && c < 0x7F));
  }
}

TEST_CASE("a rejection names file, offset and problem in one bounded line") {
  const auto message = [](const lab::place& where, const std::string& text) {
    return test::rejection([&] { lab::reject(where, text, " and ", 7); });
  };
  CHECK(message({"a.json"}, "bad") == "a.json: bad and 7");
  CHECK(message({"a.json", 12}, "bad") == "a.json: byte offset 12: bad and 7");
  CHECK(message({"a\nb"}, std::string(100000, 'y')).size() < 700);
  CHECK(!test::contains(message({"a\nb"}, "x\ny"), "\n"));
}
