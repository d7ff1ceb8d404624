// Reading and writing good files: the reference implementation's file byte for byte, every type,
// shards.
#include <lab/io/safetensors.hpp>

#include <zeropoint/base/error.hpp>

#include "lab/safetensors_bytes.hpp"
#include "lab/scratch.hpp"
#include "support/test.hpp"

#include <array>
#include <bit>
#include <cstring>

namespace {

const std::filesystem::path reference = test::data / "reference.safetensors";

std::vector<lab::tensor_source> sources(const lab::safetensors_file& file,
                                        std::vector<std::vector<std::byte>>& bytes) {
  std::vector<lab::tensor_source> result;
  for (const auto& info : file.tensors()) {
    bytes.emplace_back(info.bytes());
    file.read(info, bytes.back());
  }
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto& info = file.tensors()[i];
    result.push_back({info.name, info.type, info.shape, bytes[i]});
  }
  return result;
}

}  // namespace

TEST_CASE("a file of the reference implementation, all types") {
  const lab::safetensors file(reference);
  CHECK(file.tensors().size() == 15);
  CHECK(file.files()[0].metadata() == std::map<std::string, std::string>{{"format", "pt"}});
  using floats = std::vector<float>;
  CHECK(file.floats("bool") == floats{1, 0, 1});
  CHECK(file.floats("u8") == floats{0, 128, 255});
  CHECK(file.floats("i8") == floats{-128, -1, 0, 127});
  CHECK(file.floats("i16") == floats{-32768, 32767});
  CHECK(file.floats("u16") == floats{0, 65535});
  CHECK(file.floats("i32") == floats{-2147483648.f, 16777216});  // 2^24 + 1: ties to even
  CHECK(file.floats("u32") == floats{4294967296.f});
  CHECK(file.floats("i64") == floats{-0x1p63f, 3});
  CHECK(file.floats("u64") == floats{0x1p64f});
  CHECK(file.floats("f64") == floats{0.1f});
  CHECK(file.floats("scalar") == floats{2.5f});
  CHECK(file.floats("empty").empty());
  CHECK(file.floats("name \"\xC3\xA9\\\n") == floats{7});
  const auto half = file.floats("f16");
  CHECK(half == floats{1, -0.f, 65504, 0x1p-24f});
  CHECK(std::signbit(half[1]));
  const auto single = file.floats("f32");
  CHECK(std::bit_cast<std::uint32_t>(single[0]) == 0x3FC00000);
  CHECK(std::bit_cast<std::uint32_t>(single[1]) == 0x80000000);
  CHECK(single[2] == std::numeric_limits<float>::infinity());
  CHECK(std::isnan(single[4]));
  CHECK(std::bit_cast<std::uint32_t>(single[5]) == 1);  // the smallest subnormal
  CHECK(file.at("i8").shape == std::vector<std::uint64_t>{2, 2});
  CHECK(file.at("scalar").shape.empty());
  CHECK(file.at("empty").shape == std::vector<std::uint64_t>{0, 3});
}

TEST_CASE("write, read, write gives the same bytes, also against the reference") {
  const test::scratch dir;
  const lab::safetensors_file file(reference);
  std::vector<std::vector<std::byte>> bytes;
  auto tensors = sources(file, bytes);
  std::reverse(tensors.begin(), tensors.end());  // the order given does not matter
  lab::write_safetensors(dir.path() / "copy.safetensors", tensors, file.metadata());
  CHECK(test::slurp(dir.path() / "copy.safetensors") == test::slurp(reference));
}

TEST_CASE("files without tensors and without metadata") {
  const test::scratch dir;
  lab::write_safetensors(dir.path() / "e.safetensors", {});
  CHECK(test::slurp(dir.path() / "e.safetensors") == test::framed("{}      ", ""));
  CHECK(lab::safetensors(dir.path() / "e.safetensors").tensors().empty());
}

TEST_CASE("the writer refuses what its reader would") {
  const test::scratch dir;
  const auto path = dir.path() / "bad.safetensors";
  const std::array<std::byte, 8> data{};
  const auto write = [&](std::vector<lab::tensor_source> tensors) {
    lab::write_safetensors(path, tensors);
  };
  using lab::dtype;
  CHECK_THROWS_AS(write({{"a", dtype::f32, {3}, data}}), zeropoint::error);
  CHECK_THROWS_AS(write({{"a", dtype::unknown, {2}, data}}), zeropoint::error);
  CHECK_THROWS_AS(write({{"a\xFF", dtype::f32, {2}, data}}), zeropoint::error);
  CHECK_THROWS_AS(write({{"__metadata__", dtype::f32, {2}, data}}), zeropoint::error);
  CHECK_THROWS_AS(write({{"a", dtype::f32, {2}, data}, {"a", dtype::f32, {2}, data}}),
                  zeropoint::error);
  CHECK(std::filesystem::is_empty(dir.path()));
  write({{"a", dtype::f32, {2}, data}, {"b", dtype::u8, {8, 1}, data}});
  CHECK(lab::safetensors(path).tensors().size() == 2);
}

TEST_CASE("a header with other white space and an older order is read") {
  const test::scratch dir;
  const std::string text =
      "{ \"b\" :{\"data_offsets\":[4,8],\"shape\":[1],\"dtype\":\"F32\"},\n\t"
      "\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}} \n";
  const lab::safetensors file(
      dir.write("x.safetensors", test::framed(text, {"\1\2\3\4\0\0\xC0\x3F", 8})));
  CHECK(file.floats("a") == std::vector<float>{1, 2, 3, 4});
  CHECK(file.floats("b") == std::vector<float>{1.5f});
  CHECK(file.files()[0].tensors()[0].name == "a");  // in the order of the bytes
}

