// GGUF as the Python package of that name writes and reads it: tests/make_gguf_golden.py.
#include <lab/io/gguf.hpp>
#include <lab/io/safetensors.hpp>

#include <zeropoint/base/error.hpp>

#include "lab/gguf_bytes.hpp"
#include "lab/scratch.hpp"
#include "support/test.hpp"

#include <cmath>
#include <cstring>

namespace {

const std::filesystem::path folder = test::data / "gguf";
const std::filesystem::path sample = folder / "sample.gguf";

bool same(float a, float b) {  // the bits, or any two NaN: whose sign the processor chooses
  return std::memcmp(&a, &b, sizeof a) == 0 || (std::isnan(a) && std::isnan(b));
}

std::string metadata(const lab::gguf_file& file, std::string_view key) {
  const lab::gguf_value* value = file.metadata(key);
  return value == nullptr ? "none" : lab::text_of(*value);
}

}  // namespace

TEST_CASE("every tensor is what the package gguf reads, to the bit") {
  const lab::gguf_file file(sample);
  const std::string stored = test::slurp(folder / "expected.f32");
  std::vector<float> expected(stored.size() / sizeof(float));
  std::memcpy(expected.data(), stored.data(), expected.size() * sizeof(float));
  std::string listing;
  std::size_t at = 0;
  for (const auto& tensor : file.tensors()) {
    CAPTURE(tensor.name);
    listing += tensor.name + " " + std::string(tensor.type->name) + " " +
               lab::shape_text(tensor.shape) + "\n";
    const auto values = file.floats(tensor);
    REQUIRE(values.size() == tensor.elements());
    REQUIRE(at + values.size() <= expected.size());
    std::size_t different = 0;
    for (std::size_t i = 0; i < values.size(); ++i) different += !same(values[i], expected[at + i]);
    CHECK(different == 0);
    at += values.size();
  }
  CHECK(at == expected.size());
  CHECK(listing == test::slurp(folder / "expected.txt"));
  CHECK(&file.at("block.q8_0") == file.find("block.q8_0"));
  CHECK(file.find("block.q8_1") == nullptr);
  CHECK(test::contains(test::rejection([&] { return file.at("x").bytes(); }),
                       "tensor \"x\" is missing (7 others are here)"));
}

TEST_CASE("every kind of metadata") {
  const lab::gguf_file file(sample);
  CHECK(file.header().version == 3);
  CHECK(metadata(file, "general.architecture") == "\"gpt2\"");
  CHECK(metadata(file, "test.u8") == "200");
  CHECK(metadata(file, "test.i8") == "-100");
  CHECK(metadata(file, "test.u16") == "60000");
  CHECK(metadata(file, "test.i16") == "-30000");
  CHECK(metadata(file, "test.u32") == "4000000000");
  CHECK(metadata(file, "test.i32") == "-2000000000");
  CHECK(metadata(file, "test.u64") == "18446744073709551615");
  CHECK(metadata(file, "test.i64") == "-9223372036854775808");
  CHECK(metadata(file, "test.f32") == "1e-05");
  CHECK(metadata(file, "test.f64") == "0.125");
  CHECK(metadata(file, "test.bool") == "true");
  CHECK(metadata(file, "test.text") == "\"caf\xC3\xA9\\x0a\"");
  CHECK(metadata(file, "test.numbers") == "[3, 1, 4, 1, ...] (6 elements)");
  CHECK(metadata(file, "test.words") == "[\"a\", \"\", \"\xC4\xA0the\"] (3 elements)");
  CHECK(metadata(file, "test") == "none");
  const lab::gguf_value& words = *file.metadata("test.words");
  CHECK(std::get<std::string>(words[2]) == "\xC4\xA0the");
  CHECK_THROWS_AS(words[3], zeropoint::error);
}

TEST_CASE("version 2 has the same layout") {
  const test::scratch dir;
  std::string bytes = test::slurp(sample);
  bytes[4] = 2;
  const lab::gguf_file file(dir.write("v2.gguf", bytes));
  CHECK(file.header().version == 2);
  CHECK(file.tensors().size() == 7);
}

TEST_CASE("a tensor larger than one piece, on another alignment") {
  const test::scratch dir;
  constexpr std::uint64_t rows = 3, columns = 700'000 / 32 * 32;
  test::gguf_bytes bytes;
  bytes.preamble(1, 1).text("general.alignment").u32(4).u32(8);
  bytes.tensor("w", {columns, rows}, 8, 0).pad(8);
  std::vector<float> expected;
  for (std::uint64_t b = 0; b < rows * columns / 32; ++b) {
    bytes.put(std::uint16_t{0x3c00});  // 1.0
    for (std::uint64_t i = 0; i < 32; ++i) {
      const auto code = static_cast<std::int8_t>((b * 7 + i * 3) % 256 - 128);
      bytes.put(code);
      expected.push_back(code);
    }
  }
  const lab::gguf_file file(dir.write("x.gguf", bytes.get()));
  CHECK(file.header().alignment == 8);
  CHECK(file.at("w").shape == std::vector<std::uint64_t>{rows, columns});
  CHECK(file.floats(file.at("w")) == expected);
}

TEST_CASE("types without a decoder are listed, and refused when read") {
  const test::scratch dir;
  test::gguf_bytes bytes;
  bytes.preamble(1, 0).tensor("w", {256}, 14, 0).pad();
  const lab::gguf_file file(dir.write("k.gguf", bytes.get() + std::string(210, 'x')));
  CHECK(file.at("w").type->name == "Q6_K");
  CHECK(file.at("w").bytes() == 210);
  CHECK(test::contains(test::rejection([&] { return file.floats(file.at("w")); }),
                       "tensor \"w\" has type Q6_K; expected F32"));
}
