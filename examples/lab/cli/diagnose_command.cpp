// zp-lab diagnose: a scheme layer by layer, where its error enters and how far it travels.
#include <lab/cli/commands.hpp>
#include <lab/cli/workload_arguments.hpp>
#include <lab/io/progress.hpp>
#include <lab/report/diagnosis.hpp>

#include <iostream>
#include <memory>

namespace lab::cli {
namespace {

struct diagnose_arguments : workload_arguments {
  std::string scheme = "w8a8-static", json;
  bool sensitivity = false;
};

void diagnose(const diagnose_arguments& o) {
  const scheme_name name = parse_scheme(o.scheme);
  workload w = o.load(name.needs_calibration());
  scheme_maker maker = w.maker(std::span(&name, 1));
  diagnosis d{w.description, o.scheme, {}, {}};
  {
    const scheme_layers scheme = maker.make(name);
    progress shown("diagnose " + o.scheme, w.windows.size());
    d.layers = lab::diagnose(w.model, scheme, w.ids, w.windows, o.thread_count(),
                             [&](std::size_t n) { shown.at(n); });
  }
  if (o.sensitivity) {
    const scheme_layers scheme = maker.make(name);
    progress shown("sensitivity", w.windows.size() * (2 * scheme.layers.size() + 8));
    d.sensitivity = measure_sensitivity(w.model, scheme, w.ids, w.windows, o.thread_count(),
                                        [&](std::size_t n) { shown.at(n); });
  }
  std::cout << text_of(d) << std::flush;
  write_report(o.json, json_of(d));
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
  auto o = std::make_shared<diagnose_arguments>();
  o->add_to(*command, "look at", "ranges");
  o->add_table_to(*command);
  command->add_option("--scheme", o->scheme, "Scheme, as in zp-lab perplexity --help")
      ->capture_default_str()
      ->type_name("NAME");
  command->add_flag("--sensitivity", o->sensitivity,
                    "Also the loss with each layer quantized alone, and with each one left float");
  command->add_option("--json", o->json, "Also write everything as JSON")->type_name("FILE");
  command->callback([o] { diagnose(*o); });
}

}  // namespace lab::cli
