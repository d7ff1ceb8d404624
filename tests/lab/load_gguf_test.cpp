// Llama models from GGUF: logits against transformers on the same file (tests/make_gguf_model.py), the
// same weights as from safetensors, and files that lie.
#include <lab/io/tokenizer.hpp>
#include <lab/models/load_gguf.hpp>

#include "lab/gguf_model.hpp"
#include "lab/golden.hpp"
#include "lab/tiny_model.hpp"

#include <functional>
#include <limits>

namespace {

const std::filesystem::path golden = test::data / "gguf" / "llama.gguf";

std::vector<std::uint32_t> golden_ids(const std::string& name) {
  const auto stored = test::read_array<std::uint16_t>(test::data / "gguf" / (name + ".ids.u16"));
  return {stored.begin(), stored.end()};
}

/// The tiny Llama after `change`, written and opened.
lab::transformer changed(const test::scratch& dir,
                         const std::function<void(test::gguf_model&)>& change = {}) {
  test::write_tiny_model(dir, "llama");
  test::gguf_model g = test::as_gguf(dir.path());
  if (change) change(g);
  return lab::load_model(dir.write("tiny.gguf", g.bytes()));
}

}  // namespace

TEST_CASE("Logits of a GGUF file agree with HuggingFace") {
  for (const std::string name : {"llama", "gpt2"}) {
    CAPTURE(name);
    const lab::transformer m = lab::load_model(test::data / "gguf" / (name + ".gguf"));
    const auto ids = golden_ids(name);
    REQUIRE(ids.size() == 19);
    const auto expected = test::read_array<float>(test::data / "gguf" / (name + ".logits.f32"));
    const auto logits = test::logits_of(m, ids);
    REQUIRE(logits.size() == expected.size());
    CHECK(test::relative_difference(logits, expected) <= 2e-6f);  // as golden_test.cpp
  }
}

TEST_CASE("A GPT-2 in GGUF has HuggingFace's layers") {
  const lab::transformer m = lab::load_model(test::data / "gguf" / "gpt2.gguf");
  CHECK(m.config.family == lab::model_family::gpt2);
  CHECK((m.config.tied_head && m.config.bias && m.config.mlp_bias && !m.config.rotary()));
  CHECK(m.config.act == lab::activation::gelu_new);
  CHECK(m.positions.size() == 24 * 32);
  std::vector<std::string> names;
  for (const lab::dense* d : m.linears()) names.push_back(d->name);
  CHECK(names == std::vector<std::string>{"h.0.attn.c_attn", "h.0.attn.c_proj", "h.0.mlp.c_fc",
                                          "h.0.mlp.c_proj"});
  CHECK(m.blocks[0].qkv[0].out == 96);
  CHECK(m.blocks[0].mlp_norm.bias.size() == 32);
  CHECK(m.final_norm->bias.size() == 32);
}

TEST_CASE("Rows of q and k change places") {
  const lab::transformer m = lab::load_model(golden);
  CHECK(m.config.kv_heads == 2);
  CHECK(!m.config.tied_head);
  const auto ids = golden_ids("llama");
  const auto logits = test::logits_of(m, ids);
  // Rows of q left as llama.cpp wants them give other logits.
  lab::transformer interleaved = m;
  lab::dense& q = interleaved.blocks[0].qkv[0];
  const lab::gguf_file file(golden);
  q.weight = file.floats(file.at("blk.0.attn_q.weight"));
  CHECK(test::logits_of(interleaved, ids) != logits);
}

TEST_CASE("A GGUF file gives the config and the weights of the safetensors that it was made of") {
  const test::scratch dir;
  const lab::transformer m = changed(dir), expected = lab::load_model(dir.path());
  const lab::model_config &c = m.config, &e = expected.config;
  CHECK(c.family == lab::model_family::llama);
  CHECK(c.vocab == e.vocab);
  CHECK(c.positions == e.positions);
  CHECK(c.head_width == e.head_width);
  CHECK(c.kv_heads == e.kv_heads);
  CHECK(c.norm_eps == e.norm_eps);
  CHECK(c.rope_theta == e.rope_theta);
  CHECK((c.tied_head && !c.bias && !c.mlp_bias && c.rms_norm && c.gated && c.final_norm));
  CHECK(c.act == lab::activation::silu);
  CHECK(c.eos == e.eos);
  CHECK(c.bos == e.bos);
  const auto linears = m.linears(), others = expected.linears();
  REQUIRE(linears.size() == others.size());
  for (std::size_t i = 0; i < linears.size(); ++i) {
    CHECK(linears[i]->name == others[i]->name);
    CHECK(linears[i]->weight == others[i]->weight);
    CHECK(linears[i]->bias.empty());
  }
  CHECK(m.embedding == expected.embedding);
  CHECK(m.head.empty());
  const std::vector<std::uint32_t> ids{7, 0, 256, 31, 99};
  CHECK(test::logits_of(m, ids) == test::logits_of(expected, ids));
}

