// zp-lab diagnose: a scheme layer by layer, where its error enters and how far it travels.
#include <lab/cli/commands.hpp>
#include <lab/cli/workload_arguments.hpp>
#include <lab/experiments/run.hpp>
#include <lab/io/progress.hpp>
#include <lab/report/diagnosis.hpp>

#include <iostream>
#include <memory>

namespace lab::cli {
namespace {

struct diagnose_arguments : workload_arguments {
  std::string scheme = "w8a8-static", part, json;
  bool sensitivity = false;
};

/// The windows of one shard for the table of --sensitivity.
void sensitivity_of_shard(const diagnose_arguments& o) {
  const shard part = shard::parse(o.part);
  if (!o.sensitivity || o.json.empty()) {
    throw input_error(
        "--shard: only --sensitivity has shards, and they are written to --json FILE");
  }
  const scheme_name name = parse_scheme(o.scheme, "--scheme");
  const workload w = o.load(name.needs_calibration());
  scheme_maker maker = w.maker(std::span(&name, 1));
  const scheme_layers scheme = maker.make(name);
  shard_study s;
  s.description = w.description;
  s.sensitivity_of = o.scheme;
  identify(s, w);
  const auto windows = part.deal(w.windows);
  {
    progress shown("sensitivity", windows.size() * (2 * scheme.layers.size() + 8));
    s.schemes = measure_sensitivity_sums(w.model, scheme, w.ids, windows, o.thread_count(),
                                         [&](std::size_t n) { shown.at(n); });
  }
  std::cout << line_of(part, s) << std::endl;
  write_report(o.json, json_of(shard_file{part, {std::move(s)}}));
}

void diagnose(const diagnose_arguments& o) {
  if (!o.part.empty()) return sensitivity_of_shard(o);
  const scheme_name name = parse_scheme(o.scheme, "--scheme");
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
  command
      ->add_option("--shard", o->part,
                   "With --sensitivity, of which only every N-th window is measured, from the I-th "
                   "on, and nothing else: what zp-lab merge reads is written to --json")
      ->type_name("I/N");
  add_output(*command, "--json", o->json, "Also write everything as JSON");
  command->callback([o] { diagnose(*o); });
}

}  // namespace lab::cli
