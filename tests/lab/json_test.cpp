// The strict layer: a table of texts that a lenient parser takes and this one must not.
#include <lab/io/json.hpp>

#include "lab/scratch.hpp"
#include "support/test.hpp"

namespace {

std::string says(const std::string& text, unsigned depth = 8) {
  return test::rejection([&] { return lab::parse_json(text, "f.json", depth); });
}

}  // namespace

TEST_CASE("parse_json builds the value") {
  const auto tree = lab::parse_json(
      R"( {"a":[1,-2,2.5,true,false,null,"\u00e9\ud83d\ude00"],"b":{"c":{}},"":[]} )", "f");
  CHECK(tree ==
        nlohmann::json::parse(R"({"a":[1,-2,2.5,true,false,null,"é😀"],"b":{"c":{}},"":[]})"));
  CHECK(lab::parse_json("18446744073709551615", "f").get<std::uint64_t>() == ~std::uint64_t{0});
  CHECK(lab::parse_json("3", "f") == 3);
}

TEST_CASE("what JSON does not allow is refused with its place") {
  struct bad {
    std::string text, expected;
  };
  using namespace std::string_literals;
  for (const auto& [text, expected] : {
           bad{"", "empty"},
           bad{" ", "JSON"},
           bad{"{", "JSON"},
           bad{"{}x", "JSON"},
           bad{"{}\0"s, "zero byte"},
           bad{"{}\0{\"a\":1}"s, "byte offset 2: JSON: a zero byte"},
           bad{"\xEF\xBB\xBF{}", "byte order mark"},
           bad{R"({"a":1,"a":2})", "byte offset 10: JSON: the key \"a\" appears twice"},
           bad{R"({"x":{"a":1,"b":{},"a":2}})", "the key \"a\" appears twice"},
           bad{R"({"a":1,"\u0061":2})", "the key \"a\" appears twice"},
           bad{"[1,]", "JSON"},
           bad{"{a:1}", "JSON"},
           bad{"['a']", "JSON"},
           bad{"[01]", "JSON"},
           bad{"[+1]", "JSON"},
           bad{"[.5]", "JSON"},
           bad{"[NaN]", "JSON"},
           bad{"[1e999]", "JSON"},
           bad{"[1] // x", "JSON"},
           bad{"[\"\xFF\"]", "JSON"},
           bad{"[\"\xC0\x80\"]", "JSON"},
           bad{"[\"\xED\xA0\x80\"]", "JSON"},
           bad{R"(["\ud800"])", "JSON"},
           bad{R"(["\udc00x"])", "JSON"},
           bad{"[\"\n\"]", "JSON"},
           bad{"[[[[[[[[[1]]]]]]]]]", "nested deeper than 8"},
           bad{std::string(1000000, '['), "nested deeper than 8"},
       }) {
    const std::string message = says(text);
    CAPTURE(message, lab::printable(text));
    CHECK(test::contains(message, "f.json: "));
    CHECK(test::contains(message, expected));
    CHECK(message.size() < 700);
  }
  CHECK(says("[[[[[[[[1]]]]]]]]") == "");
}

TEST_CASE("equal keys in different objects are fine") {
  CHECK(says(R"({"a":{"a":1},"b":{"a":1},"c":[{"a":1},{"a":1}]})") == "");
}

TEST_CASE("json_object reports key, value and range") {
  const auto tree = lab::parse_json(
      R"({"n":12,"big":99,"neg":-1,"real":1.0,"text":"x","yes":true,"no":null,"in":{"k":5}})", "f");
  const lab::json_object object(tree, "f");
  CHECK(object.integer("n", 1, 12) == 12);
  CHECK(object.maybe_integer("no", 0, 1) == std::nullopt);
  CHECK(object.maybe_integer("absent", 0, 1) == std::nullopt);
  CHECK(object.boolean("yes", false));
  CHECK(object.boolean("no", true));
  CHECK(object.real("n", 0) == 12);
  CHECK(object.real("real", 0) == 1);
  CHECK(object.maybe_text("text") == "x");
  CHECK(object.object("in").integer("k", 0, 9) == 5);
  const auto wrong = [](auto&& call) { return test::rejection(call); };
  CHECK(wrong([&] { return object.integer("big", 1, 98); }) ==
        "f: big: is 99; expected an integer from 1 to 98");
  CHECK(test::contains(wrong([&] { return object.integer("neg", 0, 9); }), "neg: is -1"));
  CHECK(test::contains(wrong([&] { return object.integer("real", 0, 9); }), "real: is 1.0"));
  CHECK(test::contains(wrong([&] { return object.integer("text", 0, 9); }), "text: is \"x\""));
  CHECK(test::contains(wrong([&] { return object.integer("in", 0, 9); }), "in: is object"));
  CHECK(wrong([&] { return object.integer("absent", 0, 9); }) == "f: absent: is missing");
  CHECK(test::contains(wrong([&] { return object.boolean("n", false); }), "n: is a number"));
  CHECK(test::contains(wrong([&] { return object.real("text", 0); }), "expected a number"));
  CHECK(test::contains(wrong([&] { return object.maybe_text("n"); }), "expected a string"));
  CHECK(test::contains(wrong([&] { return object.object("n"); }), "expected an object"));
  CHECK(test::contains(wrong([&] { return object.object("in").integer("z", 0, 1); }), "in.z"));
}
