// zp-lab calibrate: runs the float model over a text and keeps what it saw as a table.
#include <lab/cli/commands.hpp>
#include <lab/cli/defaults.hpp>
#include <lab/experiments/workload.hpp>
#include <lab/models/weights_hash.hpp>

#include <iostream>
#include <memory>

namespace lab::cli {
namespace {

struct calibrate_arguments {
  std::string model, planted, out, schemes = "w8a8-static";
  std::string calibration = default_calibration;
  std::vector<std::string> tables;
  std::size_t calibration_tokens = 16384, threads = 0;
  bool plain_text = false;
};

calibration_table calibrated(const calibrate_arguments& o) {
  workload_options wanted;
  wanted.text = o.calibration;  // the text that is run over, and nothing is scored
  wanted.max_tokens = o.calibration_tokens;
  wanted.join_lines = !o.plain_text;
  wanted.threads = threads_or_all(o.threads);
  if (!o.planted.empty()) wanted.planted = plant::parse(o.planted);
  const std::vector<scheme_name> names = parse_schemes(o.schemes);
  for (const scheme_name& n : names) {
    if (n.cure != activation_cure::smooth_search && !n.needs_gram() && !n.corrected) continue;
    throw input_error("calibrate: " + n.text + " needs the text itself, not a table of it");
  }
  workload w = workload_loader(wanted, false).load(o.model);
  if (wanted.planted) w.become(*wanted.planted);
  w.seen = w.ids;
  w.seen_windows = w.windows;
  const protocol& p = w.description.protocol;
  calibration_table table;
  table.model = w.description.model;
  table.variant = w.description.variant;
  table.weights = weights_hash(w.model);
  for (const dense* d : w.model.linears()) table.layers.push_back(d->name);
  scheme_maker maker = w.maker(names);
  table.inputs[activation_cure::none] = maker.natural();
  for (const scheme_name& n : names) {
    if (n.cure != activation_cure::none) table.inputs[n.cure] = maker.seen(n.cure);
  }
  table.texts.push_back(p.text + ", " + std::to_string(maker.natural().tokens) + " tokens, ids " +
                        p.ids_hash);
  return table;
}

calibration_table merged(const std::vector<std::string>& files) {
  calibration_table table = load_calibration_table(files.front());
  for (std::size_t i = 1; i < files.size(); ++i) merge(table, load_calibration_table(files[i]));
  return table;
}

void calibrate(const calibrate_arguments& o) {
  if (o.model.empty() == o.tables.empty()) {
    throw input_error("calibrate: expected either --model or --merge");
  }
  const calibration_table table = o.tables.empty() ? calibrated(o) : merged(o.tables);
  std::cout << text_of(table) << std::flush;
  write_report(o.out, json_of(table));
}

}  // namespace

void add_calibrate(CLI::App& app) {
  auto* command = app.add_subcommand("calibrate",
                                     "Keep what calibration sees as a table to edit and use again");
  command->footer(
      "The table (JSON) has for every linear layer the range of its inputs by each rule "
      "(min-max, 99.9th percentile,\n"
      "least squared error, entropy) and the histogram they follow from. Edit a range and it "
      "counts. Tables of other texts\n"
      "merge bit for bit as if all had been one run. perplexity, diagnose and report read one "
      "with --calibration-table.\n"
      "Example: zp-lab calibrate --model gpt2 --out gpt2.json\n"
      "         zp-lab calibrate --merge a.json --merge b.json --out both.json");
  auto o = std::make_shared<calibrate_arguments>();
  command->add_option("--model", o->model, "Folder of a model")->type_name("DIR");
  command
      ->add_option("--merge", o->tables,
                   "Merge these tables instead of running a model; give it several times")
      ->type_name("FILE")
      ->allow_extra_args(false);
  command
      ->add_option("--calibration", o->calibration,
                   "Text to run over (default: WikiText-2 raw validation, a slice)")
      ->type_name("FILE");
  command
      ->add_option("--calibration-tokens", o->calibration_tokens,
                   "Use the first N tokens of the text")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  add_schemes(*command, "--schemes", o->schemes,
              "Schemes that the table shall serve: those with -smooth and -rotate look at other "
              "inputs")
      ->capture_default_str();
  command->add_option("--plant", o->planted, "Calibrate the planted twin instead")
      ->type_name("CHANNELS:POWER");
  command->add_flag("--plain-text", o->plain_text,
                    "Read the text as it is; by default lines are joined as in perplexity");
  add_output(*command, "--out", o->out, "Write the table here")->required();
  command->add_option("--threads", o->threads, "Threads (default: all processors)")
      ->check(CLI::Range(1, 1024));
  command->callback([o] { calibrate(*o); });
}

}  // namespace lab::cli
