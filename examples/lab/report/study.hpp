// One table: a model, natural or planted, under several schemes, with everything that has to be
// printed beside the numbers; and its three forms, text, JSON and CSV.
#pragma once

#include <lab/experiments/perplexity.hpp>

#include <span>
#include <string>
#include <vector>

namespace lab {

struct study {
  std::string model;    ///< folder name
  std::string variant;  ///< "natural" or "planted 4:8"
  std::string family;
  std::size_t parameters = 0, linear_parameters = 0, linears = 0;
  std::vector<std::size_t> planted;  ///< planted channels, empty when natural
  /// The layer whose input has the largest calibration::channel_ratio, and that ratio; empty without
  /// calibration.
  std::string outlier_layer;
  double outlier_ratio = 0;
  std::string float_kernels, integer_kernel;
  std::size_t threads = 1;
  lab::protocol protocol;
  /// rows[0] is fp32; of a quantized checkpoint one row, whose delta, KL and top-1 are NaN.
  std::vector<measurement> rows;

  /// Null when the scheme was not measured.
  [[nodiscard]] const measurement* row(std::string_view scheme) const;
};

/// What ranges come from: a text and how much of it, or a table and its texts.
[[nodiscard]] std::string calibration_of(const protocol& p);
// Lines of at most 100 columns: the model and what was planted in it; what it was scored on, and
// calibrated on; what computed it.
[[nodiscard]] std::string model_lines_of(const study& s);
[[nodiscard]] std::string protocol_lines_of(const study& s);
[[nodiscard]] std::string machine_line_of(const study& s);
/// All of these: what was measured and how.
[[nodiscard]] std::string heading_of(const study& s);
/// The heading, then the table; lines of at most 100 columns.
[[nodiscard]] std::string text_of(const study& s);

/// {"protocol": {...}, "rows": [...]}: the protocol with what all studies share and, under "models",
/// what differs. A number that is not finite is null.
[[nodiscard]] std::string json_of(std::span<const study> studies);

/// A header line, then one line per row: the columns of the JSON rows; not finite is empty.
[[nodiscard]] std::string csv_of(std::span<const study> studies);

/// Which findings of the original experiment these rows reproduce: a line per finding, yes or no by
/// the numbers, which follow. Findings whose rows were not measured are left out.
[[nodiscard]] std::string findings_of(const study& s);

}  // namespace lab
