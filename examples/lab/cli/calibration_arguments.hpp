// The options that say what calibration may look at, and on how many threads.
#pragma once

#include <lab/cli/defaults.hpp>

#include <CLI/CLI.hpp>

namespace lab::cli {

struct calibration_arguments {
  std::string calibration = default_calibration, table;
  std::size_t calibration_tokens = 16384, threads = 0;

  [[nodiscard]] std::size_t thread_count() const { return threads_or_all(threads); }

  /// `use`: what the text is for, "ranges".
  void add_calibration_to(CLI::App& command, const std::string& use) {
    command
        .add_option("--calibration", calibration,
                    "Text for " + use + " (default: WikiText-2 raw validation, a slice)")
        ->type_name("FILE");
    command
        .add_option("--calibration-tokens", calibration_tokens,
                    "Use the first N tokens of the calibration text")
        ->capture_default_str()
        ->check(CLI::PositiveNumber);
  }
  void add_table_to(CLI::App& command) {
    command
        .add_option("--calibration-table", table,
                    "Take ranges from this table of zp-lab calibrate instead of a text")
        ->type_name("FILE");
  }
  void add_threads_to(CLI::App& command) {
    command.add_option("--threads", threads, "Threads (default: all processors)")
        ->check(CLI::Range(1, 1024));
  }
};

}  // namespace lab::cli
