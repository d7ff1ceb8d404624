// zp-lab weights: what each scheme costs the weights of a checkpoint, which need not be a model.
#include <lab/cli/commands.hpp>
#include <lab/cli/defaults.hpp>
#include <lab/experiments/weight_study.hpp>

#include <iostream>
#include <map>
#include <memory>

namespace lab::cli {
namespace {

struct weights_arguments {
  std::string path, schemes, filter, layout = "auto", json;
};

std::vector<scheme_name> named(const std::string& list) {
  std::vector<scheme_name> names;
  if (list.empty()) {
    for (const std::string& s : default_weight_schemes()) names.push_back(parse_scheme(s));
    return names;
  }
  names = parse_schemes(list);
  names.erase(names.begin());  // fp32, which parse_schemes() puts first
  return names;
}

void weights(const weights_arguments& o) {
  const std::map<std::string, weight_layout> layouts = {{"auto", weight_layout::automatic},
                                                        {"linear", weight_layout::linear},
                                                        {"conv1d", weight_layout::conv1d}};
  const weight_study study =
      study_weights(o.path, named(o.schemes), o.filter, layouts.at(o.layout));
  std::cout << text_of(study) << std::flush;
  write_report(o.json, json_of(study));
}

}  // namespace

void add_weights(CLI::App& app) {
  auto* command =
      app.add_subcommand("weights", "Compare schemes by what they do to the weights alone");
  command->footer(
      "Matrices: root mean square; largest |w| over it; kurtosis (3 is normal); largest over "
      "median output channel.\n"
      "Schemes: bits a weight in a file, scales included; SQNR over all matrices; the matrix "
      "that comes off worst.\n"
      "Example: zp-lab weights gpt2/model.safetensors --tensors attn --schemes "
      "w8,w4-g32,w4-channel");
  auto o = std::make_shared<weights_arguments>();
  command->add_option("path", o->path, "A .safetensors file, an index, or a folder with one")
      ->required()
      ->type_name("PATH");
  add_schemes(*command, "--schemes", o->schemes,
              "Roundings of weights, separated by commas (default: sixteen of 8, 4, 3, 2 bits)");
  command->add_option("--tensors", o->filter, "Only tensors with this in their name")
      ->type_name("TEXT");
  command
      ->add_option(
          "--layout", o->layout,
          "Of the matrices: linear is [out, in], conv1d [in, out], auto knows GPT-2's names")
      ->check(CLI::IsMember({"auto", "linear", "conv1d"}))
      ->capture_default_str();
  add_output(*command, "--json", o->json, "Also write everything as JSON");
  command->callback([o] { weights(*o); });
}

}  // namespace lab::cli
