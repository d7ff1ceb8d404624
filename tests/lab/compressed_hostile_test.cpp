// Checkpoints of compressed-tensors that lie: tensors, configs, truncations and damage.
#include <lab/experiments/compressed_tensors.hpp>

#include "lab/golden.hpp"
#include "lab/stored_checkpoint.hpp"
#include "support/test.hpp"

#include <functional>
#include <limits>

namespace {

namespace fs = std::filesystem;
using files = test::stored_checkpoint;
using test::stored;

const fs::path foreign{"tests/lab/data/compressed"};

std::vector<std::uint32_t> foreign_ids() {
  const auto stored_ids = test::read_array<std::uint16_t>(foreign / "ids.u16");
  return {stored_ids.begin(), stored_ids.end()};
}

std::string load_error(const test::scratch& dir) {
  return test::rejection([&] { return lab::load_quantized(dir.path()); });
}

}  // namespace

TEST_CASE("Tensors of compressed-tensors that lie") {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  constexpr float infinity = std::numeric_limits<float>::infinity();
  const std::string layer = "model.layers.0.mlp.down_proj", scale = layer + ".weight_scale",
                    packed = layer + ".weight_packed", zeros = layer + ".weight_zero_point",
                    shape = layer + ".weight_shape", plain = layer + ".weight",
                    input = layer + ".input_scale";
  struct lie {
    const char* model;
    std::string tensor;
    std::function<void(stored&)> change;
    const char* expected;
  };
  const auto value = [](std::size_t i, auto v) { return [=](stored& t) { t.put(i, v); }; };
  const auto sizes = [](std::vector<std::uint64_t> s) { return [=](stored& t) { t.shape = s; }; };
  const std::vector<lie> lies{
      {"w4", scale, value(3, nan), "element 3 is nan; expected a scale above"},
      {"w4", scale, value(15, infinity), "element 15 is inf; expected a scale"},
      {"w4", scale, value(0, 0.0f), "element 0 is 0; expected a scale"},
      {"w4", scale, value(0, -0.5f), "element 0 is -0.5; expected a scale"},
      {"w4", scale, value(0, 1e-40f), "expected a scale above"},
      {"w4", scale, value(0, 3e38f), "with a finite grid"},
      {"w4", scale, sizes({1, 16}), "F32 [1, 16]; expected F32, F16 or BF16 [16, 1] for w4"},
      {"w4", scale, [](stored& t) { t.type = lab::dtype::i32; }, "I32 [16, 1]; expected F32"},
      {"w4", packed, sizes({3, 16}), "I32 [3, 16]; expected I32 [16, 3] for w4"},
      {"w4", packed, [](stored& t) { t.type = lab::dtype::u32; }, "U32 [16, 3]; expected I32"},
      {"w4", shape, value(1, std::int64_t{24}), "16 x 24; expected 16 x 20 as config.json says"},
      {"w4", shape, value(0, std::int64_t{-16}), "-16 x 20; expected 16 x 20"},
      {"w4-g4", scale, sizes({5, 16}), "expected F32, F16 or BF16 [16, 5] for w4-g4"},
      {"w4-g4-affine", zeros, sizes({5, 2}), "I32 [5, 2]; expected I32 [2, 5]"},
      {"w4a8", plain, value(21, std::int8_t{8}), "output 1, input 1 is 8; expected -8 .. 7"},
      {"w8a8-static", plain, sizes({20, 16}), "I8 [20, 16]; expected I8 [16, 20]"},
      {"w8a8-static", input, value(0, nan), "element 0 is nan; expected a scale"},
      {"w8a8-static", input, value(0, -1.0f), "element 0 is -1; expected a scale"},
      {"w8a8-static", input, value(0, 0.0f), "element 0 is 0; expected a scale"},
  };
  for (const lie& one : lies) {
    const test::scratch dir;
    files f(foreign / one.model);
    f.write(dir);
    CHECK(load_error(dir) == "");  // as made by the package
    one.change(f.tensors.at(one.tensor));
    f.write(dir);
    const auto message = load_error(dir);
    CAPTURE(one.model, one.tensor, message);
    CHECK(test::contains(message, "model.safetensors: tensor \"" + one.tensor));
    CHECK(test::contains(message, one.expected));
    CHECK(!test::contains(message, "\n"));
  }
}

