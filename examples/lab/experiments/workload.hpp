// What an experiment works on: a model, the ids it is scored on, and those it is calibrated on.
#pragma once

#include <lab/experiments/calibration_table.hpp>
#include <lab/experiments/schemes.hpp>
#include <lab/io/tokenizer.hpp>
#include <lab/models/plant.hpp>
#include <lab/report/study.hpp>

#include <filesystem>

namespace lab {

struct workload_options {
  std::filesystem::path text, calibration;
  std::filesystem::path table;  ///< a calibration table instead of the text, when not empty
  window_rule rule = window_rule::chunk;
  std::size_t window = 0;      ///< 0: the model's positions
  std::size_t stride = 0;      ///< 0: half the window
  std::size_t max_tokens = 0;  ///< of the text, BOS included; 0: all
  std::size_t calibration_tokens = 16384;
  bool join_lines = true;  ///< both texts
  std::optional<plant> planted;
  bool quantized_too = false;  ///< take quantized checkpoints instead of refusing them
  /// Take models without a tokenizer: there is nothing to score, and calibration sees random ids.
  bool untokenized_too = false;
  std::size_t threads = 1;
};

/// "gpt2" of "models/gpt2/".
[[nodiscard]] std::string folder_name(const std::filesystem::path& path);

struct workload {
  transformer model;
  /// Of a quantized checkpoint the floats that its codes stand for, and its scheme; else empty.
  std::vector<scheme_layers> stored;
  std::vector<zeropoint::value_range> stored_ranges;  ///< of its static inputs, layer by layer
  study description;                                  ///< what is known without measuring: no rows
  std::vector<std::uint32_t> ids, seen;
  std::vector<window> windows, seen_windows;       ///< to score, to calibrate on
  std::shared_ptr<const calibration_table> table;  ///< instead of `seen`, or null

  [[nodiscard]] bool calibrated() const noexcept { return table || !seen_windows.empty(); }
  /// Makes schemes, calibrating with progress on the terminal when one needs it. Throws input_error
  /// when the table is of another model or twin.
  [[nodiscard]] scheme_maker maker(std::span<const scheme_name> names) const;
  /// Turns the model into its planted twin.
  void become(const plant& what);
};

/// Reads the texts once, for any number of models.
class workload_loader {
 public:
  /// `options` has to stay. Without `calibrated` the calibration text or table is not touched.
  workload_loader(const workload_options& options, bool calibrated);
  /// The natural model, or what a quantized checkpoint stands for. Bad input is an input_error, also
  /// a plant that the model cannot take.
  [[nodiscard]] workload load(const std::filesystem::path& folder) const;

 private:
  struct document {
    std::string name, bytes, joined;
  };
  static document read_document(const std::filesystem::path& path, bool join);
  static std::vector<std::uint32_t> encode(const tokenizer& tokens, const transformer& model,
                                           const document& d, std::size_t limit);
  study describe(const transformer& model, const std::filesystem::path& folder) const;

  const workload_options& options_;
  document text_, calibration_;
  std::shared_ptr<const calibration_table> table_;
  bool calibrated_;
};

}  // namespace lab
