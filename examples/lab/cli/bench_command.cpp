// zp-lab bench: what each scheme gains in speed and memory, and what it costs in loss.
#include <lab/cli/calibration_arguments.hpp>
#include <lab/cli/commands.hpp>
#include <lab/experiments/footprint.hpp>
#include <lab/experiments/stored_scheme.hpp>
#include <lab/experiments/workload.hpp>
#include <lab/io/memory.hpp>
#include <lab/io/progress.hpp>
#include <lab/report/speed.hpp>

#include <iostream>
#include <memory>

namespace lab::cli {
namespace {

constexpr const char* usual_schemes = "w8,w4-g32,w8a8-dynamic-token,w8a8-static,w4a8-g32";

struct bench_arguments : calibration_arguments {
  std::string model, schemes = usual_schemes, text = default_text, json;
  std::vector<std::string> quantized;
  std::size_t runs = 5, max_tokens = 4096;
};

workload load(const bench_arguments& o, std::span<const scheme_name> names) {
  workload_options wanted;
  wanted.text = o.text;
  wanted.calibration = o.calibration;
  wanted.table = o.table;
  wanted.max_tokens = o.max_tokens;
  wanted.calibration_tokens = o.calibration_tokens;
  wanted.threads = o.thread_count();
  wanted.untokenized_too = true;
  const bool calibrated = std::any_of(names.begin(), names.end(),
                                      [](const scheme_name& n) { return n.needs_calibration(); });
  return workload_loader(wanted, calibrated).load(o.model);
}

std::vector<scheme_name> checked(const bench_arguments& o) {
  require_float_model(o.model);
  auto names = parse_schemes(o.schemes);
  for (const scheme_name& n : names) {
    if (!n.watched) continue;
    throw input_error("--schemes: " + n.text +
                      " changes with what it has seen; timing it would change its loss");
  }
  return names;
}

/// Those made in memory, then those that were written.
std::vector<scheme_layers> all_schemes(const bench_arguments& o, const workload& w,
                                       std::span<const scheme_name> names) {
  std::vector<scheme_layers> schemes;
  scheme_maker maker = w.maker(names);
  for (const scheme_name& n : names) schemes.push_back(maker.make(n));
  for (const std::string& folder : o.quantized) {
    schemes.push_back(load_stored_scheme(folder, w.model));
  }
  return schemes;
}

/// Files and memory of every row. Takes what it measures, since it has to release it.
void add_sizes(const bench_arguments& o, std::vector<scheme_layers> schemes, transformer model,
               std::vector<scheme_speed>& rows) {
  const stored_weights checkpoint = stored_weights_of(o.model);
  const std::size_t in_memory = schemes.size() - o.quantized.size();
  for (std::size_t i = 0; i < schemes.size(); ++i) {
    rows[i].disk_bytes = i == 0           ? checkpoint.file_bytes
                         : i >= in_memory ? stored_weights_of(o.quantized[i - in_memory]).file_bytes
                                          : disk_bytes(schemes[i], model, checkpoint);
  }
  const auto resident = resident_bytes(std::move(schemes), std::move(model));
  for (std::size_t i = 0; i < resident.size(); ++i) {
    rows[i].resident_bytes = resident[i] + rows[i].cache_bytes;
  }
}

void bench(const bench_arguments& o) {
  const auto names = checked(o);
  keep_no_large_blocks();  // for add_sizes()
  workload w = load(o, names);
  (void)plan_speed(w.model.config.positions);  // refuses before any work
  std::vector<scheme_layers> schemes = all_schemes(o, w, names);
  bench_report r{w.description, {}};
  {
    progress shown("time " + w.description.model, (o.runs + 1) * schemes.size());
    r.speed = measure_speed(w.model, schemes, o.runs, o.thread_count(),
                            [&](std::size_t n) { shown.at(n); });
  }
  if (!w.windows.empty()) {
    progress shown("measure the loss of " + w.description.model, w.windows.size() * schemes.size());
    r.description.rows = measure(w.model, schemes, w.ids, w.windows, o.thread_count(),
                                 [&](std::size_t n) { shown.at(n); });
  }
  add_sizes(o, std::move(schemes), std::move(w.model), r.speed.rows);
  std::cout << text_of(r) << std::flush;
  write_report(o.json, json_of(r));
}

}  // namespace

void add_bench(CLI::App& app) {
  auto* command = app.add_subcommand(
      "bench", "Time prefill and decode under schemes, beside memory, size on disk and loss");
  command->footer(
      "Schemes are those of zp-lab perplexity, fp32 comes by itself. All of them take turns in "
      "every round, so that\n"
      "speed-ups compare what ran side by side. Prefills are of 128 and 512 tokens, as far as "
      "the model has positions.\n"
      "The loss is that of zp-lab perplexity; a model without a tokenizer has none, and is "
      "calibrated on random tokens.\n"
      "A second table says what limits each scheme: the read bandwidth in decode, the peak of the "
      "multiply-adds in prefill, and\n"
      "where the time goes.\n"
      "Example: zp-lab bench --model gpt2 --schemes w8,w4-g32,w8a8-dynamic-token --threads 1");
  auto o = std::make_shared<bench_arguments>();
  command->add_option("--model", o->model, "Folder of a model, or a GGUF file")
      ->required()
      ->type_name("DIR_OR_GGUF");
  add_schemes(*command, "--schemes", o->schemes,
              std::string("Schemes, separated by commas (default: ") + usual_schemes + ")");
  command
      ->add_option(
          "--quantized", o->quantized,
          "Folder that zp-lab quantize wrote from this model, as a row beside; may be given "
          "several times")
      ->type_name("DIR")
      ->allow_extra_args(false);
  command->add_option("--runs", o->runs, "Rounds; numbers are medians")
      ->capture_default_str()
      ->check(CLI::Range(1, 10000));
  command
      ->add_option("--text", o->text,
                   "Text for the loss, of which --max-tokens count (default: WikiText-2 raw test)")
      ->type_name("FILE");
  command->add_option("--max-tokens", o->max_tokens, "Use the first N tokens of the text")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  o->add_calibration_to(*command, "the ranges of static schemes");
  o->add_table_to(*command);
  o->add_threads_to(*command);
  add_output(*command, "--json", o->json, "Also write the numbers as JSON");
  command->callback([o] { bench(*o); });
}

}  // namespace lab::cli