TEST_CASE("types without a conversion can be listed, sized and read as bytes") {
  const test::scratch dir;
  const std::string text = R"({"f8":{"dtype":"F8_E4M3","shape":[3],"data_offsets":[0,3]},)"
                           R"("f4":{"dtype":"F4","shape":[2,3],"data_offsets":[3,6]},)"
                           R"("new":{"dtype":"Q3_K","shape":[7],"data_offsets":[6,8]}})";
  const lab::safetensors file(dir.write("x.safetensors", test::framed(text, "abcdefgh")));
  CHECK(file.at("f4").bytes() == 3);
  CHECK(file.at("new").type == lab::dtype::unknown);
  CHECK(file.at("new").type_name == "Q3_K");
  CHECK(file.bytes("new").size() == 2);
  for (const char* name : {"f8", "f4", "new"})
    CHECK(test::contains(test::rejection([&] { return file.floats(name); }),
                         "cannot be converted to float"));
}

TEST_CASE("a missing tensor is named") {
  const lab::safetensors file(reference);
  CHECK(!file.contains("h.0.attn"));
  const auto message = test::rejection([&] { return file.floats("h.0.attn"); });
  CHECK(test::contains(message, "reference.safetensors: tensor \"h.0.attn\" is missing"));
  std::array<float, 2> small{};
  CHECK_THROWS_AS(file.floats("u8", small), zeropoint::error);
  const auto all = file.floats("u8");
  REQUIRE(all.size() > 2);
  file.floats_from("u8", all.size() - 2, small);
  CHECK(std::equal(small.begin(), small.end(), all.end() - 2));
  CHECK_THROWS_AS(file.floats_from("u8", all.size() - 1, small), zeropoint::error);
  CHECK_THROWS_AS(file.floats_from("u8", all.size() + 1, small), zeropoint::error);
}

TEST_CASE("conversion in pieces crosses the piece boundary") {
  const test::scratch dir;
  const std::size_t count = (std::size_t{1} << 20) + 3;
  std::vector<std::int16_t> values(count);
  for (std::size_t i = 0; i < count; ++i) values[i] = static_cast<std::int16_t>(i * 7919);
  const auto bytes = std::as_bytes(std::span(values));
  const lab::tensor_source source{"x", lab::dtype::i16, {count}, bytes};
  lab::write_safetensors(dir.path() / "x.safetensors", std::span(&source, 1));
  const auto floats = lab::safetensors(dir.path() / "x.safetensors").floats("x");
  REQUIRE(floats.size() == count);
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < count; ++i) wrong += floats[i] != static_cast<float>(values[i]);
  CHECK(wrong == 0);
}

TEST_CASE("types know their names and sizes") {
  for (int t = 1; t <= static_cast<int>(lab::dtype::u64); ++t) {
    const auto type = static_cast<lab::dtype>(t);
    CHECK(lab::dtype_named(lab::name(type)) == type);
    CHECK(lab::bits(type) > 0);
  }
  CHECK(lab::dtype_named("f32") == lab::dtype::unknown);
  CHECK(lab::dtype_named("") == lab::dtype::unknown);
}

TEST_CASE("shards: the index and its files agree exactly") {
  const test::scratch dir;
  const auto one = [](const std::string& name) {
    return test::framed("{\"" + name + R"(":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
                        name.substr(0, 1));
  };
  dir.write("s-1.safetensors", one("a"));
  dir.write("s-2.safetensors", one("b"));
  const auto open = [&](const std::string& map) {
    const auto path = dir.write("model.safetensors.index.json",
                                R"({"metadata":{"total_size":2},"weight_map":)" + map + "}");
    return test::rejection([&] {
      const lab::safetensors file(path);
      CHECK(file.floats("a") == std::vector<float>{'a'});
      CHECK(file.floats("b") == std::vector<float>{'b'});
      CHECK(file.files().size() == 2);
      CHECK(lab::safetensors(dir.path()).tensors().size() == 2);  // the folder finds the index
    });
  };
  const std::string a = R"("a":"s-1.safetensors")", b = R"("b":"s-2.safetensors")";
  CHECK(open("{" + a + "," + b + "}") == "");
  CHECK(test::contains(open("{" + a + "," + b + R"(,"c":"s-1.safetensors"})"), "\"c\" is not in"));
  CHECK(test::contains(open(R"({"a":"s-1.safetensors","b":"s-1.safetensors"})"), "\"b\" is not"));
  CHECK(test::contains(open(R"({"a":"s-2.safetensors","b":"s-2.safetensors"})"), "\"a\" is not"));
  CHECK(test::contains(open(R"({"b":"s-1.safetensors","a":"s-2.safetensors"})"), "tensor"));
  CHECK(test::contains(open("{" + a + R"(,"b":"none.safetensors"})"), "No such file"));
  CHECK(test::contains(open("{}"), "names no tensor"));
  CHECK(test::contains(open("[]"), "weight_map is array"));
  CHECK(test::contains(open(R"({"a":1})"), "expected a file name"));
  for (const char* name : {"../s-1.safetensors", "/etc/passwd", "..", ".", "", "a\\\\b", "x/y",
                           "s-1.safetensors\\u0000"})
    CHECK(test::contains(open(R"({"a":")" + std::string(name) + "\"}"), "plain file name"));
}
