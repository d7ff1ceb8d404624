// Loading checkpoints: names, shapes, transposition, and every way a file can disagree with its
// config.
#include "golden.hpp"
#include "support/test.hpp"

#include <map>

namespace {

using test::contains;

struct tensor {
  std::vector<std::uint64_t> shape;
  std::vector<float> values;
};
using checkpoint = std::map<std::string, tensor>;

checkpoint read_checkpoint(const std::string& name) {
  const lab::safetensors file(test::golden / name);
  checkpoint all;
  for (const auto& [key, entry] : file.tensors()) {
    if (entry.info.type == lab::dtype::f32) all[key] = {entry.info.shape, file.floats(key)};
  }
  return all;
}

void write_checkpoint(const std::filesystem::path& path, const checkpoint& all) {
  std::vector<lab::tensor_source> sources;
  for (const auto& [key, t] : all) {
    sources.push_back({key, lab::dtype::f32, t.shape, std::as_bytes(std::span(t.values))});
  }
  lab::write_safetensors(path, sources);
}

/// What load_model says of a golden checkpoint after `change`.
template <class Change>
std::string complaint(const std::string& name, Change&& change) {
  const test::scratch folder;
  checkpoint all = read_checkpoint(name);
  change(all);
  write_checkpoint(folder.path() / "model.safetensors", all);
  folder.write("config.json", test::slurp(test::golden / name / "config.json"));
  return test::rejection([&] { return lab::load_model(folder.path()); });
}

}  // namespace

TEST_CASE("GPT-2: Conv1D weights are transposed, layers are named without prefix") {
  const lab::transformer m = lab::load_model(test::golden / "gpt2_tied");
  const checkpoint file = read_checkpoint("gpt2_tied");
  REQUIRE(m.blocks.size() == 2);
  const auto linears = m.linears();
  REQUIRE(linears.size() == 8);
  const char* names[] = {"h.0.attn.c_attn", "h.0.attn.c_proj", "h.0.mlp.c_fc", "h.0.mlp.c_proj"};
  for (std::size_t i = 0; i < 4; ++i) {
    const lab::dense& d = *linears[i];
    CHECK(d.name == names[i]);
    const tensor& stored = file.at("transformer." + d.name + ".weight");
    REQUIRE(stored.shape == std::vector<std::uint64_t>{d.in, d.out});
    for (std::size_t o = 0; o < d.out; ++o) {
      for (std::size_t k = 0; k < d.in; ++k) {
        REQUIRE(d.weight[o * d.in + k] == stored.values[k * d.out + o]);
      }
    }
  }
  CHECK(m.head.empty());
  std::size_t count = 0;  // the mask buffers are no parameters
  for (const auto& [key, t] : file) count += contains(key, "masked_bias") ? 0 : t.values.size();
  CHECK(m.parameters() == count);
}

TEST_CASE("OPT: q, k and v stay layers of their own") {
  const lab::transformer m = lab::load_model(test::golden / "opt_post_norm");
  const auto linears = m.linears();
  REQUIRE(linears.size() == 12);
  CHECK(linears[0]->name == "layers.0.self_attn.q_proj");
  CHECK(linears[3]->name == "layers.0.self_attn.out_proj");
  CHECK(linears[11]->name == "layers.1.fc2");
  CHECK(m.project_in.has_value());
  CHECK(!m.final_norm.has_value());
  std::size_t count = 0;
  for (const auto& [key, t] : read_checkpoint("opt_post_norm")) count += t.values.size();
  CHECK(m.parameters() == count);
}

TEST_CASE("Llama: gate, up and down, and no positions") {
  const lab::transformer m = lab::load_model(test::golden / "llama_grouped");
  const auto linears = m.linears();
  REQUIRE(linears.size() == 14);
  CHECK(linears[1]->name == "layers.0.self_attn.k_proj");
  CHECK(linears[3]->name == "layers.0.self_attn.o_proj");
  CHECK(linears[4]->name == "layers.0.mlp.gate_proj");
  CHECK(linears[5]->name == "layers.0.mlp.up_proj");
  CHECK(linears[13]->name == "layers.1.mlp.down_proj");
  CHECK((m.positions.empty() && m.head.empty()));
  for (const lab::dense* d : linears) CHECK(d->bias.empty());
  const lab::transformer biased = lab::load_model(test::golden / "llama_untied");
  for (const lab::dense* d : biased.linears()) CHECK(d->bias.size() == d->out);
  for (const std::string name : {"llama_grouped", "llama_untied"}) {
    std::size_t count = 0;
    for (const auto& [key, t] : read_checkpoint(name)) count += t.values.size();
    CHECK(lab::load_model(test::golden / name).parameters() == count);
  }
}

