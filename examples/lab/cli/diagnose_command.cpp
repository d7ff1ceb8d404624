// zp-lab diagnose: a scheme layer by layer, where its error enters and how far it travels.
#include <lab/cli/commands.hpp>
#include <lab/cli/defaults.hpp>
#include <lab/experiments/workload.hpp>
#include <lab/io/progress.hpp>
#include <lab/report/diagnosis.hpp>

#include <iostream>
#include <memory>

namespace lab::cli {
namespace {

struct options {
  std::string model, scheme = "w8a8-static", table, planted, json;
  std::string text = default_text;
  std::string calibration = default_calibration;
  std::size_t max_tokens = 4096, calibration_tokens = 16384, threads = 0;
  bool sensitivity = false;
};

void diagnose(const options& o) {
  const scheme_name name = parse_scheme(o.scheme);
  workload_options wanted;
  wanted.text = o.text;
  wanted.calibration = o.calibration;
  wanted.table = o.table;
  wanted.max_tokens = o.max_tokens;
  wanted.calibration_tokens = o.calibration_tokens;
  wanted.threads = threads_or_all(o.threads);
  if (!o.planted.empty()) wanted.planted = plant::parse(o.planted);
  workload w = workload_loader(wanted, name.needs_calibration()).load(o.model);
  if (wanted.planted) w.become(*wanted.planted);
  scheme_maker maker = w.maker(std::span(&name, 1));
  diagnosis d{w.description, o.scheme, {}, {}};
  {
    const scheme_layers scheme = maker.make(name);
    progress shown("diagnose " + o.scheme, w.windows.size());
    d.layers = lab::diagnose(w.model, scheme, w.ids, w.windows, wanted.threads,
                             [&](std::size_t n) { shown.at(n); });
  }
  if (o.sensitivity) {
    const scheme_layers scheme = maker.make(name);
    progress shown("sensitivity", w.windows.size() * (2 * scheme.layers.size() + 8));
    d.sensitivity = measure_sensitivity(w.model, scheme, w.ids, w.windows, wanted.threads,
                                        [&](std::size_t n) { shown.at(n); });
  }
  std::cout << text_of(d) << std::flush;
  if (!o.json.empty()) write_report(o.json, json_of(d));
}

}  // namespace

void add_diagnose(CLI::App& app) {
  auto* command = app.add_subcommand("diagnose", "Look at a scheme layer by layer");
  command->footer(
      "Columns: SQNR of weights and inputs; share of inputs clipped, and of their error that "
      "clipping makes;\ncodes used; SQNR of the output when this layer alone is quantized, and "
      "with the errors of all layers before it;\nlargest channel over the median channel, largest "
      "token over the mean token, kurtosis of the inputs;\nchannels that are always zero, and "
      "those of six times the median and more.\n"
      "Example: zp-lab diagnose --model gpt2 --scheme w8a8-static --sensitivity");
  auto o = std::make_shared<options>();
  command->add_option("--model", o->model, "Folder of a model")->required()->type_name("DIR");
  command->add_option("--scheme", o->scheme, "Scheme, as in zp-lab perplexity --help")
      ->capture_default_str()
      ->type_name("NAME");
  command->add_option("--text", o->text, "Text to look at (default: WikiText-2 raw test)")
      ->type_name("FILE");
  command
      ->add_option("--calibration", o->calibration,
                   "Text for ranges (default: WikiText-2 raw "
                   "validation, a slice)")
      ->type_name("FILE");
  command
      ->add_option("--calibration-table", o->table,
                   "Take ranges from this table of zp-lab calibrate instead of a text")
      ->type_name("FILE");
  command->add_option("--max-tokens", o->max_tokens, "Look at the first N tokens of the text")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  command
      ->add_option("--calibration-tokens", o->calibration_tokens,
                   "Use the first N tokens of the calibration text")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  command->add_option("--plant", o->planted, "Look at the planted twin instead")
      ->type_name("CHANNELS:POWER");
  command->add_flag("--sensitivity", o->sensitivity,
                    "Also the loss with each layer quantized alone, and with each one left float");
  command->add_option("--json", o->json, "Also write everything as JSON")->type_name("FILE");
  command->add_option("--threads", o->threads, "Threads (default: all processors)")
      ->check(CLI::Range(1, 1024));
  command->callback([o] { diagnose(*o); });
}

}  // namespace lab::cli
