// The ceiling of loading: at most 1.15 times the float32 weights is ever resident, whatever the file
// holds, measured in a process of its own. Of a float32 file that is 1.15 times the file; of a file in
// 16 bits it is so under a scheme whose layers and head are integers.
#include <lab/experiments/schemes.hpp>
#include <lab/io/memory.hpp>
#include <lab/io/safetensors_writer.hpp>
#include <lab/models/load.hpp>
#include <lab/models/load_gguf.hpp>
#include <lab/models/random_checkpoint.hpp>
#include <lab/models/write_gguf.hpp>
#include <nlohmann/json.hpp>

#include "lab/scratch.hpp"
#include "support/memory.hpp"
#include "support/test.hpp"

#include <cstdio>
#include <cstring>

#include <sys/wait.h>
#include <unistd.h>

namespace {

constexpr double ceiling = 1.15;

/// 40 to 50 million parameters, most of them in layers.
std::string config_of(const std::string& family) {
  nlohmann::json c = {{"vocab_size", 3000}, {"bos_token_id", 0}, {"eos_token_id", 0}};
  if (family == "gpt2") {
    c.update({{"architectures", {"GPT2LMHeadModel"}},
              {"model_type", "gpt2"},
              {"n_embd", 512},
              {"n_layer", 14},
              {"n_head", 8},
              {"n_positions", 64},
              {"activation_function", "gelu_new"},
              {"layer_norm_epsilon", 1e-5}});
  } else {
    c.update({{"architectures", {"LlamaForCausalLM"}},
              {"model_type", "llama"},
              {"hidden_size", 512},
              {"intermediate_size", 1536},
              {"num_hidden_layers", 12},
              {"num_attention_heads", 8},
              {"num_key_value_heads", 4},
              {"max_position_embeddings", 64},
              {"hidden_act", "silu"},
              {"rms_norm_eps", 1e-5},
              {"tie_word_embeddings", true}});
  }
  return c.dump();
}

/// 2^-7 in every float type, again and again.
std::vector<std::byte> pattern(lab::dtype type) {
  const std::uint32_t bits = type == lab::dtype::f32   ? 0x3c000000
                             : type == lab::dtype::f16 ? 0x2000
                                                       : 0x3c00;
  const std::size_t width = lab::bits(type) / 8;
  std::vector<std::byte> bytes(std::size_t{1} << 16);
  for (std::size_t i = 0; i < bytes.size(); i += width) std::memcpy(&bytes[i], &bits, width);
  return bytes;
}

void write_shard(const std::filesystem::path& path, std::vector<lab::tensor_layout> tensors,
                 lab::dtype type) {
  const auto bytes = pattern(type);
  lab::safetensors_writer file(path, std::move(tensors));
  for (const lab::tensor_layout& t : file.tensors()) {
    for (std::uint64_t left = t.bytes; left > 0;) {
      const std::size_t count = std::min<std::uint64_t>(left, bytes.size());
      file.write(std::span(bytes).first(count));
      left -= count;
    }
  }
  file.finish();
}

/// In one file, or in shards with an index. Returns the bytes of all files of weights.
std::uint64_t write_checkpoint(const test::scratch& folder, const std::string& config,
                               lab::dtype type, std::size_t shards) {
  folder.write("config.json", config);
  std::vector<std::vector<lab::tensor_layout>> parts(shards);
  nlohmann::json index;
  std::size_t next = 0;
  for (lab::tensor_layout t : lab::checkpoint_tensors(lab::parse_config(config, "config.json"))) {
    t.bytes = t.bytes / lab::bits(t.type) * lab::bits(type);
    t.type = type;
    const std::size_t part = next++ % shards;
    index["weight_map"][t.name] = std::to_string(part) + ".safetensors";
    parts[part].push_back(std::move(t));
  }
  if (shards == 1) {
    write_shard(folder.path() / "model.safetensors", std::move(parts[0]), type);
    return std::filesystem::file_size(folder.path() / "model.safetensors");
  }
  folder.write("model.safetensors.index.json", index.dump());
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < shards; ++i) {
    const auto path = folder.path() / (std::to_string(i) + ".safetensors");
    write_shard(path, std::move(parts[i]), type);
    bytes += std::filesystem::file_size(path);
  }
  return bytes;
}

struct cost {
  std::uint64_t peak = 0, parameters = 0;
};