TEST_CASE("Configs of compressed-tensors that lie, and parts that are not supported") {
  const std::string group = "/config_groups/group_0", weights = group + "/weights",
                    inputs = group + "/input_activations";
  struct change {
    std::string model, pointer;
    lab::json value;
    const char* expected;
  };
  const lab::json two = {{"a", lab::json::object()}, {"b", lab::json::object()}};
  for (const change& one : std::vector<change>{
           {"w4", "/format", "float-quantized", "format: is \"float-quantized\", which is not"},
           {"w4", "/format", 4, "quantization_config.format"},
           {"w4", "/quantization_status", "frozen", "is \"frozen\"; expected compressed"},
           {"w4", "/kv_cache_scheme", {{"num_bits", 8}}, "kv_cache_scheme: is not supported"},
           {"w4", "/transform_config", {{"x", 1}}, "transform_config: is not supported"},
           {"w4", "/config_groups", two, "config_groups: has 2 groups; expected one"},
           {"w4", "/config_groups", lab::json::object(), "has 0 groups; expected one"},
           {"w4", "/config_groups", 3, "config_groups"},
           {"w4", group, 3, "group_0"},
           {"w4", group + "/targets", {"Embedding"}, "targets: is not supported"},
           {"w4", group + "/output_activations", {{"num_bits", 8}}, "output_activations: is not"},
           {"w4", group + "/format", "int-quantized", "expected \"pack-quantized\" as above"},
           {"w4", weights + "/num_bits", 5, "num_bits: is 5; expected 4 or 8"},
           {"w4", weights + "/num_bits", -4, "num_bits"},
           {"w4", weights + "/num_bits", 8, "I32 [16, 2]; expected I32 [16, 4]"},
           {"w4", weights + "/type", "float", "type: is \"float\", which is not supported"},
           {"w4", weights + "/strategy", "block", "strategy: is \"block\", which is not"},
           {"w4", weights + "/strategy", "group", "group_size"},
           {"w4", weights + "/dynamic", true, "dynamic: expected false"},
           {"w4", weights + "/symmetric", false, "weight_zero_point\" is missing"},
           {"w4-g4", weights + "/group_size", 0, "group_size"},
           {"w4-g4", weights + "/group_size", 5, "groups of 5 do not divide its 16 inputs"},
           {"w4-g4", weights + "/group_size", 8, "expected F32, F16 or BF16 [16, 2]"},
           {"w4-g4-affine", weights + "/symmetric", true, "weight_zero_point\": I32"},
           {"w8a8-static", inputs + "/num_bits", 4, "num_bits"},
           {"w8a8-static", inputs + "/symmetric", false, "symmetric: false is not supported"},
           {"w8a8-static", inputs + "/strategy", "group", "strategy: is \"group\""},
           {"w8a8-static", inputs + "/dynamic", true, "input_scale\" has no place in"},
           {"w8a8-dynamic-token", inputs + "/dynamic", false, "expected token and dynamic"},
           {"w4a8", inputs + "/strategy", "tensor", "4-bit weights have inputs in int8 per token"},
       }) {
    const test::scratch dir;
    files f(foreign / one.model);
    f.config["quantization_config"][lab::json::json_pointer(one.pointer)] = one.value;
    f.write(dir);
    const auto message = load_error(dir);
    CAPTURE(one.model, one.pointer, one.value.dump(), message);
    CHECK(test::contains(message, one.expected));
    CHECK(!test::contains(message, "\n"));
  }
}

TEST_CASE("Tensors that are missing or too many") {
  const std::string layer = "model.layers.0.mlp.down_proj";
  const stored one{lab::dtype::f32, {1}, std::vector<std::byte>(4)};
  struct change {
    std::function<void(files&)> change;
    const char* expected;
  };
  for (const change& lie : std::vector<change>{
           {[&](files& f) { f.tensors.erase(layer + ".weight_scale"); }, "_scale\" is missing"},
           {[&](files& f) { f.tensors.erase(layer + ".weight_shape"); }, "_shape\" is missing"},
           {[&](files& f) { f.tensors.erase(layer + ".weight_packed"); }, "_packed\" is missing"},
           {[&](files& f) { f.tensors["lm_head.weight_scale"] = one; },
            "tensor \"lm_head.weight_scale\" has no place in w4 layers"},
           {[&](files& f) { f.tensors[layer + ".weight_g_idx"] = one; }, "has no place in w4"},
           {[&](files& f) {
              f.tensors[layer + ".weight"] = {
                  lab::dtype::f32, {16, 20}, std::vector<std::byte>(1280)};
            },
            "down_proj\" has float weights in a quantized checkpoint"},
       }) {
    const test::scratch dir;
    files f(foreign / "w4");
    lie.change(f);
    f.write(dir);
    const auto message = load_error(dir);
    CAPTURE(lie.expected, message);
    CHECK(test::contains(message, lie.expected));
  }
}

TEST_CASE("Every truncation of the header, and damage anywhere, is refused in one line or runs") {
  const std::string model = GENERATE("w4-g4-affine", "w8a8-static");
  const test::scratch dir;
  const std::string good = test::slurp(foreign / model / "model.safetensors"),
                    config = test::slurp(foreign / model / "config.json");
  dir.write("config.json", config);
  std::uint64_t header = 0;
  std::memcpy(&header, good.data(), sizeof header);
  for (std::size_t size = 0; size < header + 8; ++size) {
    dir.write("model.safetensors", std::string_view(good).substr(0, size));
    const auto message = load_error(dir);
    if (message.empty() || test::contains(message, "\n")) FAIL("cut at " << size << message);
  }
  const auto seed = test::seed(21);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  const auto ids = foreign_ids();
  std::size_t refused = 0;
  for (int round = 0; round < 600; ++round) {
    std::string bytes = good, text = config;
    if (round % 3 == 0) {
      text[g() % text.size()] = static_cast<char>(32 + g() % 95);
    } else {
      const std::size_t limit = round % 3 == 1 ? header + 8 : bytes.size();
      bytes[g() % limit] = static_cast<char>(g());
    }
    dir.write("config.json", text);
    dir.write("model.safetensors", bytes);
    const auto message = test::rejection([&] {
      const auto read = lab::load_quantized(dir.path());
      if (read.model.config.vocab >= 40 && read.model.config.positions >= ids.size())
        (void)test::logits_of(read.model, read.layers.layers, ids);
    });
    refused += message.empty() ? 0 : 1;
    REQUIRE(!test::contains(message, "\n"));
  }
  CHECK(refused > 200);
  CHECK(refused < 600);
}
