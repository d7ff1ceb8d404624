// Quantized checkpoints: what is read again computes the same bits as what was written, and files
// that lie are refused with one line.
#include <lab/experiments/quantized_checkpoint.hpp>
#include <lab/io/json.hpp>

#include "lab/golden.hpp"
#include "lab/stored_checkpoint.hpp"
#include "support/test.hpp"

#include <functional>
#include <limits>

namespace {

namespace fs = std::filesystem;
using lab::quantized_checkpoint;
using test::stored;
using files = test::stored_checkpoint;

/// Quantizes the checkpoint in `from`, calibrated on `ids`, and writes it.
lab::scheme_layers write(const fs::path& from, const lab::transformer& m, const std::string& name,
                         std::span<const std::uint32_t> ids, const fs::path& to) {
  const std::vector<lab::scheme_name> names{lab::parse_scheme(name)};
  const std::vector<lab::window> windows{{0, ids.size(), ids.size() - 1}};
  lab::scheme_maker maker(m, names, ids, windows, 1);
  lab::scheme_layers made = maker.make(names[0]);
  const auto layers = lab::quantized_layers(
      names[0], made, m,
      names[0].kind == lab::arithmetic::calibrated ? maker.natural() : lab::calibration{});
  const auto bytes =
      lab::write_quantized(to, names[0], from / "config.json", lab::safetensors(from), m, layers);
  CHECK(bytes == fs::file_size(to / "model.safetensors"));
  return made;
}

const fs::path gpt2 = test::golden / "gpt2_tied", opt = test::golden / "opt_pre_norm";
const std::string layer = "transformer.h.0.attn.c_attn";

}  // namespace

TEST_CASE("a checkpoint read again computes the same bits") {
  for (const char* model :
       {"gpt2_tied", "gpt2_untied", "opt_pre_norm", "opt_post_norm", "llama_grouped"}) {
    const fs::path from = test::golden / model;
    const lab::transformer m = lab::load_model(from);
    const auto ids = test::golden_ids(model);
    for (const char* scheme : {"w8",
                               "w4-g32",
                               "w4-g64",
                               "w4-g128",
                               "w8a8-dynamic",
                               "w8a8-dynamic-token",
                               "w8a8-static",
                               "w8a8-static-mse",
                               "w4-g8-affine",
                               "w8-affine",
                               "w5-tensor",
                               "w3-gptq",
                               "w8-attn8",
                               "w8a8-dynamic-token-head8",
                               "w4a8-g32-head4",
                               "w8-head4",
                               "w4a8",
                               "w4a8-g32",
                               "w3a8-g64-affine",
                               "w4a8-tensor",
                               "w2a8-gptq"}) {
      CAPTURE(model, scheme);
      const test::scratch dir;
      const lab::scheme_layers made = write(from, m, scheme, ids, dir.path());
      REQUIRE(lab::is_quantized(dir.path()));
      const quantized_checkpoint read = lab::load_quantized(dir.path());
      CHECK(read.scheme.text == scheme);
      CHECK(read.layers.name == scheme);
      CHECK(read.layers.stored_bytes == made.stored_bytes);
      CHECK(read.layers.memory_bytes == made.memory_bytes);
      CHECK(read.layers.head_memory_bytes == made.head_memory_bytes);
      CHECK(read.model.parameters() == m.parameters());
      const auto expected = test::logits_of(m, made, ids);
      CHECK(test::logits_of(read.model, read.layers, ids) == expected);
      CHECK(expected != test::logits_of(m, ids));
      const auto lean = lab::load_quantized(dir.path(), lab::float_weights::dropped);
      for (const lab::dense* d : lean.model.linears()) CHECK(d->weight.empty());
      CHECK(test::logits_of(lean.model, lean.layers, ids) == expected);
    }
  }
}

TEST_CASE("the file holds codes for every layer, in the bytes that they need") {
  const lab::transformer m = lab::load_model(gpt2);
  const auto ids = test::golden_ids("gpt2_tied");
  const test::scratch dir;
  write(gpt2, m, "w4-g8", ids, dir.path());
  const files f(dir.path());
  CHECK(f.config["quantization_config"]["scheme"] == "w4-g8");
  CHECK(f.config["quantization_config"]["weights"]["group_size"] == 8);
  CHECK(f.config["n_embd"] == 20);
  CHECK(f.config["quantization_config"]["activations"].is_null());
  CHECK(f.metadata.at("zeropoint.scheme") == "w4-g8");
  CHECK(f.tensors.at(layer + ".weight_codes").shape == std::vector<std::uint64_t>{60, 10});
  CHECK(f.tensors.at(layer + ".weight_scales").shape == std::vector<std::uint64_t>{60, 3});
  CHECK(f.tensors.contains(layer + ".bias"));
  CHECK(!f.tensors.contains(layer + ".weight"));
  CHECK(!f.tensors.contains("transformer.h.0.attn.masked_bias"));  // a buffer of old files
  const lab::safetensors before(gpt2), after(dir.path());
  CHECK(after.bytes("transformer.wte.weight") == before.bytes("transformer.wte.weight"));
  CHECK(test::contains(test::rejection([&] { return lab::load_model(dir.path()); }),
                       "quantized already"));
  CHECK(!lab::is_quantized(gpt2));
}

TEST_CASE("schemes that cannot be written say why") {
  for (const char* name : {"fp32", "f16", "w4-awq", "w8a8-outlier", "w8a8-channel-simulated",
                           "w8a8-static-smooth", "w8a8-dynamic-rotate", "w8a8-static-watch"}) {
    const auto scheme = lab::parse_scheme(name);
    CAPTURE(name);
    CHECK(test::contains(test::rejection([&] {
                           lab::require_storable(scheme);
                           return 0;
                         }),
                         std::string(name) + " cannot be written as a checkpoint: "));
  }
}

