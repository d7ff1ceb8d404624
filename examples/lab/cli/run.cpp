// From a command line to an exit code: every failure ends here, as one line.
#include <lab/cli/commands.hpp>
#include <lab/cli/options.hpp>
#include <lab/io/error.hpp>
#include <lab/models/float_kernels.hpp>

#include <zeropoint/kernels/registry.hpp>
#include <zeropoint/version.hpp>

#include <cstdlib>
#include <exception>
#include <iostream>
#include <new>
#include <string>

namespace lab::cli {
namespace {

constexpr int failed = 1;
constexpr int wrong_input = 2;

constexpr const char* description =
    "zp-lab measures what post-training quantization does to a language model on real text.\n"
    "A model is a folder with config.json, model.safetensors and the files of its tokenizer,\n"
    "as HuggingFace names them (families gpt2, opt and llama).";
constexpr const char* footer =
    "Exit codes: 0 done, 2 wrong input or option, 1 any other failure, such as a full disk; a "
    "failure "
    "is one line on\nstandard error.\n"
    "zp-lab SUBCOMMAND --help shows the options of a subcommand.";

std::string version() {
  return std::to_string(ZP_VERSION_MAJOR) + "." + std::to_string(ZP_VERSION_MINOR) + "." +
         std::to_string(ZP_VERSION_PATCH);
}

int complain(int code, const std::string& text) {
  std::cerr << "zp-lab: " << printable(text, 700) << std::endl;
  return code;
}

/// ZP_KERNEL and ZP_LAB_FLOAT name kernels. Not every scheme uses both, but who asks for one that there
/// is not shall not take the numbers of another for its own.
void require_kernels() {
  try {
    (void)zeropoint::kernels::choose(std::getenv("ZP_KERNEL"));
  } catch (const zeropoint::error& problem) {
    throw input_error(std::string("ZP_KERNEL: ") + problem.what());
  }
  (void)best_float_kernels();
}

/// What neither multiplies nor measures.
bool computes(const CLI::App& command) {
  const std::string& name = command.get_name();
  return name != "tokenize" && name != "inspect" && name != "convert" && name != "random" &&
         name != "merge";
}

int parse_and_run(int argc, const char* const* argv) {
  CLI::App app(description, "zp-lab");
  app.footer(footer);
  app.set_version_flag("--version", "zp-lab " + version());
  app.require_subcommand(0, 1);  // none is found below: an unknown word shall be named first
  add_perplexity(app);
  add_generate(app);
  add_compare(app);
  add_tokenize(app);
  add_logits(app);
  add_inspect(app);
  add_attribute(app);
  add_bench(app);
  add_budget(app);
  add_calibrate(app);
  add_diagnose(app);
  add_frameworks(app);
  add_gallery(app);
  add_merge(app);
  add_random(app);
  add_convert(app);
  add_quantize(app);
  add_report(app);
  add_weights(app);
  for (CLI::App* command : app.get_subcommands(nullptr)) {
    require_whole_numbers(*command);
    if (computes(*command)) command->parse_complete_callback(require_kernels);
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& problem) {
    if (problem.get_exit_code() == 0) return app.exit(problem, std::cout, std::cerr);  // --help
    return complain(wrong_input, std::string(problem.what()) + " (see --help)");
  }
  if (app.get_subcommands().empty()) {
    std::string names;
    for (const CLI::App* command : app.get_subcommands(nullptr)) {
      names += (names.empty() ? "" : ", ") + command->get_name();
    }
    return complain(wrong_input, "no subcommand; expected one of " + names + " (see --help)");
  }
  return 0;
}

}  // namespace

int run(int argc, const char* const* argv) noexcept {
  try {
    const int code = parse_and_run(argc, argv);
    std::cout.flush();
    if (!std::cout) return complain(failed, "standard output cannot be written");
    return code;
  } catch (const input_error& problem) {
    return complain(wrong_input, problem.what());
  } catch (const std::bad_alloc&) {
    return complain(failed, "out of memory");
  } catch (const std::exception& problem) {
    return complain(failed, problem.what());
  } catch (...) {
    return complain(failed, "an unknown failure");
  }
}

}  // namespace lab::cli
