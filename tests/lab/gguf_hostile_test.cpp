// GGUF files meant to break a reader: a crafted table, every truncation, every flip of a bit. A
// changed file is either refused with one line or read exactly as its own bytes say.
#include <lab/io/gguf.hpp>

#include "lab/gguf_bytes.hpp"
#include "lab/scratch.hpp"
#include "support/test.hpp"

#include <cstring>

namespace {

using test::gguf_bytes;
constexpr std::uint32_t u32 = 4, boolean = 7, text = 8, array = 9;

/// A small file: numbers, text and arrays, three tensors of different types.
gguf_bytes sample() {
  gguf_bytes b;
  b.preamble(3, 6);
  b.text("general.alignment").u32(u32).u32(32);
  b.text("general.quantization_version").u32(u32).u32(2);
  b.text("name").u32(text).text("tiny");
  b.text("on").u32(boolean).put(true);
  b.text("ids").u32(array).u32(u32).u64(2).u32(5).u32(6);
  b.text("words").u32(array).u32(text).u64(2).text("a").text("");
  b.tensor("w", {2, 1}, 0, 0).tensor("h", {3}, 1, 32).tensor("q", {32, 2}, 8, 64).pad();
  return b;
}

std::string with_data(gguf_bytes b) {
  for (const float x : {1.0f, -2.0f}) b.put(x);
  b.pad().raw(std::string_view("\x00\x3c\x00\xbc\xff\x7b", 6)).pad();
  for (int i = 0; i < 68; ++i) b.put(static_cast<std::int8_t>(i * 5 - 128));
  return b.pad().get();
}

/// True when what was read is what the bytes of the file say.
bool consistent(const lab::gguf_file& file, const std::string& bytes) {
  std::uint64_t covered = 0;
  const std::uint64_t data = file.header().data_begin, a = file.header().alignment;
  for (const auto& t : file.tensors()) {
    if (t.begin != covered || t.bytes() != t.elements() / t.type->block * t.type->bytes)
      return false;
    covered = (t.end + a - 1) / a * a;
    std::vector<std::byte> raw(t.bytes());
    file.read(t, raw);
    if (data + t.end > bytes.size()) return false;
    if (raw.empty()) continue;
    if (std::memcmp(raw.data(), bytes.data() + data + t.begin, raw.size()) != 0) return false;
    if (t.type->decode == nullptr) continue;
    std::vector<float> expected(t.elements());
    t.type->decode(raw, expected);
    const auto floats = file.floats(t);
    if (floats.size() != expected.size()) return false;
    if (std::memcmp(floats.data(), expected.data(), floats.size() * sizeof(float)) != 0)
      return false;
  }
  for (const auto& [key, value] : file.header().metadata) {
    if (lab::text_of(value).empty()) return false;
  }
  return true;
}

/// "" when the file was read and is consistent; else the one line of the refusal.
std::string read_or_refuse(const test::scratch& dir, const std::string& bytes) {
  const auto path = dir.write("x.gguf", bytes);
  const auto message = test::rejection([&] {
    const lab::gguf_file file(path);
    CHECK(consistent(file, bytes));
  });
  if (!message.empty()) {
    CHECK(test::contains(message, "x.gguf: byte offset "));
    CHECK(!test::contains(message, "\n"));
    CHECK(message.size() < 600);
  }
  return message;
}

}  // namespace

TEST_CASE("every truncation is refused, up to the padding behind the last tensor") {
  const test::scratch dir;
  const std::string good = with_data(sample());
  REQUIRE(read_or_refuse(dir, good) == "");
  const std::size_t end = sample().size() + 64 + 68;
  REQUIRE(end < good.size());
  for (std::size_t size = 0; size < good.size(); ++size) {
    CAPTURE(size);
    CHECK((read_or_refuse(dir, good.substr(0, size)) == "") == (size >= end));
  }
  CHECK(test::contains(read_or_refuse(dir, good + '\0'), "trailing bytes"));
}

TEST_CASE("every flip of a bit and every extreme byte: refused or read exactly") {
  const test::scratch dir;
  const std::string good = with_data(sample());
  const std::size_t header = sample().size();
  std::size_t refused = 0, read = 0;
  for (std::size_t at = 0; at < header; ++at) {
    CAPTURE(at);
    for (int change = 0; change < 10; ++change) {
      std::string bad = good;
      bad[at] = static_cast<char>(change < 8 ? bad[at] ^ (1 << change) : change == 8 ? 0 : 0xff);
      ++(read_or_refuse(dir, bad).empty() ? read : refused);
    }
  }
  CHECK(refused > header * 4);  // lengths, types, counts and offsets
  CHECK(read > header / 4);     // names, values and padding
}