/// What `load` adds to the peak of a process that does nothing else.
template <class Load>
cost cost_of(Load&& load) {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  (void)lab::resident_memory();  // free pages of ours would hide what the child takes
  const ::pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const std::uint64_t before = lab::peak_memory();
    cost found;
    try {
      found.parameters = load();
      found.peak = lab::peak_memory() - before;
    } catch (const std::exception& problem) {
      std::fprintf(stderr, "%s\n", problem.what());
    }
    const bool told = ::write(ends[1], &found, sizeof found) == sizeof found;
    ::_exit(told ? 0 : 1);
  }
  ::close(ends[1]);
  cost found;
  const auto got = ::read(ends[0], &found, sizeof found);
  ::close(ends[0]);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(status == 0);
  REQUIRE(got == sizeof found);
  REQUIRE(found.parameters > 0);
  return found;
}

std::filesystem::path write_gguf(const test::scratch& folder, const std::string& family,
                                 lab::ggml_type_number type) {
  lab::write_random_checkpoint(config_of(family), folder.path() / "m", 1);
  const auto path = folder.path() / "m.gguf";
  lab::write_gguf_model(path, lab::load_model(folder.path() / "m"), {}, type, "random");
  return path;
}

}  // namespace

TEST_CASE("Loading holds the float32 weights once") {
  if (test::allocator_keeps_memory) return;
  const auto family = GENERATE("gpt2", "llama");
  const auto type = GENERATE(lab::dtype::f32, lab::dtype::f16, lab::dtype::bf16);
  const std::size_t shards = GENERATE(std::size_t{1}, std::size_t{3});
  const test::scratch folder;
  const std::uint64_t file = write_checkpoint(folder, config_of(family), type, shards);
  const cost c = cost_of([&] {
    const lab::transformer m = lab::load_model(folder.path());
    return m.embedding[5] == 0x1p-7f ? m.parameters() : 0;
  });
  const double weights = static_cast<double>(c.parameters * sizeof(float));
  CAPTURE(family, lab::name(type), shards, c.peak, weights, file);
  CHECK(weights > 150e6);
  CHECK(static_cast<double>(c.peak) > 0.99 * weights);  // or nothing was measured
  CHECK(static_cast<double>(c.peak) <= ceiling * weights);
  if (type == lab::dtype::f32) {
    CHECK(static_cast<double>(c.peak) <= ceiling * static_cast<double>(file));
  }
}

TEST_CASE("Loading GGUF holds the float32 weights once") {
  if (test::allocator_keeps_memory) return;
  const auto family = GENERATE("gpt2", "llama");
  const auto type = GENERATE(lab::ggml_q8_0, lab::ggml_q4_0);
  const test::scratch folder;
  (void)cost_of([&] { return std::filesystem::file_size(write_gguf(folder, family, type)); });
  const cost c = cost_of([&] { return lab::load_model(folder.path() / "m.gguf").parameters(); });
  const double weights = static_cast<double>(c.parameters * sizeof(float));
  CAPTURE(family, lab::ggml_type_of(type).name, c.peak, weights);
  CHECK(weights > 150e6);
  CHECK(static_cast<double>(c.peak) > 0.99 * weights);  // or nothing was measured
  CHECK(static_cast<double>(c.peak) <= ceiling * weights);
}

TEST_CASE("Under a scheme of integers a file in 16 bits takes no more than the file") {
  if (test::allocator_keeps_memory) return;
  const auto family = GENERATE("gpt2", "llama");
  const auto type = GENERATE(lab::dtype::f16, lab::dtype::bf16);
  const auto scheme =
      GENERATE("w8-head8", "w8a8-dynamic-token-head8", "w4-g32-head8", "w4a8-g32-head4");
  const std::size_t shards = GENERATE(std::size_t{1}, std::size_t{3});
  const test::scratch folder;
  const std::uint64_t file = write_checkpoint(folder, config_of(family), type, shards);
  const cost c = cost_of([&] {
    lab::transformer m;
    const auto made = lab::load_scheme(folder.path(), lab::parse_scheme(scheme), m);
    return m.short_embedding && made.head ? made.memory_bytes : 0;
  });
  CAPTURE(family, lab::name(type), scheme, shards, c.peak, file);
  CHECK(file > 75'000'000);
  CHECK(2 * c.peak > c.parameters);  // or nothing was measured
  CHECK(static_cast<double>(c.peak) <= ceiling * static_cast<double>(file));
}

