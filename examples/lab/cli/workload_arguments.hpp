// The options of subcommands that look at one model, or its planted twin, on one text.
#pragma once

#include <lab/cli/calibration_arguments.hpp>
#include <lab/experiments/workload.hpp>

namespace lab::cli {

struct workload_arguments : calibration_arguments {
  std::string model, planted, text = default_text;
  std::size_t max_tokens = 4096;

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
    command.add_option("--max-tokens", max_tokens, "Use the first N tokens of the text")
        ->capture_default_str()
        ->check(CLI::PositiveNumber);
    add_calibration_to(command, calibration_use);
    command.add_option("--plant", planted, "Take the planted twin instead")
        ->type_name("CHANNELS:POWER");
    add_threads_to(command);
  }
};

}  // namespace lab::cli