TEST_CASE("headers that lie") {
  struct lie {
    gguf_bytes bytes;
    const char* expected;
  };
  const auto entry = [](std::string_view key) { return gguf_bytes().preamble(0, 1).text(key); };
  const auto table = [](std::uint64_t tensors) { return gguf_bytes().preamble(tensors, 0); };
  const std::uint64_t huge = std::uint64_t{1} << 63;
  const std::vector<lie> lies{
      {gguf_bytes().raw("GGML").u32(3), "byte offset 0: begins with \"GGML\"; expected \"GGUF\""},
      {gguf_bytes().preamble(0, 0, 1), "byte offset 4: version 1; expected 2 or 3"},
      {gguf_bytes().preamble(0, 0, 3u << 24), "version 50331648; expected 2 or 3, little-endian"},
      {gguf_bytes().preamble(huge, 0), "byte offset 8: the number of tensors: 9223372036854775808"},
      {gguf_bytes().preamble(0, 1),
       "byte offset 16: the number of metadata entries: 1 of at least"},
      {entry(std::string(65536, 'k')).u32(u32).u32(1), "a length of 65536; expected at most 65535"},
      {entry("k").u32(13).u64(0), "the value of \"k\": type 13; expected 0 .. 12"},
      {entry("k").u32(boolean).raw("\2"), "a boolean of 2; expected 0 or 1"},
      {entry("k").u32(text).u64(huge), "a length of 9223372036854775808; expected at most"},
      {entry("k").u32(text).u64(5).raw("abc"), "expected 5 bytes, the file has"},
      {entry("k").u32(array).u32(array).u64(0), "an array of arrays"},
      {entry("k").u32(array).u32(u32).u64(huge / 2), "4611686018427387904 of at least 4 bytes"},
      {entry("k").u32(array).u32(text).u64(2).text(""), "2 of at least 8 bytes"},
      {gguf_bytes().preamble(0, 2).text("k").u32(u32).u32(1).text("k").u32(u32).u32(1),
       "the key \"k\" appears twice"},
      {entry("general.alignment").u32(u32).u32(0), "general.alignment is 0; expected a power"},
      {entry("general.alignment").u32(u32).u32(48), "general.alignment is 48; expected a power"},
      {entry("general.alignment").u32(text).text("32"), "general.alignment is \"32\"; expected"},
      {entry("general.quantization_version").u32(u32).u32(1), "is 1; expected 2"},
      {table(1).tensor(std::string(64, 'n'), {}, 0, 0), "a length of 64; expected at most 63"},
      {table(1).tensor("w", {1, 1, 1, 1, 1}, 0, 0),
       "tensor \"w\": 5 dimensions; expected at most 4"},
      {table(1).tensor("w", {1}, 4, 0), "tensor \"w\": type 4 is not known"},
      {table(1).tensor("w", {huge, 2}, 0, 0), "tensor \"w\": the sizes do not fit 64 bits"},
      {table(1).tensor("w", {huge}, 0, 0), "tensor \"w\": the sizes do not fit 64 bits"},
      {table(1).tensor("w", {0, huge, huge}, 0, 0), "tensor \"w\": the sizes do not fit 64 bits"},
      {table(1).tensor("w", {33}, 2, 0), "rows of 33 elements; expected a multiple of 32"},
      {table(1).tensor("w", {1}, 0, 32), "begins at byte 32 of the data; expected 0 (a gap)"},
      {table(2).tensor("v", {9}, 0, 0).tensor("w", {1}, 0, 32).pad(), "expected 64 (they overlap)"},
      {table(2).tensor("w", {}, 0, 0).tensor("w", {}, 0, 32), "tensor \"w\" appears twice"},
      {table(1).tensor("w", {huge / 2 + huge - 1}, 24, 0), "the file has 0 (it is cut off)"},
      {table(1).tensor("w", {~std::uint64_t{0}}, 24, 0), "its end does not fit 64 bits"},
      {table(1).tensor("w", {2}, 0, 0).pad().u32(0), "need 8 bytes of data, the file has 4 (it is"},
      {table(0).pad().u32(0), "no tensors, but the file has 36 bytes"},
  };
  const test::scratch dir;
  for (const lie& one : lies) {
    const std::string message = read_or_refuse(dir, one.bytes.get());
    CAPTURE(one.expected, message);
    CHECK(test::contains(message, one.expected));
  }
}

TEST_CASE("no tensors, and tensors without elements, are legal") {
  const test::scratch dir;
  CHECK(read_or_refuse(dir, gguf_bytes().preamble(0, 0).get()) == "");
  CHECK(read_or_refuse(dir, gguf_bytes().preamble(0, 0).pad().get()) == "");
  CHECK(read_or_refuse(dir, gguf_bytes().preamble(1, 0).tensor("w", {0, 7}, 8, 0).pad().get()) ==
        "");
}