TEST_CASE("Biases of q and k are stored in the order of their rows") {
  const auto row = [](std::size_t n) {
    std::vector<float> values(n);
    for (std::size_t i = 0; i < n; ++i) values[i] = static_cast<float>(i);
    return values;
  };
  const test::scratch dir;
  const lab::transformer m = changed(dir, [&](test::gguf_model& g) {
    for (const std::string p : {"blk.0.", "blk.1."}) {
      for (const char* name : {"attn_q", "attn_output"}) g.add(p + name + ".bias", {16}, row(16));
      for (const char* name : {"attn_k", "attn_v"}) g.add(p + name + ".bias", {8}, row(8));
    }
    g.add("output.weight", {16, 257}, row(16 * 257));
  });
  const std::vector<float> one{0, 2, 4, 6, 1, 3, 5, 7};
  CHECK(m.blocks[1].qkv[1].bias == one);
  const std::vector<float> two{0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15};
  CHECK(m.blocks[1].qkv[0].bias == two);
  CHECK(m.blocks[1].qkv[2].bias == row(8));
  CHECK(m.blocks[1].attention_out.bias == row(16));
  CHECK(m.head == row(16 * 257));
}

TEST_CASE("Tensors that lie are named") {
  struct lie {
    std::function<void(test::gguf_model&)> change;
    const char* expected;
  };
  const std::vector<lie> lies{
      {[](auto& g) { g.remove("blk.1.ffn_up.weight"); },
       "tensor \"blk.1.ffn_up.weight\" is missing"},
      {[](auto& g) { g.remove("output_norm.weight"); }, "\"output_norm.weight\" is missing"},
      {[](auto& g) { g.remove("token_embd.weight"); }, "\"token_embd.weight\" is missing"},
      {[](auto& g) { g.at("token_embd.weight").sizes = {16 * 257}; },
       "\"token_embd.weight\" is not a matrix of 1 to"},
      {[](auto& g) {
         g.at("token_embd.weight").sizes = {257, 16};
       },
       "shape [16, 257], expected"},
      {[](auto& g) {
         g.at("blk.0.attn_k.weight").sizes = {8, 16};
       },
       "\"blk.0.attn_k.weight\" has shape [16, 8], expected [8, 16]"},
      {[](auto& g) {
         g.at("blk.0.attn_k.weight").sizes = {16, 8, 1};
       },
       "has shape [1, 8, 16], expected [8, 16]"},
      {[](auto& g) {
         g.add("rope_freqs.weight", {4}, {1, 1, 1, 1});
       },
       "tensor \"rope_freqs.weight\" has no place in a model"},
      {[](auto& g) { g.set("llama.block_count", test::u32_entry(1)); },
       "tensor \"blk.1.attn_norm.weight\" has no place"},
      {[](auto& g) { g.set("llama.block_count", test::u32_entry(3)); },
       "tensor \"blk.2.attn_norm.weight\" is missing"},
      {[](auto& g) { g.add("blk.0.attn_q.bias", {16}, std::vector<float>(16)); },
       "tensor \"blk.0.attn_k.bias\" is missing"},
      {[](auto& g) {
         const float nan = std::numeric_limits<float>::quiet_NaN();
         std::memcpy(g.at("blk.1.ffn_down.weight").bytes.data() + 12, &nan, 4);
       },
       "tensor \"blk.1.ffn_down.weight\": element 3 is nan, expected finite weights"},
  };
  for (const lie& one : lies) {
    const test::scratch dir;
    const auto message = test::rejection([&] { return changed(dir, one.change); });
    CAPTURE(one.expected, message);
    CHECK(test::contains(message, "tiny.gguf: "));
    CHECK(test::contains(message, one.expected));
    CHECK(!test::contains(message, "\n"));
  }
}

TEST_CASE("A damaged GGUF model is refused in one line, or still runs") {
  const std::filesystem::path model =
      GENERATE(std::filesystem::path(golden), test::data / "gguf" / "gpt2_q4_0.gguf");
  const auto seed = test::seed(9);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  const test::scratch dir;
  const std::string good = test::slurp(model);
  const lab::gguf_file file(model);
  const auto header = static_cast<std::size_t>(file.header().data_begin);
  std::size_t refused = 0, ran = 0;
  for (int round = 0; round < 400; ++round) {
    std::string bad = good;
    for (int i = 0; i <= round % 2; ++i) bad[g() % header] = static_cast<char>(g());
    if (round % 5 == 0) bad.resize(g() % bad.size());
    const auto path = dir.write("bad.gguf", bad);
    const auto message = test::rejection([&] {
      const lab::tokenizer tokens(path);
      const lab::transformer m = lab::load_model(path);
      auto ids = tokens.encode("the 12 th");
      std::erase_if(ids, [&](std::uint32_t id) { return id >= m.config.vocab; });
      if (ids.size() > m.config.positions) ids.resize(m.config.positions);
      if (!ids.empty()) (void)test::logits_of(m, ids);
      ++ran;
    });
    refused += message.empty() ? 0 : 1;
    REQUIRE(!test::contains(message, "\n"));
  }
  CHECK(refused + ran == 400);
  CHECK(refused > 100);
  CHECK(ran > 0);
}
