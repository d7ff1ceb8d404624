// zp-lab attribute: what each layer of a scheme costs, and by which of its errors, predicted.
#include <lab/cli/commands.hpp>
#include <lab/cli/workload_arguments.hpp>
#include <lab/experiments/diagnosis.hpp>
#include <lab/io/progress.hpp>
#include <lab/report/attribution.hpp>

#include <iostream>
#include <memory>

namespace lab::cli {
namespace {

struct attribute_arguments : workload_arguments {
  std::string scheme = "w8a8-static", json;
  bool check = false, same_text = false;
  attribution_options draws;
};

void attribute(const attribute_arguments& o) {
  const scheme_name name = parse_scheme(o.scheme, "--scheme");
  if (name.corrected)
    throw input_error(
        "attribution of " + name.text +
        ": -bias takes back a part of what would be attributed; expected it left out");
  // The prediction is made from the calibration text, whether the scheme needs it or not.
  workload w = o.load(name.needs_calibration() || !o.same_text);
  scheme_maker maker = w.maker(std::span(&name, 1));
  const scheme_layers scheme = maker.make(name);

  attribution_study a{w.description, o.scheme, {}, 0, 0, o.draws, {}, {}};
  const auto& ids = o.same_text ? w.ids : w.seen;
  const auto& windows = o.same_text ? w.windows : w.seen_windows;
  a.text = o.same_text ? w.description.protocol.text : w.description.protocol.calibration;
  a.windows = windows.size();
  for (const window& one : windows) a.scored += one.scored;
  {
    progress shown("attribute " + o.scheme, windows.size());
    a.layers = lab::attribute(
        w.model, scheme, ids, windows, o.thread_count(), [&](std::size_t n) { shown.at(n); },
        o.draws);
  }
  if (o.check) {
    progress shown("measure", w.windows.size() * (2 * scheme.layers.size() + 8));
    a.sensitivity = measure_sensitivity(w.model, scheme, w.ids, w.windows, o.thread_count(),
                                        [&](std::size_t n) { shown.at(n); });
  }
  std::cout << text_of(a) << std::flush;
  write_report(o.json, json_of(a));
}

}  // namespace

void add_attribute(CLI::App& app) {
  auto* command =
      app.add_subcommand("attribute", "Predict what each layer of a scheme costs, and why");
  command->footer(
      "Weight and input, rounding and clipping: what each adds to KL and loss when one layer alone "
      "is quantized,\nto second order, from the gradients of the float model on the calibration "
      "text; docs/attribution.md says\nhow far that holds. --check measures it.\n"
      "Example: zp-lab attribute --model gpt2 --scheme w4-g128 --check");
  auto o = std::make_shared<attribute_arguments>();
  o->add_to(*command, "measure on", "ranges and for the prediction");
  command
      ->add_option("--scheme", o->scheme,
                   "Scheme, as in zp-lab perplexity --help, of integer weights; no -watch")
      ->capture_default_str()
      ->type_name("NAME");
  command->add_flag("--check", o->check,
                    "Also measure each layer quantized alone, and print both for the layers that "
                    "make up 80 % of the damage");
  command->add_flag("--same-text", o->same_text, "Predict from the text that --check measures on");
  command->add_option("--samples", o->draws.samples, "Draws of labels per window")
      ->capture_default_str()
      ->check(CLI::Range(1, 1024));
  command->add_option("--seed", o->draws.seed, "Seed of the draws")->capture_default_str();
  add_output(*command, "--json", o->json, "Also write everything as JSON");
  command->callback([o] { attribute(*o); });
}

}  // namespace lab::cli
