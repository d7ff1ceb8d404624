// GGUF files that are written: byte for byte those of the package gguf (tests/make_gguf_model.py), read
// again as the model that they were made of, and models that GGUF cannot hold.
#include <lab/io/gguf_config.hpp>
#include <lab/io/gguf_writer.hpp>
#include <lab/io/tokenizer.hpp>
#include <lab/io/tokenizer_gguf.hpp>
#include <lab/models/rotary_rows.hpp>
#include <lab/models/write_gguf.hpp>

#include "lab/golden.hpp"
#include "lab/tiny_model.hpp"
#include "support/test.hpp"

#include <functional>
#include <limits>

namespace {

namespace fs = std::filesystem;
const fs::path gguf = test::data / "gguf";

/// The text of the zeropoint::error that f throws, "" when it throws none.
template <class F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const zeropoint::error& problem) {
    return problem.what();
  }
  return "";
}

/// What writing the model of a file gives.
std::string written(const fs::path& from, lab::ggml_type_number type) {
  const test::scratch dir;
  const fs::path file = dir.path() / "m.gguf";
  const auto sizes =
      lab::write_gguf_model(file, lab::load_model(from), lab::load_tokenizer(from), type, "tiny");
  CHECK(sizes.file == fs::file_size(file));
  CHECK(sizes.plain_layers == 0);
  return test::slurp(file);
}

