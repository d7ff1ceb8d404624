// The layout of compressed-tensors: files of that package (tests/make_compressed_golden.py) down to
// codes of -128, and what we write and read again.
#include <lab/experiments/compressed_tensors.hpp>
#include <lab/experiments/parity.hpp>

#include "lab/golden.hpp"
#include "lab/stored_checkpoint.hpp"
#include "support/test.hpp"

#include <algorithm>

namespace {

namespace fs = std::filesystem;
using files = test::stored_checkpoint;

const fs::path foreign{"tests/lab/data/compressed"};

std::vector<std::uint32_t> foreign_ids() {
  const auto stored_ids = test::read_array<std::uint16_t>(foreign / "ids.u16");
  return {stored_ids.begin(), stored_ids.end()};
}

std::vector<float> weights_of(const lab::transformer& m) {
  std::vector<float> all;
  for (const lab::dense* d : m.linears()) all.insert(all.end(), d->weight.begin(), d->weight.end());
  return all;
}

/// Quantizes a golden checkpoint, calibrated on its ids, and writes it in this layout.
lab::scheme_layers write(const std::string& model, const lab::transformer& m,
                         const std::string& name, const fs::path& to) {
  const auto ids = test::golden_ids(model);
  const auto names = lab::storable_schemes(name, lab::checkpoint_format::compressed_tensors);
  const std::vector<lab::window> windows{{0, ids.size(), ids.size() - 1}};
  lab::scheme_maker maker(m, names, ids, windows, 1);
  lab::scheme_layers made = maker.make(names[0]);
  const bool calibrated = names[0].kind == lab::arithmetic::calibrated;
  const auto layers =
      lab::quantized_layers(names[0], made, m, calibrated ? maker.natural() : lab::calibration{});
  (void)lab::write_quantized(to, names[0], test::golden / model / "config.json",
                             lab::safetensors(test::golden / model), m, layers,
                             lab::checkpoint_format::compressed_tensors);
  return made;
}

/// The same codes, and the scale of the inputs that their range gives.
void require_same_static(const lab::quantized_checkpoint& read, const lab::transformer& m,
                         const lab::scheme_layers& made, std::span<const std::uint32_t> ids) {
  const std::vector<lab::window> windows{{0, ids.size(), ids.size() - 1}};
  const auto seen = lab::calibrate(m, ids, windows, 1);
  const auto linears = m.linears();
  REQUIRE(read.input_ranges.size() == linears.size());
  for (std::size_t i = 0; i < linears.size(); ++i) {
    CAPTURE(linears[i]->name);
    const auto block = lab::block_of(read.scheme, linears[i]->out, linears[i]->in);
    const auto a = read.layers.layers[i]->weight_codes(block),
               b = made.layers[i]->weight_codes(block);
    REQUIRE((a && b));
    CHECK(std::ranges::equal(a->scales(), b->scales()));
    for (std::size_t j = 0; j < a->rows(); ++j)
      CHECK(std::ranges::equal(a->values().row(j), b->values().row(j)));
    const float scale =
        zeropoint::fit(seen.ranges[i].of(lab::range_rule::min_max), zeropoint::symmetric).scale;
    CHECK(read.input_ranges[i].min == -128 * scale);
  }
}

}  // namespace

TEST_CASE("Checkpoints of the package compressed-tensors stand for the weights that it says") {
  const auto ids = foreign_ids();
  REQUIRE(ids.size() == 19);
  for (const std::string name : {"w8", "w4", "w4-g4", "w4-g4-affine", "w8-affine",
                                 "w8a8-dynamic-token", "w8a8-static", "w4a8"}) {
    CAPTURE(name);
    REQUIRE(lab::is_quantized(foreign / name));
    const auto read = lab::load_quantized(foreign / name);
    CHECK(read.scheme.text == name);
    CHECK(weights_of(read.model) == test::read_array<float>(foreign / name / "weights.f32"));
    const auto logits = test::logits_of(read.model, read.layers.layers, ids);
    CHECK(lab::check_parity(read.model, read.layers, ids).agrees());
    if (read.scheme.quantizes_activations()) continue;
    const auto expected = test::read_array<float>(foreign / name / "logits.f32");
    REQUIRE(logits.size() == expected.size());
    CHECK(test::relative_difference(logits, expected) <= 2e-6f);  // as golden_test.cpp
  }
}

