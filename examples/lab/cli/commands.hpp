// The command line of zp-lab: one function per subcommand, each in its own file <name>_command.cpp,
// and run(), which is all that main() calls.
#pragma once

#include <CLI/CLI.hpp>

namespace lab::cli {

// Each adds its subcommand with options and a callback. A callback reports bad input by throwing
// lab::input_error and writes its result to std::cout.
void add_attribute(CLI::App& app);
void add_bench(CLI::App& app);
void add_budget(CLI::App& app);
void add_calibrate(CLI::App& app);
void add_compare(CLI::App& app);
void add_convert(CLI::App& app);
void add_diagnose(CLI::App& app);
void add_frameworks(CLI::App& app);
void add_gallery(CLI::App& app);
void add_generate(CLI::App& app);
void add_inspect(CLI::App& app);
void add_logits(CLI::App& app);
void add_merge(CLI::App& app);
void add_perplexity(CLI::App& app);
void add_random(CLI::App& app);
void add_quantize(CLI::App& app);
void add_report(CLI::App& app);
void add_tokenize(CLI::App& app);
void add_weights(CLI::App& app);

/// Parses and runs. The exit code: 0, done; 2, the input or an option is wrong; 1, anything else
/// that failed. A failure is one line on standard error.
[[nodiscard]] int run(int argc, const char* const* argv) noexcept;

}  // namespace lab::cli