std::size_t files_in(const fs::path& folder) {
  return static_cast<std::size_t>(
      std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

}  // namespace

TEST_CASE("A GPT-2 written as GGUF is the file of the package gguf") {
  // Blocks of these values have the same scales and codes again.
  CHECK(written(gguf / "gpt2.gguf", lab::ggml_q8_0) == test::slurp(gguf / "gpt2.gguf"));
  CHECK(written(gguf / "gpt2_q4_0.gguf", lab::ggml_q4_0) == test::slurp(gguf / "gpt2_q4_0.gguf"));
}

TEST_CASE("A Llama written as GGUF has the blocks of the package, rows of q and k in its order") {
  const test::scratch dir;
  const lab::gguf_file expected(gguf / "llama.gguf");
  std::size_t compared = 0;
  for (const auto type : {lab::ggml_q8_0, lab::ggml_q4_0}) {
    const fs::path path = dir.write("m.gguf", written(gguf / "llama.gguf", type));
    const lab::gguf_file found(path);
    REQUIRE(found.tensors().size() == expected.tensors().size());
    for (const lab::gguf_tensor& t : found.tensors()) {
      const lab::gguf_tensor& e = expected.at(t.name);
      CHECK(t.shape == e.shape);
      if (t.type != e.type) continue;
      std::vector<std::byte> a(t.bytes()), b(e.bytes());
      found.read(t, a);
      expected.read(e, b);
      CAPTURE(t.name);
      CHECK(a == b);
      ++compared;
    }
  }
  CHECK(compared >= 2 * 7 + 2 * 2 + 2);  // embedding, head and norms twice; q, down; o
  const lab::tokenizer a(gguf / "llama.gguf"), b(dir.path() / "m.gguf");
  CHECK(a.encode("the 12 th\n\n") == b.encode("the 12 th\n\n"));
}

TEST_CASE("A written model reads again as what its blocks stand for") {
  for (const char* family : {"gpt2", "llama"}) {
    const test::scratch dir;
    test::write_tiny_model(dir, family);
    lab::transformer m = lab::load_model(dir.path());
    // Width 16 is no block: one layer of 64 inputs is (gpt2's fc2), or none.
    const bool gpt2 = m.config.family == lab::model_family::gpt2;
    const fs::path file = dir.path() / "m.gguf";
    const auto tokens = lab::load_tokenizer(dir.path());
    if (!gpt2) {
      CHECK(test::contains(test::rejection([&] {
                             return lab::write_gguf_model(file, m, tokens, lab::ggml_q8_0, "tiny");
                           }),
                           "no layer has a multiple of 32 inputs, the block of Q8_0"));
      CHECK(!fs::exists(file));
      continue;
    }
    const auto sizes = lab::write_gguf_model(file, m, tokens, lab::ggml_q8_0, "tiny");
    CHECK(sizes.plain_layers == 6);
    const lab::transformer read = lab::load_model(file);
    CHECK(read.config.norm_eps == m.config.norm_eps);
    CHECK(read.config.bos == m.config.bos);
    CHECK(read.config.eos == m.config.eos);
    CHECK(lab::identity(read.config) == lab::identity(m.config));
    CHECK(read.positions == m.positions);
    CHECK(read.embedding == m.embedding);  // 16 columns: F32
    const auto a = read.linears(), b = m.linears();
    for (std::size_t i = 0; i < a.size(); ++i) {
      CHECK(a[i]->name == b[i]->name);
      CHECK(a[i]->bias == b[i]->bias);
      CHECK((a[i]->weight == b[i]->weight) == (a[i]->in % 32 != 0));
    }
  }
}

TEST_CASE("Rows of heads go to neighbours and back") {
  std::vector<float> rows{0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7}, kept = rows;
  lab::to_neighbours(rows, 2, 2);
  CHECK(rows == std::vector<float>{0, 0, 2, 2, 1, 1, 3, 3, 4, 4, 6, 6, 5, 5, 7, 7});
  lab::to_halves(rows, 2, 2);
  CHECK(rows == kept);
  std::vector<float> head{0, 1, 2, 3, 4, 5};
  lab::to_neighbours(head, 1, 1);
  CHECK(head == std::vector<float>{0, 3, 1, 4, 2, 5});
  lab::to_halves(head, 1, 1);
  CHECK(head == std::vector<float>{0, 1, 2, 3, 4, 5});
}

TEST_CASE("Models and tokenizers that GGUF cannot hold, and weights beyond a scale") {
  struct refusal {
    std::function<void(lab::transformer&, lab::tokenizer_data&)> change;
    const char* expected;
  };
  const std::vector<refusal> refusals{
      {[](auto& m, auto&) { m.config.family = lab::model_family::opt; }, "llama.cpp has no OPT"},
      {[](auto& m, auto&) { m.config.act = lab::activation::relu; }, "another activation"},
      {[](auto& m, auto&) { m.config.scale_attention = false; }, "scales attention otherwise"},
      {[](auto& m, auto&) {
         m.config.eos = {1, 2, 3, 4};
       },
       "more than three ends"},
      {[](auto&, auto& t) { t.ignore_merges = true; }, "ignore_merges has no key"},
      {[](auto&, auto& t) { t.trims_around_added = true; }, "lstrip, rstrip or single_word"},
      {[](auto&, auto& t) { t.tokens.resize(300); }, "300 tokens, but the embedding has 264"},
      {[](auto&, auto& t) { t.add_prefix_space = t.digits_alone = true; }, "prefix space"},
      {[](auto&, auto& t) { t.byte_ids[4] = 9; }, "byte 4 becomes the unknown token"},
      {[](auto& m, auto&) { m.blocks[0].fc2.weight[7] = 1e30f; },
       "tensor \"blk.0.ffn_down.weight\": a block needs a scale beyond float16's 65504"},
      {[](auto& m, auto&) { m.embedding[3] = std::numeric_limits<float>::infinity(); },
       "tensor \"token_embd.weight\": "},
  };
  for (const refusal& one : refusals) {
    const test::scratch dir;
    lab::transformer m = lab::load_model(gguf / "gpt2.gguf");
    lab::tokenizer_data t = lab::load_tokenizer(gguf / "gpt2.gguf");
    one.change(m, t);
    const auto message = test::rejection(
        [&] { return lab::write_gguf_model(dir.path() / "m.gguf", m, t, lab::ggml_q8_0, "tiny"); });
    CAPTURE(one.expected, message);
    CHECK(test::contains(message, one.expected));
    CHECK(!test::contains(message, "\n"));
    CHECK(files_in(dir.path()) == 0);  // not even a temporary file
  }
}

TEST_CASE("A tokenizer with holes gets unused tokens, and a model without one says so") {
  const test::scratch dir;
  const lab::transformer m = lab::load_model(gguf / "gpt2.gguf");
  lab::tokenizer_data t = lab::load_tokenizer(gguf / "gpt2.gguf");
  t.tokens.resize(262);  // the last two have rows in the embedding alone
  t.merges.resize(t.merges.size() - 2);
  const fs::path holes = dir.path() / "holes.gguf", none = dir.path() / "none.gguf";
  lab::write_gguf_model(holes, m, t, lab::ggml_q8_0, "tiny");
  const lab::gguf_file file(holes);
  const lab::gguf_value& tokens = *file.metadata("tokenizer.ggml.tokens");
  REQUIRE(tokens.size() == 264);
  CHECK(tokens.texts()[263] == "[PAD263]");
  CHECK(std::get<std::int64_t>((*file.metadata("tokenizer.ggml.token_type"))[262]) == 5);
  CHECK(lab::tokenizer(holes).encode("the") == lab::tokenizer(gguf / "gpt2.gguf").encode("the"));
  lab::write_gguf_model(none, m, std::nullopt, lab::ggml_q8_0, "tiny");
  CHECK(test::contains(test::rejection([&] { return lab::tokenizer(none); }), "no_vocab"));
  CHECK(lab::load_model(none).embedding == m.embedding);
}

TEST_CASE("The writer of GGUF files") {
  const test::scratch dir;
  const fs::path path = dir.path() / "x.gguf";
  const lab::ggml_type& f32 = lab::ggml_type_of(lab::ggml_f32);
  const std::vector<lab::gguf_layout> table{{"a", &f32, {3}}, {"b", &f32, {2, 1}}};
  const std::vector<std::int32_t> numbers{-1, 7};
  const lab::gguf_entries entries{{"t", lab::gguf_text("")},
                                  {"u", lab::gguf_u32(4000000000)},
                                  {"f", lab::gguf_f32(0.25f)},
                                  {"b", lab::gguf_boolean(true)},
                                  {"w", lab::gguf_texts({"x", "", "yz"})},
                                  {"i", lab::gguf_i32s(numbers)}};
  const std::vector<float> a{1, 2, 3}, b{4, 5};
  const auto bytes = [](const std::vector<float>& v) { return std::as_bytes(std::span(v)); };
  {
    lab::gguf_writer w(path, entries, table);
    w.write(bytes(a));
    CHECK(error_of([&] { w.write(bytes(a)); }) != "");
    CHECK(error_of([&] { w.finish(); }) != "");
    CHECK(!fs::exists(path));
  }
  CHECK(files_in(dir.path()) == 0);  // given up: nothing stays
  lab::gguf_writer w(path, entries, table);
  w.write(bytes(a));
  w.write(bytes(b));
  CHECK(!fs::exists(path));
  w.finish();
  CHECK(files_in(dir.path()) == 1);
  const lab::gguf_file file(path);
  CHECK(file.floats(file.at("a")) == a);
  CHECK(file.floats(file.at("b")) == b);
  CHECK(file.at("b").shape == std::vector<std::uint64_t>{2, 1});
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const auto& [key, value] = file.header().metadata[i];
    CHECK(key == entries[i].first);
    CHECK(lab::text_of(value) == lab::text_of(entries[i].second));
    CHECK(value.kind() == entries[i].second.kind());
  }
  const auto refused = [&](const lab::gguf_entries& e, const std::vector<lab::gguf_layout>& t) {
    return error_of([&] { lab::gguf_writer(path, e, t); });
  };
  CHECK(test::contains(refused({{"k", lab::gguf_u32(1)}, {"k", lab::gguf_u32(2)}}, {}), "twice"));
  CHECK(test::contains(refused({}, {{"a", &f32, {1}}, {"a", &f32, {1}}}), "twice"));
  CHECK(test::contains(refused({}, {{std::string(64, 'n'), &f32, {1}}}), "at most 63 fit"));
  CHECK(test::contains(refused({}, {{"a", &lab::ggml_type_of(lab::ggml_q4_0), {33}}}), "blocks"));
  CHECK_THROWS_WITH(lab::gguf_writer("/dev/full", entries, table).finish(),
                    "/dev/full: cannot be written: No space left on device");
}
