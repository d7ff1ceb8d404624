// zp-lab compare: the same prompt continued in float and under schemes.
#include <lab/cli/commands.hpp>
#include <lab/cli/generation_arguments.hpp>
#include <lab/experiments/parting.hpp>
#include <lab/experiments/stored_scheme.hpp>
#include <lab/report/format.hpp>

namespace lab::cli {
namespace {

struct compare_arguments : generation_arguments {
  std::string schemes;
  std::vector<std::string> quantized;
};

std::string row_of(const tokenizer& tokens, std::uint32_t id, double reference, double scheme,
                   const std::string& whose) {
  const std::string text = id < tokens.size() ? tokens.decode({&id, 1}) : "\xEF\xBF\xBD";
  return format("  %-24s %9.4f %9.4f  taken by %s\n", in_quotes(text).c_str(), reference, scheme,
                whose.c_str());
}

void show(const tokenizer& tokens, const std::string& name, const parting& p) {
  std::cout << "\n" << name << ":\n" << tokens.decode(p.ids) << "\n\n";
  if (!p.parted) {
    std::cout << "The same " << p.ids.size() << " tokens as fp32.\n";
    return;
  }
  std::cout << "As fp32 for " << p.shared << " tokens; then, with the probabilities under fp32 and "
            << name << ":\n"
            << row_of(tokens, p.tokens[0], p.reference[0], p.scheme[0], "fp32")
            << row_of(tokens, p.tokens[1], p.reference[1], p.scheme[1], name);
}

std::vector<scheme_name> checked(const compare_arguments& o) {
  require_float_model(o.model);
  if (!o.schemes.empty()) return parse_schemes(o.schemes);
  if (o.quantized.empty()) throw input_error("compare: --schemes or --quantized is required");
  return {parse_scheme("fp32")};
}

void compare(const compare_arguments& o) {
  const auto names = checked(o);
  const tokenizer tokens(o.model);
  const auto ids = o.prompt_ids(tokens);
  const auto made = o.load(names);
  for (const std::string& folder : o.quantized) {
    made->schemes.push_back(load_stored_scheme(folder, made->work.model));
  }
  generation_options how;
  how.new_tokens = o.new_tokens;
  how.threads = o.thread_count();
  how.stop = made->work.model.config.eos;
  const transformer& m = made->work.model;
  const auto expected = lab::generate(m, made->schemes[0], ids, how);
  std::cout << "fp32:\n" << tokens.decode(expected.ids) << std::endl;
  for (std::size_t i = 1; i < made->schemes.size(); ++i) {
    const scheme_layers& scheme = made->schemes[i];
    show(tokens, scheme.name,
         compare_continuations(m, made->schemes[0], expected, scheme, ids, how));
    std::cout << std::flush;
  }
}

}  // namespace

void add_compare(CLI::App& app) {
  auto* command = app.add_subcommand(
      "compare", "Continue a prompt in float and under schemes, and show where they part");
  command->footer(
      "Tokens are the likeliest ones. Where a continuation parts from the float one, the "
      "probabilities of both\ntokens say whether the choice was close.\n"
      "Example: zp-lab compare --model gpt2 --prompt \"The river\" --schemes "
      "w8,w8a8-dynamic-token,w4-g32");
  auto o = std::make_shared<compare_arguments>();
  o->add_to(*command)->required();
  add_schemes(*command, "--schemes", o->schemes, "Schemes beside fp32, separated by commas");
  command
      ->add_option("--quantized", o->quantized,
                   "Folder that zp-lab quantize wrote from this model; may be given several times")
      ->type_name("DIR")
      ->allow_extra_args(false);
  command->callback([o] { compare(*o); });
}

}  // namespace lab::cli
