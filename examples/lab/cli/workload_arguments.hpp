// The options of subcommands that look at one model, or its planted twin, on one text.
#pragma once

#include <lab/cli/defaults.hpp>
#include <lab/experiments/workload.hpp>

#include <CLI/CLI.hpp>

namespace lab::cli {

struct workload_arguments {
  std::string model, table, planted;
  std::string text = default_text, calibration = default_calibration;
  std::size_t max_tokens = 4096, calibration_tokens = 16384, threads = 0;

  [[nodiscard]] std::size_t thread_count() const { return threads_or_all(threads); }

  /// The model on its texts; the calibration text or table only when `calibrated`.
  [[nodiscard]] workload load(bool calibrated) const {
    workload_options wanted;
    wanted.text = text;
    wanted.calibration = calibration;
    wanted.table = table;
    wanted.max_tokens = max_tokens;
    wanted.calibration_tokens = calibration_tokens;
    wanted.threads = thread_count();
    if (!planted.empty()) wanted.planted = plant::parse(planted);
    workload w = workload_loader(wanted, calibrated).load(model);
    if (wanted.planted) w.become(*wanted.planted);
    return w;
  }

  /// `use`: what the text is for, "measure on"; `calibration_use`: "ranges".
  void add_to(CLI::App& command, const std::string& use, const std::string& calibration_use) {
    command.add_option("--model", model, "Folder of a model")->required()->type_name("DIR");
    command.add_option("--text", text, "Text to " + use + " (default: WikiText-2 raw test)")
        ->type_name("FILE");
    command
        .add_option(
            "--calibration", calibration,
            "Text for " + calibration_use + " (default: WikiText-2 raw validation, a slice)")
        ->type_name("FILE");
    command.add_option("--max-tokens", max_tokens, "Use the first N tokens of the text")
        ->capture_default_str()
        ->check(CLI::PositiveNumber);
    command
        .add_option("--calibration-tokens", calibration_tokens,
                    "Use the first N tokens of the calibration text")
        ->capture_default_str()
        ->check(CLI::PositiveNumber);
    command.add_option("--plant", planted, "Take the planted twin instead")
        ->type_name("CHANNELS:POWER");
    command.add_option("--threads", threads, "Threads (default: all processors)")
        ->check(CLI::Range(1, 1024));
  }
  void add_table_to(CLI::App& command) {
    command
        .add_option("--calibration-table", table,
                    "Take ranges from this table of zp-lab calibrate instead of a text")
        ->type_name("FILE");
  }
};

}  // namespace lab::cli
