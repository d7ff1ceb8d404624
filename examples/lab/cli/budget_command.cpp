// zp-lab budget: bits per layer for a size or a damage, and a run of the choice.
#include <lab/cli/commands.hpp>
#include <lab/cli/workload_arguments.hpp>
#include <lab/io/progress.hpp>
#include <lab/report/budget.hpp>

#include <cmath>
#include <iostream>
#include <memory>

namespace lab::cli {
namespace {

struct budget_arguments : workload_arguments {
  budget_arguments() { max_tokens = calibration_tokens = 8192; }
  std::string schemes = "w8,w4-g32,w3-g32-affine,w2-g32-affine", json;
  double bytes_per_weight = 0, megabytes = 0, kl = 0;  ///< one of them is not 0
};

/// What a layer can be stored as.
std::vector<scheme_name> candidates(const std::string& list) {
  std::vector<scheme_name> names = parse_schemes(list);
  names.erase(names.begin());  // fp32, which everything is compared with
  for (const scheme_name& name : names) {
    if (name.kind == arithmetic::weight_only && name.cure == activation_cure::none &&
        name.attention == attention_kind::floats)
      continue;
    throw input_error("--schemes " + name.text +
                      ": a budget chooses among integer weights with all else in float, such as "
                      "w8, w4-g32, w3-g64-affine-gptq");
  }
  if (names.empty()) throw input_error("--schemes " + list + ": nothing to choose from but fp32");
  return names;
}

budget_limit limit_of(const budget_arguments& o, const transformer& model) {
  if (!std::isfinite(o.bytes_per_weight + o.megabytes + o.kl)) {
    throw input_error("budget: expected a number that is finite");
  }
  if (o.kl > 0) return {std::nullopt, o.kl};
  std::size_t weights = 0;
  for (const dense* d : model.linears()) weights += d->weight.size();
  const double bytes =
      o.megabytes > 0 ? 1e6 * o.megabytes : o.bytes_per_weight * static_cast<double>(weights);
  return {static_cast<std::uint64_t>(std::min(bytes, 0x1p53)), 0};
}

void budget(const budget_arguments& o) {
  const std::vector<scheme_name> names = candidates(o.schemes);
  workload w = o.load(true);

  budget_study b;
  b.study = w.description;
  b.limit = limit_of(o, w.model);
  b.windows = w.seen_windows.size();
  for (const window& one : w.seen_windows) b.scored += one.scored;
  scheme_maker maker = w.maker(names);
  std::vector<scheme_layers> schemes;
  for (const scheme_name& name : names) {
    b.schemes.push_back(name.text);
    schemes.push_back(maker.make(name));
  }
  const text_windows seen{w.seen, w.seen_windows}, other{w.ids, w.windows};
  {
    progress shown("sensitivity of layers", seen.windows.size());
    b.layers = measure_options(w.model, schemes, seen, o.thread_count(),
                               [&](std::size_t n) { shown.at(n); });
  }
  b.choice = choose(b.layers, b.limit);
  {
    progress shown("run the choice", seen.windows.size() + other.windows.size());
    b.runs = run_budget(w.model, schemes, b.layers, b.choice.options, seen, other, o.thread_count(),
                        [&](std::size_t n) { shown.at(n); });
  }
  std::cout << text_of(b) << std::flush;
  write_report(o.json, json_of(b));
}

}  // namespace

void add_budget(CLI::App& app) {
  auto* command = app.add_subcommand("budget", "Choose bits per layer for a size or a damage");
  command->footer(
      "Measures every layer alone under every scheme on the calibration text, chooses the least "
      "sum of KL within the\nbytes (or the fewest bytes within the KL), and runs the mixture and "
      "the schemes by themselves on the other text.\nBytes are those of the linear layers in a "
      "file: weights, scales, zero points, biases.\n"
      "Example: zp-lab budget --model gpt2 --bytes-per-weight 0.5");
  auto o = std::make_shared<budget_arguments>();
  o->add_to(*command, "verify on", "sensitivities and -gptq, -awq, -adaround");
  auto* limit = command->add_option_group("Budget", "One of these");
  limit->add_option("--bytes-per-weight", o->bytes_per_weight, "Bytes, as a mean over all weights")
      ->check(CLI::PositiveNumber);
  limit->add_option("--megabytes", o->megabytes, "Millions of bytes")->check(CLI::PositiveNumber);
  limit->add_option("--kl", o->kl, "KL to the float model, nats per token")
      ->check(CLI::PositiveNumber);
  limit->require_option(1);
  add_schemes(*command, "--schemes", o->schemes,
              "What a layer may be: integer weights, separated by commas")
      ->capture_default_str();
  add_output(*command, "--json", o->json, "Also write everything as JSON");
  command->callback([o] { budget(*o); });
}

}  // namespace lab::cli
