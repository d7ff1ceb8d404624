// The options of subcommands that continue a prompt: a model, its schemes, and the prompt.
#pragma once

#include <lab/cli/defaults.hpp>
#include <lab/experiments/workload.hpp>
#include <lab/models/load.hpp>

#include <CLI/CLI.hpp>

#include <iostream>
#include <iterator>
#include <memory>

namespace lab::cli {

struct generation_arguments {
  std::string model, prompt, table;
  std::string calibration = default_calibration;
  std::size_t new_tokens = 64, calibration_tokens = 16384, threads = 0;

  /// The model, and the maker of its schemes. The calibration text or table is read only when one
  /// of the schemes needs it.
  struct loaded {
    workload work;
    std::vector<scheme_layers> schemes;
  };
  [[nodiscard]] std::unique_ptr<loaded> load(std::span<const scheme_name> names) const {
    auto made = std::make_unique<loaded>();  // schemes point into the model: it must not move
    const bool calibrated = std::any_of(names.begin(), names.end(),
                                        [](const scheme_name& n) { return n.needs_calibration(); });
    workload& w = made->work;
    if (calibrated) {
      workload_options wanted;
      wanted.text = wanted.calibration = calibration;
      wanted.table = table;
      wanted.calibration_tokens = calibration_tokens;
      wanted.threads = threads_or_all(threads);
      w = workload_loader(wanted, true).load(model);
    } else {
      w.model = load_model(model);
      w.description.threads = threads_or_all(threads);
    }
    scheme_maker maker = w.maker(names);
    for (const scheme_name& n : names) made->schemes.push_back(maker.make(n));
    return made;
  }

  /// --prompt, or standard input for "-" without the newline at its end; then its ids, BOS included.
  [[nodiscard]] std::vector<std::uint32_t> prompt_ids(const tokenizer& tokens) const {
    std::string text = prompt;
    if (prompt == "-") {
      text.assign(std::istreambuf_iterator<char>(std::cin), {});
      if (!text.empty() && text.back() == '\n') text.pop_back();
    }
    auto ids = tokens.encode(text);
    if (const auto bos = tokens.leading_bos()) ids.insert(ids.begin(), *bos);
    if (ids.empty()) {
      throw input_error("--prompt: is empty, and this model's texts begin with no BOS");
    }
    return ids;
  }

  void add_to(CLI::App& command) {
    command.add_option("--model", model, "Folder of a model")->required()->type_name("DIR");
    command
        .add_option("--max-new-tokens", new_tokens, "End after so many new tokens (default: 64)")
        ->check(CLI::Range(1, 1 << 24));
    command
        .add_option("--calibration", calibration,
                    "Text that static schemes take their ranges from (default: WikiText-2 raw "
                    "validation, a slice)")
        ->type_name("FILE");
    command
        .add_option("--calibration-table", table,
                    "Take ranges from this table of zp-lab calibrate instead of a text")
        ->type_name("FILE");
    command
        .add_option("--calibration-tokens", calibration_tokens,
                    "Use the first N tokens of the calibration text (default: 16384)")
        ->check(CLI::PositiveNumber);
    command.add_option("--threads", threads, "Threads (default: all processors)")
        ->check(CLI::Range(1, 1024));
  }
};

}  // namespace lab::cli