TEST_CASE("tensors that lie") {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  constexpr float infinity = std::numeric_limits<float>::infinity();
  const std::string codes = layer + ".weight_codes", scales = layer + ".weight_scales",
                    zeros = layer + ".weight_zero_points", range = layer + ".input_range",
                    scale = layer + ".input_scale";
  struct lie {
    const char* scheme;
    std::string tensor;
    std::function<void(stored&)> change;
    const char* expected;
  };
  const auto value = [](std::size_t i, auto v) { return [=](stored& t) { t.put(i, v); }; };
  const auto shape = [](std::vector<std::uint64_t> s) { return [=](stored& t) { t.shape = s; }; };
  const std::vector<lie> lies{
      {"w8", codes, value(21, std::int8_t{-128}),
       "output 1, input 1 is -128; expected -127 .. 127"},
      {"w4-g8", codes, value(10, std::uint8_t{0x80}), "output 1, input 1 is -8; expected -7 .. 7"},
      {"w8", codes, shape({20, 60}), "I8 [20, 60]; expected I8 [60, 20] for w8"},
      {"w4-g8", codes, shape({600}), "U8 [600]; expected U8 [60, 10] for w4-g8"},
      {"w8", codes, [](stored& t) { t.type = lab::dtype::u8; }, "U8 [60, 20]; expected I8"},
      {"w8", scales, value(3, nan), "element 3 is nan; expected a scale above"},
      {"w8", scales, value(59, infinity), "element 59 is inf; expected a scale"},
      {"w8", scales, value(0, 0.0f), "element 0 is 0; expected a scale"},
      {"w8", scales, value(0, -1.0f), "element 0 is -1; expected a scale"},
      {"w8", scales, value(0, 1e-39f), "element 0 is 1e-39; expected a scale"},
      {"w8", scales, value(0, 1e38f), "with a finite grid"},
      {"w4-g8", scales, shape({3, 60}), "F32 [3, 60]; expected F32 [60, 3] for w4-g8"},
      {"w4-g8-affine", zeros, value(7, std::int8_t{8}), "element 7 is 8; expected -8 .. 7"},
      {"w8a8-static", range, value(1, nan), "expected a finite range"},
      {"w8a8-static", range, value(0, 1e30f), "expected a finite range"},
      {"w8a8-static", scale, value(0, 0.5f), "which follows from the range"},
      {"w8a8-static", layer + ".input_zero_point", value(0, std::int8_t{1}),
       "1; expected 0, which follows"},
      {"w8", "transformer.ln_f.weight", value(2, nan), "element 2 is nan"},
  };
  const lab::transformer m = lab::load_model(gpt2);
  const auto ids = test::golden_ids("gpt2_tied");
  for (const lie& one : lies) {
    const test::scratch dir;
    write(gpt2, m, one.scheme, ids, dir.path());
    files f(dir.path());
    f.write(dir);
    CHECK_NOTHROW(lab::load_quantized(dir.path()));  // as written
    one.change(f.tensors.at(one.tensor));
    f.write(dir);
    const auto message = test::rejection([&] { return lab::load_quantized(dir.path()); });
    CAPTURE(one.scheme, one.tensor, message);
    CHECK(test::contains(message, "model.safetensors: tensor \"" + one.tensor));
    CHECK(test::contains(message, one.expected));
    CHECK(!test::contains(message, "\n"));
  }
}

TEST_CASE("config and metadata that lie") {
  const lab::transformer m = lab::load_model(opt);
  const test::scratch good;
  write(opt, m, "w8", test::golden_ids("opt_pre_norm"), good.path());
  struct lie {
    std::function<void(files&)> change;
    const char* expected;
  };
  const auto in_config = [](const char* key, lab::json value) {
    return [=](files& f) { f.config["quantization_config"][key] = value; };
  };
  const std::string first = "model.decoder.layers.0.self_attn.q_proj";
  const std::vector<lie> lies{
      {in_config("quant_method", "gptq"), "quantization_config.quant_method: expected zeropoint"},
      {in_config("format_version", 2), "quantization_config.format_version"},
      {in_config("scheme", "w9"), "quantization_config.scheme: "},
      {in_config("scheme", "fp32"), "fp32 cannot be written as a checkpoint"},
      {in_config("scheme", 8), "quantization_config.scheme"},
      {in_config("scheme", nullptr), "quantization_config.scheme: is missing"},
      {in_config("scheme", "w8-affine"), "zeropoint.scheme is \"w8\"; expected \"w8-affine\""},
      {[](files& f) { f.metadata.clear(); }, "zeropoint.format_version is missing; expected \"1\""},
      {[](files& f) { f.config["hidden_size"] = 24; }, "has shape"},
      {[&](files& f) { f.tensors.erase(first + ".weight_scales"); }, "weight_scales\" is missing"},
      {[&](files& f) {
         f.tensors[first + ".weight"] = {lab::dtype::f32, {20, 20}, std::vector<std::byte>(1600)};
       },
       "layer \"layers.0.self_attn.q_proj\" has float weights in a quantized checkpoint"},
  };
  for (const lie& one : lies) {
    const test::scratch dir;
    files f(good.path());
    one.change(f);
    f.write(dir);
    const auto message = test::rejection([&] { return lab::load_quantized(dir.path()); });
    CAPTURE(one.expected, message);
    CHECK(test::contains(message, one.expected));
  }
}
