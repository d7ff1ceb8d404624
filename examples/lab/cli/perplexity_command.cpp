// zp-lab perplexity: one table per model, and per planted twin, with the same numbers as JSON and CSV.
#include <lab/cli/calibration_arguments.hpp>
#include <lab/cli/commands.hpp>
#include <lab/experiments/quantized_checkpoint.hpp>
#include <lab/experiments/run.hpp>
#include <lab/experiments/schemes.hpp>

#include <iostream>
#include <memory>

namespace lab::cli {
namespace {

struct perplexity_arguments : calibration_arguments {
  std::vector<std::string> models;
  std::string text = default_text, schemes, protocol = "chunk", planted, part, json, csv;
  std::size_t window = 0, stride = 0, max_tokens = 0;
  bool plain_text = false, check_parity = false;
};

perplexity_options checked(const perplexity_arguments& o) {
  perplexity_options p;
  p.models.assign(o.models.begin(), o.models.end());
  p.text = o.text;
  p.calibration = o.calibration;
  p.table = o.table;
  p.schemes = parse_schemes(o.schemes);
  p.rule = o.protocol == "stride" ? window_rule::stride : window_rule::chunk;
  p.window = o.window;
  p.stride = o.stride;
  p.max_tokens = o.max_tokens;
  p.calibration_tokens = o.calibration_tokens;
  p.join_lines = !o.plain_text;
  if (!o.planted.empty()) p.planted = plant::parse(o.planted);
  p.check_parity = o.check_parity;
  p.threads = o.thread_count();
  p.quantized_too = true;
  for (const std::string& folder : o.models) {
    const char* option = !o.schemes.empty() ? "--schemes" : p.planted ? "--plant" : nullptr;
    if (option == nullptr || !is_quantized(folder)) continue;
    throw input_error(std::string(option) + ": " + folder + " is quantized already");
  }
  if (p.planted && !o.table.empty()) {
    throw input_error("--calibration-table: is of the model or of its planted twin, not of both");
  }
  if (o.stride > 0 && p.rule == window_rule::chunk) {
    throw input_error("--stride: only --protocol stride has one");
  }
  return p;
}

void say(const std::string& line) {
  std::cout << line << std::endl;
}

void perplexity_of_shard(const perplexity_arguments& o) {
  const shard part = shard::parse(o.part);
  if (o.json.empty() || !o.csv.empty()) {
    throw input_error("--shard: writes what zp-lab merge reads to --json FILE, and no table");
  }
  const shard_file file = run_shard(checked(o), part, say);
  for (const shard_study& s : file.studies) say(line_of(part, s));
  write_report(o.json, json_of(file));
}

void perplexity(const perplexity_arguments& o) {
  if (!o.part.empty()) return perplexity_of_shard(o);
  bool first = true;
  const auto studies = run_perplexity(
      checked(o),
      [&](const study& s) {
        std::cout << (first ? "" : "\n") << text_of(s) << "\n" << findings_of(s) << std::flush;
        first = false;
      },
      say);
  write_report(o.json, json_of(studies));
  write_report(o.csv, csv_of(studies));
}

}  // namespace

void add_perplexity(CLI::App& app) {
  auto* command =
      app.add_subcommand("perplexity", "Measure a model under quantization schemes, side by side");
  std::string schemes;
  for (const std::string& s : default_schemes()) schemes += (schemes.empty() ? "" : ",") + s;
  command->footer(
      "Schemes by default: " + schemes +
      "\nThere are more; names compose:\n"
      "  w2 to w8 [-tensor|-channel|-gN] [-affine] [-gptq|-awq|-adaround|-equalize] [-bias]\n"
      "                                               integer weights, N inputs a scale\n"
      "  w2a8 to w4a8 [-tensor|-channel|-gN] [-affine] [-gptq|-adaround|-equalize] [-bias]\n"
      "                                               packed, times int8 activations\n"
      "  w8a8-dynamic[-token] [-smooth[-search]|-rotate|-equalize] [-bias]\n"
      "                                               int8 activations as well\n"
      "  w8a8-static [-p99.9|-mse|-kl] [-smooth[-search]|-rotate|-equalize] [-bias|-watch]\n"
      "                                               on calibrated ranges\n"
      "  w8a8-outlier, w8a8-channel-simulated\n"
      "  any of them, fp32 too, with -kv8 or -attn8 at the end       int8 KV cache; int8 attention "
      "products too\n"
      "  and then with -head8                                        int8 weights of the head\n"
      "  or with -head4                                              those in 4 bits, g32, times "
      "int8 activations\n"
      "Embeddings, norms and softmax stay float, attention and head without such an ending. A "
      "scale\n\"per tensor\" of w8a8-dynamic is a scale per window.\n"
      "A checkpoint of zp-lab quantize has one row, its own scheme.\n"
      "Columns: loss in nats per token; its difference to fp32 with the standard error over "
      "windows; perplexity;\nKL(fp32 || scheme) in nats per token; positions whose likeliest token "
      "is fp32's; activations outside the grid;\nbytes of the linear layers in a file and in "
      "memory; seconds on this machine.\n"
      "Example: zp-lab perplexity --model gpt2 --text wiki.test.raw --calibration wiki.valid.raw "
      "--schemes w8,w8a8-static");
  auto o = std::make_shared<perplexity_arguments>();
  command
      ->add_option("--model", o->models,
                   "Folder of a model, or a .gguf file; may be given several times")
      ->required()
      ->type_name("DIR_OR_GGUF")
      ->allow_extra_args(false);
  command->add_option("--text", o->text, "Text to score (default: WikiText-2 raw test)")
      ->type_name("FILE");
  o->add_calibration_to(*command, "the ranges of static schemes");
  o->add_table_to(*command);
  add_schemes(*command, "--schemes", o->schemes,
              "Schemes, separated by commas (default: nine, see below)");
  command
      ->add_option("--protocol", o->protocol,
                   "chunk: disjoint windows, the tail dropped (GPTQ); stride: overlapping windows, "
                   "only new tokens scored (HuggingFace)")
      ->check(CLI::IsMember({"chunk", "stride"}));
  command->add_option("--window", o->window, "Tokens of a window (default: all positions)")
      ->check(CLI::PositiveNumber);
  command->add_option("--stride", o->stride, "With --protocol stride (default: half the window)")
      ->check(CLI::PositiveNumber);
  command
      ->add_option("--max-tokens", o->max_tokens,
                   "Use only the first N tokens of the text (default: all)")
      ->check(CLI::PositiveNumber);
  command->add_flag(
      "--plain-text", o->plain_text,
      "Read texts as they are; by default lines are joined as the HuggingFace dataset "
      "does, which published numbers assume");
  command
      ->add_option("--plant", o->planted,
                   "Also measure the planted twin: so many outlier channels, scaled by 2^POWER")
      ->type_name("CHANNELS:POWER");
  command->add_flag("--check-parity", o->check_parity,
                    "First compare every quantized layer with its float-simulated twin");
  command
      ->add_option("--shard", o->part,
                   "Measure only every N-th window, from the I-th on, and write what zp-lab merge "
                   "reads to --json")
      ->type_name("I/N");
  add_output(*command, "--json", o->json, "Also write the numbers as JSON");
  add_output(*command, "--csv", o->csv, "Also write the numbers as CSV");
  o->add_threads_to(*command);
  command->callback([o] { perplexity(*o); });
}

}  // namespace lab::cli
