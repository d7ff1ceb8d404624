// Random checkpoints: the sizes that the authors published, and files that load.
#include <lab/models/random_checkpoint.hpp>

#include "golden.hpp"
#include "support/test.hpp"

#include <algorithm>

TEST_CASE("Known shapes have the published number of parameters") {
  struct expectation {
    const char* name;
    std::uint64_t parameters;
  };
  const expectation all[] = {{"gpt2", 124439808},
                             {"opt-125m", 125239296},
                             {"opt-1.3b", 1315758080},
                             {"smollm2-135m", 134515008}};
  REQUIRE(lab::known_shapes().size() == std::size(all));
  for (const auto& [name, parameters] : all) {
    CHECK(std::count(lab::known_shapes().begin(), lab::known_shapes().end(), name) == 1);
    const auto c = lab::parse_config(lab::config_of_shape(name), name);
    std::uint64_t bytes = 0;
    for (const auto& t : lab::checkpoint_tensors(c)) {
      CHECK(t.type == lab::dtype::f16);
      bytes += t.bytes;
    }
    INFO(name);
    CHECK(bytes == 2 * parameters);
  }
  CHECK(test::contains(test::rejection([] { return lab::config_of_shape("gpt5"); }),
                       "no shape \"gpt5\"; there are: gpt2, opt-125m"));
}

TEST_CASE("A random checkpoint of any family loads; its weights are those of its seed") {
  const std::string name = GENERATE("gpt2_tied", "gpt2_untied", "opt_pre_norm", "opt_post_norm",
                                    "opt_untied", "llama_grouped", "llama_untied");
  const std::string config = test::slurp(test::golden / name / "config.json");
  const auto written = [&](std::uint64_t seed) {
    const test::scratch dir;
    const auto folder = dir.path() / "a" / "b";
    const std::uint64_t parameters = lab::write_random_checkpoint(config, folder, seed);
    const lab::transformer m = lab::load_model(folder);
    CHECK(m.parameters() == parameters);
    CHECK(test::slurp(folder / "config.json") == config);
    const auto logits = test::logits_of(m, test::golden_ids(name));
    CHECK(std::all_of(logits.begin(), logits.end(), [](float v) { return std::isfinite(v); }));
    double mean = 0, square = 0;
    for (const float v : m.embedding) {
      mean += static_cast<double>(v) / static_cast<double>(m.embedding.size());
      square += std::pow(static_cast<double>(v), 2) / static_cast<double>(m.embedding.size());
    }
    CHECK(std::fabs(mean) < 0.003);  // of 636 or more values: 4 standard errors
    CHECK(std::fabs(std::sqrt(square) - 0.02) < 0.003);
    if (!m.blocks[0].attention_norm.gain.empty()) CHECK(m.blocks[0].attention_norm.gain[3] == 1);
    return std::pair(m.embedding, m.blocks[1].fc1.weight);
  };
  const auto one = written(1);
  CHECK(written(1) == one);
  CHECK(written(2).first != one.first);
  CHECK(one.first[0] != one.second[0]);
}

TEST_CASE("A folder with a model is left alone") {
  const test::scratch dir;
  const std::string config = test::slurp(test::golden / "gpt2_tied" / "config.json");
  dir.write("config.json", "{}");
  CHECK(test::contains(
      test::rejection([&] { return lab::write_random_checkpoint(config, dir.path(), 1); }),
      "config.json: exists already"));
  CHECK(!std::filesystem::exists(dir.path() / "model.safetensors"));
  const auto file = dir.write("file", "");
  CHECK(test::contains(
      test::rejection([&] { return lab::write_random_checkpoint(config, file / "x", 1); }),
      "cannot be made"));
}

TEST_CASE("The piecewise writer takes exactly the bytes that its header promises") {
  const test::scratch dir;
  const auto path = dir.path() / "w.safetensors";
  const std::byte bytes[5] = {};
  {
    lab::safetensors_writer file(path,
                                 {{"b", lab::dtype::u8, {3}, 3}, {"a", lab::dtype::u8, {1}, 1}});
    REQUIRE(file.tensors()[0].name == "a");
    file.write({bytes, 2});
    CHECK_THROWS_AS(file.write({bytes, 3}), zeropoint::error);
    CHECK_THROWS_AS(file.finish(), zeropoint::error);
    file.write({bytes, 2});
    CHECK(!std::filesystem::exists(path));
    file.finish();
  }
  CHECK(lab::safetensors_file(path).tensors().size() == 2);
  const auto wrong = [&](std::vector<lab::tensor_layout> tensors) {
    CHECK_THROWS_AS(lab::safetensors_writer(dir.path() / "x", std::move(tensors)),
                    zeropoint::error);
    CHECK(!std::filesystem::exists(dir.path() / "x"));
  };
  wrong({{"a", lab::dtype::f32, {2}, 7}});
  wrong({{"a", lab::dtype::unknown, {2}, 2}});
  wrong({{"a", lab::dtype::u8, {1}, 1}, {"a", lab::dtype::u8, {1}, 1}});
}
