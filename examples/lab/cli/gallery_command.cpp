// zp-lab gallery: ways in which quantization fails, each with the number that catches it.
#include <lab/cli/commands.hpp>
#include <lab/cli/defaults.hpp>
#include <lab/gallery/gallery.hpp>

#include <iostream>
#include <memory>
#include <string>

namespace lab::cli {
namespace {

struct gallery_arguments {
  std::string only, json;
};

void gallery(const gallery_arguments& o) {
  const auto entries = run_gallery(o.only);
  write_report(o.json, json_of(entries));
  std::cout << text_of(entries);
}

}  // namespace

void add_gallery(CLI::App& app) {
  auto* command =
      app.add_subcommand("gallery", "Show how quantization fails, and what cures it, in numbers");
  std::string names;
  for (const gallery_experiment& e : gallery_experiments())
    names += (names.empty() ? "" : ", ") + std::string(e.name);
  command->footer(
      "Small experiments on synthetic data with fixed seeds: no model is needed. In every metric "
      "smaller is better.\ndocs/failures has a page for each.\nExperiments: " +
      names + "\nExample: zp-lab gallery --only batch-mates,conv1d-axis");
  auto o = std::make_shared<gallery_arguments>();
  command->add_option("--only", o->only, "Only these, separated by commas (default: all)")
      ->type_name("NAME,...");
  add_output(*command, "--json", o->json, "Also write the entries as JSON");
  command->callback([o] { gallery(*o); });
}

}  // namespace lab::cli
