// The options of subcommands that continue a prompt: a model, its schemes, and the prompt.
#pragma once

#include <lab/cli/calibration_arguments.hpp>
#include <lab/experiments/quantized_checkpoint.hpp>
#include <lab/experiments/workload.hpp>
#include <lab/models/load.hpp>

#include <iostream>
#include <iterator>
#include <memory>

namespace lab::cli {

struct generation_arguments : calibration_arguments {
  std::string model, prompt;
  std::size_t new_tokens = 64;

  /// The model under its schemes. The calibration text or table is read only when one of the schemes
  /// needs it; a model without a tokenizer is calibrated on random ids, where allowed.
  struct loaded {
    workload work;
    std::vector<scheme_layers> schemes;
  };
  [[nodiscard]] std::unique_ptr<loaded> load(std::span<const scheme_name> names,
                                             bool untokenized_too = false) const {
    auto made = std::make_unique<loaded>();  // schemes point into the model: it must not move
    if (names.size() == 1 && is_streamable(names[0])) {
      made->schemes.push_back(load_scheme(model, names[0], made->work.model));
      made->work.description.threads = thread_count();
      return made;
    }
    const bool calibrated = std::any_of(names.begin(), names.end(),
                                        [](const scheme_name& n) { return n.needs_calibration(); });
    workload& w = made->work;
    if (calibrated) {
      workload_options wanted;
      wanted.text = wanted.calibration = calibration;
      wanted.table = table;
      wanted.calibration_tokens = calibration_tokens;
      wanted.threads = thread_count();
      wanted.untokenized_too = untokenized_too;
      w = workload_loader(wanted, true).load(model);
    } else {
      w.model = load_model(model);
      w.description.threads = thread_count();
    }
    scheme_maker maker = w.maker(names);
    for (const scheme_name& n : names) made->schemes.push_back(maker.make(n));
    return made;
  }

  /// A checkpoint of zp-lab quantize under the scheme that it was written with.
  [[nodiscard]] std::unique_ptr<loaded> load_stored() const {
    quantized_checkpoint stored = load_quantized(model, float_weights::dropped);
    auto made = std::make_unique<loaded>();
    made->work.model = std::move(stored.model);
    made->work.description.threads = thread_count();
    made->schemes.push_back(std::move(stored.layers));
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

  /// Returns --prompt, which a subcommand may require or exclude.
  CLI::Option* add_to(CLI::App& command) {
    command.add_option("--model", model, "Folder of a model, or a .gguf file")
        ->required()
        ->type_name("DIR_OR_GGUF");
    command.add_option("--max-new-tokens", new_tokens, "End after so many new tokens")
        ->capture_default_str()
        ->check(CLI::Range(1, 1 << 24));
    add_calibration_to(command, "the ranges of static schemes");
    add_table_to(command);
    add_threads_to(command);
    return command
        .add_option("--prompt", prompt,
                    "The text to continue; - reads standard input, less a newline at its end")
        ->type_name("TEXT");
  }
};

}  // namespace lab::cli