TEST_CASE("Every prefix loads the same model") {
  for (const std::string name : {"gpt2_tied", "opt_pre_norm"}) {
    const bool gpt2 = name == "gpt2_tied";
    const std::string old = gpt2 ? "transformer." : "model.decoder.";
    const auto expected =
        test::logits_of(lab::load_model(test::golden / name), test::golden_ids(name));
    for (const std::string prefix : {"", "transformer.", "model.", "model.decoder.", "decoder."}) {
      const test::scratch folder;
      checkpoint all;
      for (auto& [key, t] : read_checkpoint(name)) all[prefix + key.substr(old.size())] = t;
      all["lm_head.weight"] = {{53, 20}, std::vector<float>(53 * 20, 9.0f)};  // tied: ignored
      write_checkpoint(folder.path() / "model.safetensors", all);
      folder.write("config.json", test::slurp(test::golden / name / "config.json"));
      const lab::transformer m = lab::load_model(folder.path());
      CHECK(test::logits_of(m, test::golden_ids(name)) == expected);
    }
  }
}

TEST_CASE("A checkpoint that does not fit its config is refused in one line that says where") {
  CHECK(complaint("gpt2_tied", [](checkpoint&) {}).empty());
  const auto missing =
      complaint("gpt2_tied", [](checkpoint& c) { c.erase("transformer.h.1.mlp.c_fc.bias"); });
  CHECK(contains(missing, "\"transformer.h.1.mlp.c_fc.bias\" is missing, expected shape [80]"));
  const auto bias = complaint("llama_grouped", [](checkpoint& c) {
    c["model.layers.1.self_attn.k_proj.bias"] = {{12}, std::vector<float>(12, 1.0f)};
  });
  CHECK(contains(bias, "\"model.layers.1.self_attn.k_proj.bias\", but the config says that there"));
  const auto grouped = complaint("llama_grouped", [](checkpoint& c) {
    c["model.layers.0.self_attn.v_proj.weight"] = {{24, 20}, std::vector<float>(480, 1.0f)};
  });
  CHECK(contains(grouped, "v_proj.weight\" has shape [24, 20], expected [12, 20]"));
  const auto no_gate =
      complaint("llama_untied", [](checkpoint& c) { c.erase("layers.1.mlp.gate_proj.weight"); });
  CHECK(contains(no_gate, "\"layers.1.mlp.gate_proj.weight\" is missing, expected shape [36, 20]"));
  const auto shape = complaint("gpt2_tied", [](checkpoint& c) {
    auto& t = c["transformer.h.0.attn.c_attn.weight"];
    t.shape = {60, 20};  // as a Linear would be
  });
  CHECK(contains(shape, "h.0.attn.c_attn.weight\" has shape [60, 20], expected [20, 60]"));
  const auto nan = complaint("gpt2_tied", [](checkpoint& c) {
    c["transformer.ln_f.weight"].values[3] = std::numeric_limits<float>::quiet_NaN();
  });
  CHECK(contains(nan, "\"transformer.ln_f.weight\": element 3 is nan"));
  const auto family =
      complaint("gpt2_tied", [](checkpoint& c) { c.erase("transformer.wte.weight"); });
  CHECK(contains(family, "no tensor \"wte.weight\""));
  const auto deeper = complaint("gpt2_tied", [](checkpoint& c) {
    c["transformer.h.2.ln_1.weight"] = c["transformer.h.1.ln_1.weight"];
  });
  CHECK(contains(deeper, "\"transformer.h.2.ln_1.weight\", but the config has 2 layers"));
  const auto head = complaint("opt_untied", [](checkpoint& c) { c.erase("lm_head.weight"); });
  CHECK(contains(head, "\"lm_head.weight\" is missing, expected shape [53, 20]"));
  const auto positions = complaint("opt_pre_norm", [](checkpoint& c) {
    auto& t = c["model.decoder.embed_positions.weight"];
    t.shape = {19, 20};  // without OPT's two extra rows
    t.values.resize(19 * 20);
  });
  CHECK(contains(positions, "has shape [19, 20], expected [21, 20]"));
  const auto project =
      complaint("opt_post_norm", [](checkpoint& c) { c.erase("decoder.project_out.weight"); });
  CHECK(contains(project, "\"decoder.project_out.weight\" is missing, expected shape [12, 20]"));
  for (const auto& text : {missing, shape, nan, family, deeper, head, positions, project}) {
    CHECK(!contains(text, "\n"));
  }
}

TEST_CASE("Windows are checked against positions and vocabulary") {
  const lab::transformer m = lab::load_model(test::golden / "gpt2_tied");
  const auto says = [&](std::vector<std::uint32_t> ids) {
    return test::rejection([&] {
      lab::check_window(m, ids);
      return 0;
    });
  };
  CHECK(says({0}).empty());
  CHECK(says(std::vector<std::uint32_t>(19, 52)).empty());
  CHECK(contains(says({}), "0 tokens: this model takes 1 to 19"));
  CHECK(contains(says(std::vector<std::uint32_t>(20, 1)), "20 tokens: this model takes 1 to 19"));
  CHECK(contains(says({1, 53}), "token 1 has id 53: this model has 53 tokens"));
}
