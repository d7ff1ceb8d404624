// zp-lab random: a checkpoint of a known shape without its weights.
#include <lab/cli/commands.hpp>
#include <lab/models/random_checkpoint.hpp>
#include <lab/report/format.hpp>

#include <iostream>
#include <memory>

namespace lab::cli {
namespace {

struct random_arguments {
  std::string like, out;
  std::uint64_t seed = 1;
};

void random(const random_arguments& o) {
  const std::uint64_t parameters = write_random_checkpoint(config_of_shape(o.like), o.out, o.seed);
  std::cout << printable(o.out, 300) << ": the shape of " << o.like << ", " << grouped(parameters)
            << " random parameters in float16\n";
}

}  // namespace

void add_random(CLI::App& app) {
  auto* command = app.add_subcommand(
      "random", "Write a checkpoint of a known shape with random weights, for speed tests");
  command->footer(
      "Writes config.json and model.safetensors; there is no tokenizer, and what such a model says "
      "means nothing.\nExample: zp-lab random --like gpt2 -o /tmp/gpt2-random\n"
      "         zp-lab generate --model /tmp/gpt2-random --prompt-tokens 128 --scheme w8");
  auto o = std::make_shared<random_arguments>();
  std::string names;
  for (const std::string& s : known_shapes()) names += (names.empty() ? "" : ", ") + s;
  command->add_option("--like", o->like, "The shape: " + names)->required()->type_name("NAME");
  command->add_option("-o,--out", o->out, "Folder, made when it does not exist")
      ->required()
      ->type_name("DIR");
  command->add_option("--seed", o->seed, "Of the weights (default: 1)");
  command->callback([o] { random(*o); });
}

}  // namespace lab::cli
