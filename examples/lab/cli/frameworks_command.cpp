// zp-lab frameworks: the codes that other frameworks give the weights of a model.
#include <lab/cli/commands.hpp>
#include <lab/cli/defaults.hpp>
#include <lab/models/load.hpp>
#include <lab/report/frameworks.hpp>

#include <iostream>
#include <memory>

namespace lab::cli {
namespace {

struct frameworks_arguments {
  std::string model, json;
};

void frameworks(const frameworks_arguments& o) {
  const transformer model = load_model(o.model);
  const auto layers = model.linears();
  const auto rows = compare_frameworks(layers);
  write_report(o.json, json_of(o.model, rows));
  std::cout << text_of(rows) << std::flush;
}

}  // namespace

void add_frameworks(CLI::App& app) {
  auto* command = app.add_subcommand(
      "frameworks", "Compare the weight codes of other frameworks with this library's");
  command->footer(
      "Weights of all linear layers, each framework beside the symmetric scheme of this library "
      "with as many bits\nand the same values to a scale. Columns: codes that differ; codes that "
      "change when their scale replaces ours,\nthen their smallest and largest code, then their "
      "ties and division: a later step may undo an earlier one;\nSQNR. docs/frameworks.md has "
      "their rules.\n"
      "Example: zp-lab frameworks --model gpt2");
  auto o = std::make_shared<frameworks_arguments>();
  command->add_option("--model", o->model, "Folder of a model")->required()->type_name("DIR");
  add_output(*command, "--json", o->json, "Also write the table as JSON");
  command->callback([o] { frameworks(*o); });
}

}  // namespace lab::cli
