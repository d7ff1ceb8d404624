// zp-lab attribute: what each layer of a scheme costs, and by which of its errors, predicted.
#include <lab/cli/commands.hpp>
#include <lab/cli/defaults.hpp>
#include <lab/experiments/diagnosis.hpp>
#include <lab/experiments/workload.hpp>
#include <lab/io/progress.hpp>
#include <lab/report/attribution.hpp>

#include <iostream>
#include <memory>

namespace lab::cli {
namespace {

struct options {
  std::string model, scheme = "w8a8-static", planted, json;
  std::string text = default_text;
  std::string calibration = default_calibration;
  std::size_t max_tokens = 4096, calibration_tokens = 16384, threads = 0;
  bool check = false, same_text = false;
  attribution_options draws;
};

void attribute(const options& o) {
  const scheme_name name = parse_scheme(o.scheme);
  workload_options wanted;
  wanted.text = o.text;
  wanted.calibration = o.calibration;
  wanted.max_tokens = o.max_tokens;
  wanted.calibration_tokens = o.calibration_tokens;
  wanted.threads = threads_or_all(o.threads);
  if (!o.planted.empty()) wanted.planted = plant::parse(o.planted);
  // The prediction is made from the calibration text, whether the scheme needs it or not.
  workload w = workload_loader(wanted, name.needs_calibration() || !o.same_text).load(o.model);
  if (wanted.planted) w.become(*wanted.planted);
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
        w.model, scheme, ids, windows, wanted.threads, [&](std::size_t n) { shown.at(n); },
        o.draws);
  }
  if (o.check) {
    progress shown("measure", w.windows.size() * (2 * scheme.layers.size() + 8));
    a.sensitivity = measure_sensitivity(w.model, scheme, w.ids, w.windows, wanted.threads,
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
  auto o = std::make_shared<options>();
  command->add_option("--model", o->model, "Folder of a model")->required()->type_name("DIR");
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
  command->add_option("--text", o->text, "Text to measure on (default: WikiText-2 raw test)")
      ->type_name("FILE");
  command
      ->add_option("--calibration", o->calibration,
                   "Text for ranges and for the prediction (default: WikiText-2 raw validation, a "
                   "slice)")
      ->type_name("FILE");
  command->add_option("--max-tokens", o->max_tokens, "Measure on the first N tokens of the text")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  command
      ->add_option("--calibration-tokens", o->calibration_tokens,
                   "Use the first N tokens of the calibration text")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  command->add_option("--plant", o->planted, "Look at the planted twin instead")
      ->type_name("CHANNELS:POWER");
  command->add_option("--json", o->json, "Also write everything as JSON")->type_name("FILE");
  command->add_option("--threads", o->threads, "Threads (default: all processors)")
      ->check(CLI::Range(1, 1024));
  command->callback([o] { attribute(*o); });
}

}  // namespace lab::cli