TEST_CASE("A second copy would be seen") {
  if (test::allocator_keeps_memory) return;
  const test::scratch folder;
  (void)write_checkpoint(folder, config_of("gpt2"), lab::dtype::f32, 1);
  const cost c = cost_of([&] {
    const lab::transformer m = lab::load_model(folder.path());
    const std::string bytes = test::slurp(folder.path() / "model.safetensors");
    return bytes.empty() ? 0 : m.parameters();
  });
  CHECK(static_cast<double>(c.peak) > ceiling * static_cast<double>(c.parameters * sizeof(float)));
}

TEST_CASE("The number of threads changes no weight and no complaint") {
  const test::scratch folder;
  lab::write_random_checkpoint(config_of("gpt2"), folder.path() / "m", 1);
  const auto config = lab::load_config(folder.path() / "m");
  const lab::safetensors weights(folder.path() / "m");
  const lab::transformer one = lab::load_model(config, weights, {}, 1);
  const lab::transformer four = lab::load_model(config, weights, {}, 4);
  const auto a = one.linears(), b = four.linears();
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    CHECK(a[i]->name == b[i]->name);
    CHECK(a[i]->weight == b[i]->weight);
    CHECK(a[i]->bias == b[i]->bias);
  }
  const auto raw = weights.floats("h.0.mlp.c_fc.weight");  // [512, 2048], several strips
  const lab::dense& fc1 = one.blocks[0].fc1;
  std::size_t different = 0;
  for (std::size_t i = 0; i < fc1.in; ++i) {
    for (std::size_t o = 0; o < fc1.out; ++o) {
      different += raw[i * fc1.out + o] != fc1.weight[o * fc1.in + i] ? 1 : 0;
    }
  }
  CHECK(different == 0);
  auto longer = config;
  longer.layers += 3;
  const auto complaint = [&](std::size_t threads) {
    return test::rejection([&] { return lab::load_model(longer, weights, {}, threads); });
  };
  CHECK(test::contains(complaint(1), "tensor \"h.14.ln_1.weight\" is missing"));
  CHECK(complaint(4) == complaint(1));
}

TEST_CASE("The number of threads changes no weight and no complaint of GGUF") {
  const test::scratch folder;
  const auto path = write_gguf(folder, "llama", lab::ggml_q8_0);
  {
    const lab::gguf_file file(path);
    const lab::transformer one = lab::load_gguf_model(file, 1),
                           four = lab::load_gguf_model(file, 4);
    const auto a = one.linears(), b = four.linears();
    REQUIRE(a.size() == b.size());
    for (std::size_t i = 0; i < a.size(); ++i) CHECK(a[i]->weight == b[i]->weight);
  }
  std::fstream stored(path, std::ios::in | std::ios::out | std::ios::binary);
  for (const char* name : {"blk.4.ffn_up.weight", "blk.1.attn_k.weight"}) {
    const lab::gguf_file file(path);
    stored.seekp(
        static_cast<std::streamoff>(file.header().data_begin + file.at(name).begin + 34 * 5));
    stored.write("\x00\x7e", 2).flush();  // the scale of the sixth block
  }
  const lab::gguf_file file(path);
  for (const std::size_t threads : {1u, 4u}) {
    const auto text = test::rejection([&] { return lab::load_gguf_model(file, threads); });
    CHECK(test::contains(text, "tensor \"blk.1.attn_k.weight\": element 160 is "));
  }
}

TEST_CASE("A NaN deep in a matrix is named by its place in the file") {
  const test::scratch folder;
  const auto path = folder.path() / "m" / "model.safetensors";
  lab::write_random_checkpoint(config_of("gpt2"), path.parent_path(), 1);
  const std::uint64_t element = 1000003;
  std::uint64_t at = 0;
  {
    const lab::safetensors weights(path);
    const std::string bytes = test::slurp(path);
    std::uint64_t header = 0;
    std::memcpy(&header, bytes.data(), sizeof header);
    at = sizeof header + header + weights.at("h.3.mlp.c_proj.weight").begin + 2 * element;
  }
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(at));
  file.write("\x00\x7e", 2);
  file.close();
  CHECK(test::contains(test::rejection([&] { return lab::load_model(path.parent_path()); }),
                       "tensor \"h.3.mlp.c_proj.weight\": element 1000003 is nan"));
}
