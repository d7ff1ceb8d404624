// Files meant to break a reader: a crafted table, every truncation, every change of a single byte.
// A changed file is either refused with one line or read exactly as its own bytes say.
#include <lab/io/safetensors.hpp>

#include <zeropoint/base/float16.hpp>

#include "lab/safetensors_bytes.hpp"
#include "lab/scratch.hpp"
#include "support/test.hpp"

#include <algorithm>
#include <cstring>
#include <fstream>

namespace {

std::string entry(const std::string& name, const std::string& type, const std::string& shape,
                  const std::string& offsets) {
  std::string text = "\"";
  for (const auto& part : {name, std::string(R"(":{"dtype":")"), type, std::string(R"(","shape":)"),
                           shape, std::string(R"(,"data_offsets":)"), offsets})
    text += part;
  return text + "}";
}

/// A small file with three types, metadata and padding.
std::string sample() {
  std::string header = R"({"__metadata__":{"format":"pt"},)" + entry("w", "F32", "[2,1]", "[0,8]") +
                       "," + entry("h", "F16", "[3]", "[8,14]") + "," +
                       entry("s", "I8", "[]", "[14,15]") + "}";
  header.append((8 - header.size() % 8) % 8, ' ');
  return test::framed(header, std::string_view("\x00\x00\x80\x3f\x01\x02\x03\x04"
                                               "\x00\x3c\x00\xbc\xff\x7b\x85",
                                               15));
}

float read_as(lab::dtype type, const char* at) {
  std::uint16_t half = 0;
  std::memcpy(&half, at, type == lab::dtype::f16 || type == lab::dtype::bf16 ? 2 : 0);
  if (type == lab::dtype::f16) return zeropoint::to_float(zeropoint::float16{half});
  if (type == lab::dtype::bf16) return zeropoint::to_float(zeropoint::bfloat16{half});
  float value = 0;
  if (type == lab::dtype::f32) std::memcpy(&value, at, 4);
  return value;
}

/// True when what was read is what the bytes of the file say: ranges cover the data without a gap,
/// sizes fit the shapes, bytes and floats equal those in the file.
bool consistent(const lab::safetensors& file, const std::string& bytes) {
  std::uint64_t header = 0;
  std::memcpy(&header, bytes.data(), 8);
  const std::uint64_t data = 8 + header;
  std::uint64_t covered = 0;
  for (const auto& info : file.files()[0].tensors()) {
    if (info.begin != covered || info.end < info.begin) return false;
    covered = info.end;
    const auto raw = file.bytes(info.name);
    if (std::memcmp(raw.data(), bytes.data() + data + info.begin, raw.size()) != 0) return false;
    if (info.type == lab::dtype::unknown) continue;
    if (info.bytes() * 8 != info.elements() * lab::bits(info.type)) return false;
    const bool is_float = info.type == lab::dtype::f32 || info.type == lab::dtype::f16 ||
                          info.type == lab::dtype::bf16;
    if (!is_float) continue;
    const auto floats = file.floats(info.name);
    for (std::size_t i = 0; i < floats.size(); ++i) {
      const float expected =
          read_as(info.type, bytes.data() + data + info.begin + i * (lab::bits(info.type) / 8));
      if (std::memcmp(&expected, &floats[i], 4) != 0) return false;
    }
  }
  return data + covered == bytes.size();
}

}  // namespace

TEST_CASE("every truncation is refused") {
  const test::scratch dir;
  const std::string good = sample();
  REQUIRE(consistent(lab::safetensors(dir.write("x.safetensors", good)), good));
  for (std::size_t size = 0; size < good.size(); ++size) {
    const auto path = dir.write("x.safetensors", good.substr(0, size));
    const auto message = test::rejection([&] { lab::safetensors file(path); });
    CAPTURE(size, message);
    CHECK(test::contains(message, "x.safetensors: byte offset "));
    CHECK(!test::contains(message, "\n"));
  }
}

TEST_CASE("a byte more is refused, everywhere") {
  const test::scratch dir;
  const std::string good = sample();
  for (std::size_t at = 8; at <= good.size(); ++at) {
    std::string bad = good;
    bad.insert(at, 1, ' ');
    const auto path = dir.write("x.safetensors", bad);
    CAPTURE(at);
    CHECK(test::rejection([&] { lab::safetensors file(path); }) != "");
  }
}

TEST_CASE("every value of every single byte: refused or read exactly") {
  const test::scratch dir;
  const std::string good = sample();
  const auto path = dir.write("x.safetensors", good);
  std::fstream patch(path, std::ios::binary | std::ios::in | std::ios::out);
  const auto put = [&](std::size_t at, char value) {  // in place: a new file each time is slow
    patch.seekp(static_cast<std::streamoff>(at)).put(value).flush();
    REQUIRE(patch.good());
  };
  std::size_t refused = 0, read = 0, wrong = 0;
  for (std::size_t at = 0; at < good.size(); ++at) {
    std::string changed = good;
    for (int value = 0; value < 256; ++value) {
      changed[at] = static_cast<char>(value);
      put(at, changed[at]);
      const auto message = test::rejection([&] {
        const lab::safetensors file(path);
        wrong += !consistent(file, changed);
        ++read;
      });
      refused += !message.empty();
      wrong += test::contains(message, "\n") || message.size() > 700;
    }
    put(at, good[at]);
  }
  CHECK(wrong == 0);
  CHECK(refused + read == good.size() * 256);
  CHECK(refused > 30000);  // most of the header is structure
  CHECK(read > 15 * 256);  // at least every change of the data, which has 15 bytes
  CHECK(test::slurp(path) == good);
}

TEST_CASE("crafted files") {
  struct bad {
    std::string file, expected;
  };
  const auto framed = [](const std::string& header, const std::string& data = "") {
    return test::framed(header, data);
  };
  const auto sized = [](std::uint64_t size, const std::string& rest) {
    std::string result(8, '\0');
    std::memcpy(result.data(), &size, 8);
    return result + rest;
  };
  const std::string max48 = "281474976710655", over48 = "281474976710656";
  for (const auto& [file, expected] : {
           bad{"", "has 0 bytes"},
           bad{"1234567", "has 7 bytes"},
           bad{sized(0, ""), "begins with"},
           bad{sized(3, "{}"), "the file has 2"},
           bad{sized(100'000'001, "{}"), "at most 100000000"},
           bad{sized(~std::uint64_t{0}, "{}"), "at most 100000000"},
           bad{sized(std::uint64_t{1} << 63, "{}"), "at most 100000000"},
           bad{framed(" {}"), "expected {"},
           bad{framed("[]"), "expected {"},
           bad{framed("\"x\""), "expected {"},
           bad{framed("{}{}"), "JSON"},
           bad{framed(std::string("{}\0\0", 4)), "zero byte"},
           bad{framed("{}", "x"), "trailing bytes"},
           bad{framed("{" + entry("a", "U8", "[1]", "[0,1]") + "}", "xy"), "trailing bytes"},
           bad{framed("{" + entry("a", "U8", "[2]", "[0,2]") + "}", "x"), "cut off"},
           bad{framed("{" + entry("a", "U8", "[2]", "[0,1]") + "}", "x"), "needs 2 bytes"},
           bad{framed("{" + entry("a", "F32", "[1]", "[1,5]") + "}", "12345"), "a hole"},
           bad{framed("{" + entry("a", "U8", "[2]", "[0,2]") + "," +
                          entry("b", "U8", "[2]", "[1,3]") + "}",
                      "123"),
               "overlap"},
           bad{framed("{" + entry("a", "U8", "[2]", "[0,2]") + "," +
                          entry("b", "U8", "[2]", "[0,2]") + "}",
                      "12"),
               "overlap"},
           bad{framed("{" + entry("a", "U8", "[1]", "[0,1]") + "," +
                          entry("b", "U8", "[1]", "[2,3]") + "}",
                      "123"),
               "a hole"},
           bad{framed("{" + entry("a", "U8", "[0]", "[1,0]") + "}", "1"), "begin at 1"},
           bad{framed("{" + entry("a", "U8", "[1]", "[0,1]") + "," +
                          entry("a", "U8", "[1]", "[1,2]") + "}",
                      "12"),
               "\"a\" appears twice"},
           bad{framed(R"({"a":{"dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1]}})", "x"),
               "\"dtype\" appears twice"},
           bad{framed(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":1}})", "x"),
               "unknown field \"x\""},
           bad{framed(R"({"a":{"dtype":"U8","shape":[1]}})"), "expected dtype, shape and"},
           bad{framed(R"({"a":{}})"), "expected dtype, shape and"},
           bad{framed(R"({"a":1})"), "expected an object"},
           bad{framed(R"({"a":[]})"), "expected an object"},
           bad{framed(R"({"a":null})"), "expected an object"},
           bad{framed(R"({"a":{"dtype":5,"shape":[1],"data_offsets":[0,1]}})", "x"), "a string"},
           bad{framed(R"({"a":{"dtype":["U8"],"shape":[1],"data_offsets":[0,1]}})", "x"),
               "a string"},
           bad{framed(R"({"a":{"dtype":"U8","shape":1,"data_offsets":[0,1]}})", "x"), "an array"},
           bad{framed(R"({"a":{"dtype":"U8","shape":"1","data_offsets":[0,1]}})", "x"), "an array"},
           bad{framed(R"({"a":{"dtype":"U8","shape":{},"data_offsets":[0,1]}})", "x"), "an array"},
           bad{framed("{" + entry("a", "U8", "[[1]]", "[0,1]") + "}", "x"), "nested deeper"},
           bad{framed("{" + entry("a", "U8", "[1]", "[0]") + "}", "x"), "two numbers"},
           bad{framed("{" + entry("a", "U8", "[1]", "[0,1,2]") + "}", "x"), "two numbers"},
           bad{framed("{" + entry("a", "U8", "[1]", "[]") + "}", "x"), "two numbers"},
           bad{framed("{" + entry("a", "U8", "[-1]", "[0,1]") + "}", "x"), "a negative number"},
           bad{framed("{" + entry("a", "U8", "[-0]", "[0,0]") + "}"), "a negative number"},
           bad{framed("{" + entry("a", "U8", "[1.0]", "[0,1]") + "}", "x"), "no integer"},
           bad{framed("{" + entry("a", "U8", "[1e0]", "[0,1]") + "}", "x"), "no integer"},
           bad{framed("{" + entry("a", "U8", "[true]", "[0,1]") + "}", "x"), "a boolean"},
           bad{framed("{" + entry("a", "U8", "[\"1\"]", "[0,1]") + "}", "x"), "a string"},
           bad{framed("{" + entry("a", "U8", "[18446744073709551617]", "[0,1]") + "}", "x"),
               "no integer"},
           bad{framed("{" + entry("a", "U8", "[" + over48 + "]", "[0,1]") + "}", "x"), "2^48"},
           bad{framed("{" + entry("a", "U8", "[1]", "[0," + over48 + "]") + "}", "x"), "2^48"},
           bad{framed("{" + entry("a", "U8", "[" + max48 + "]", "[0," + max48 + "]") + "}", "x"),
               "cut off"},
           // 2^32 * 2^32 wraps to 0, which would "fit" an empty tensor
           bad{framed("{" + entry("a", "U8", "[4294967296,4294967296]", "[0,0]") + "}"),
               "does not fit 64 bits"},
           bad{framed("{" + entry("a", "F64", "[281474976710655,65536]", "[0,0]") + "}"),
               "does not fit 64 bits"},
           bad{framed("{" + entry("a", "U8", "[0,4294967296,4294967296]", "[0,0]") + "}"),
               "does not fit 64 bits"},
           bad{framed("{" + entry("a", "F4", "[3]", "[0,2]") + "}", "12"), "within a byte"},
           bad{framed(R"({"__metadata__":{"a":1}})"), "expected a string"},
           bad{framed(R"({"__metadata__":{"a":{}}})"), "__metadata__"},
           bad{framed(R"({"__metadata__":{"a":null}})"), "expected a string"},
           bad{framed(R"({"__metadata__":[]})"), "expected an object"},
           bad{framed(R"({"__metadata__":{},"__metadata__":{}})"), "appears twice"},
           bad{framed(R"({"__metadata__":{"a":"","a":""}})"), "appears twice"},
           bad{framed("{\"\xFF\":{}}"), "JSON"},
           bad{framed(R"({"\ud800":{}})"), "JSON"},
       }) {
    const test::scratch dir;
    const auto path = dir.write("bad.safetensors", file);
    const auto message = test::rejection([&] { lab::safetensors opened(path); });
    CAPTURE(message, expected, lab::printable(file, 300));
    CHECK(test::contains(message, "bad.safetensors: byte offset "));
    CHECK(test::contains(message, expected));
    CHECK(message.size() < 700);
  }
}

TEST_CASE("a name full of escapes gives one clean line") {
  const test::scratch dir;
  const auto path = dir.write(
      "x.safetensors",
      test::framed(R"({"a\n\u001b[2J)" + std::string(10000, 'x') + R"(":{"dtype":"U8"}})", ""));
  const auto message = test::rejection([&] { lab::safetensors file(path); });
  CHECK(test::contains(message, "a\\x0a\\x1b[2Jxxx"));
  CHECK(message.size() < 700);
}

TEST_CASE("a header of many entries is quick: no quadratic step") {
  std::string header = "{";
  const std::size_t count = 100000;
  for (std::size_t i = 0; i < count; ++i)
    header += (i > 0 ? "," : "") + entry("t" + std::to_string(i), "U8", "[0]", "[0,0]");
  const auto parsed = lab::parse_safetensors_header(header + "}", 0, "f");
  CHECK(parsed.tensors.size() == count);
}