TEST_CASE("Those checkpoints have the lowest codes, and keep them") {
  const auto lowest = [](const std::string& name, const std::string& part) {
    int low = 0;
    const files f(foreign / name);
    for (const auto& [tensor, t] : f.tensors) {
      if (!tensor.ends_with(part) || t.type != lab::dtype::i8) continue;
      for (const std::byte b : t.bytes) low = std::min(low, int{static_cast<std::int8_t>(b)});
    }
    return low;
  };
  CHECK(lowest("w8a8-dynamic-token", "_proj.weight") == -128);
  CHECK(lowest("w4a8", "_proj.weight") == -8);
  for (const char* name : {"w8a8-dynamic-token", "w4a8", "w4-g4", "w8"}) {
    const auto read = lab::load_quantized(foreign / name);
    int low = 0;
    const auto linears = read.model.linears();
    for (std::size_t i = 0; i < linears.size(); ++i) {
      const auto block = lab::block_of(read.scheme, linears[i]->out, linears[i]->in);
      const auto codes = read.layers.layers[i]->weight_codes(block);
      REQUIRE(codes.has_value());
      for (std::size_t j = 0; j < codes->rows(); ++j)
        for (const std::int8_t q : codes->values().row(j)) low = std::min(low, int{q});
    }
    CAPTURE(name);
    CHECK(low == read.scheme.weights.qmin());
  }
}

TEST_CASE("What is written in this layout computes the same bits when it is read again") {
  for (const std::string model : {"llama_grouped", "opt_pre_norm", "opt_post_norm"}) {
    const lab::transformer m = lab::load_model(test::golden / model);
    const auto ids = test::golden_ids(model);
    for (const char* scheme :
         {"w8", "w4", "w4-g4", "w4-g4-affine", "w8-affine", "w8-tensor", "w4-tensor-affine",
          "w8-gptq", "w8a8-dynamic", "w8a8-dynamic-token", "w8a8-static", "w4a8"}) {
      CAPTURE(model, scheme);
      const test::scratch dir;
      const auto made = write(model, m, scheme, dir.path());
      REQUIRE(lab::is_quantized(dir.path()));
      const auto read = lab::load_quantized(dir.path());
      CHECK(read.layers.stored_bytes == made.stored_bytes);
      CHECK(read.model.parameters() == m.parameters());
      // A static scheme ends at -128 here, in memory at -127: inputs of quantized layers reach it.
      if (read.scheme.kind == lab::arithmetic::calibrated) {
        require_same_static(read, m, made, ids);
      } else {
        CHECK(test::logits_of(read.model, read.layers.layers, ids) ==
              test::logits_of(m, made.layers, ids));
      }
      const auto lean = lab::load_quantized(dir.path(), lab::float_weights::dropped);
      for (const lab::dense* d : lean.model.linears()) CHECK(d->weight.empty());
    }
  }
}

TEST_CASE("What is written has the tensors and the config of the layout") {
  const lab::transformer m = lab::load_model(test::golden / "opt_pre_norm");
  const test::scratch dir;
  write("opt_pre_norm", m, "w4-g4-affine", dir.path());
  const files f(dir.path());
  const std::string layer = "model.decoder.layers.0.fc1";
  CHECK(f.tensors.at(layer + ".weight_packed").shape[0] == m.config.ffn);
  CHECK(f.tensors.at(layer + ".weight_packed").shape[1] == (m.config.width * 4 + 31) / 32);
  CHECK(f.tensors.at(layer + ".weight_shape").type == lab::dtype::i64);
  CHECK(f.tensors.at(layer + ".weight_scale").shape[1] == m.config.width / 4);
  CHECK(f.tensors.at(layer + ".weight_zero_point").shape[0] == (m.config.ffn * 4 + 31) / 32);
  CHECK(f.tensors.contains(layer + ".bias"));
  CHECK(f.tensors.contains("model.decoder.embed_tokens.weight"));
  const auto& q = f.config["quantization_config"];
  CHECK(q["quant_method"] == "compressed-tensors");
  CHECK(q["format"] == "pack-quantized");
  CHECK(q["config_groups"]["group_0"]["weights"]["group_size"] == 4);
  CHECK(q["config_groups"]["group_0"]["input_activations"].is_null());
  CHECK(f.config["hidden_size"] == m.config.width);
}

TEST_CASE("Schemes and models that this layout cannot hold") {
  const auto refused = [](const char* scheme, const lab::transformer& m) {
    return test::rejection([&] {
      const auto names = lab::storable_schemes(scheme, lab::checkpoint_format::compressed_tensors);
      lab::require_compressible(names[0], m);
      return 0;
    });
  };
  const lab::transformer llama = lab::load_model(test::golden / "llama_grouped"),
                         gpt2 = lab::load_model(test::golden / "gpt2_tied");
  CHECK(refused("w8", llama) == "");
  CHECK(test::contains(refused("w8", gpt2), "GPT-2's layers are Conv1D"));
  CHECK(test::contains(refused("w5", llama), "w5 has no place in compressed-tensors: expected 4"));
  CHECK(test::contains(refused("w8-attn8", llama), "attention stays in float there"));
  CHECK(test::contains(refused("w8-head8", llama), "the head stays in float there"));
  CHECK(test::contains(refused("w4-head4", llama), "the head stays in float there"));
  CHECK(test::contains(refused("w4-awq", llama), "AWQ scales the inputs"));
  CHECK(test::contains(refused("w4-g7", llama), "groups of 7 do not divide the "));
}
