// The perplexity experiment from files to studies: what `zp-lab perplexity` runs.
#pragma once

#include <lab/experiments/scheme_name.hpp>
#include <lab/models/plant.hpp>
#include <lab/report/study.hpp>

#include <filesystem>
#include <functional>

namespace lab {

struct perplexity_options {
  std::vector<std::filesystem::path> models;
  std::filesystem::path text, calibration;
  std::vector<scheme_name> schemes;  ///< from parse_schemes()
  window_rule rule = window_rule::chunk;
  std::size_t window = 0;      ///< 0: the model's positions
  std::size_t stride = 0;      ///< 0: half the window
  std::size_t max_tokens = 0;  ///< of the text, BOS included; 0: all
  std::size_t calibration_tokens = 16384;
  bool join_lines = true;  ///< both texts
  std::optional<plant> planted;
  bool check_parity = false;
  std::size_t threads = 1;
};

/// One study per model and, with `planted`, one more for its planted twin. `done` hears each study as
/// soon as it is measured; `note` hears lines for the reader (parity). Bad input is an input_error;
/// a layer that differs from its twin a std::runtime_error that names it.
[[nodiscard]] std::vector<study> run_perplexity(
    const perplexity_options& o, const std::function<void(const study&)>& done,
    const std::function<void(const std::string&)>& note);

}  // namespace lab
