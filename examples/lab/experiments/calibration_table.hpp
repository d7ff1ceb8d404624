// A calibration run as a file to read, edit, merge and use again (zp-lab calibrate): one line of
// ranges per layer and, below it, the observers' state, from which all ranges follow.
//
//   {"model": "gpt2", "variant": "natural", "weights_fnv1a64": "...", "texts": [...],
//    "inputs": {"natural": {"tokens": 16384, "layers": [
//     {"name": "h.0.attn.c_attn",
//      "min-max": [-6.1, 5.8], "p99.9": [-2.9, 2.9], "mse": [-4.4, 4.4], "kl": [-3.7, 3.7],
//      "seen": {"channel_absmax": [...], "count": n, "non_finite": 0, "zeros": 0,
//               "bin_exponent": -9, "first_bin": 3071, "bins": [...]}}, ...]}}}
//
// Ranges are used as they stand: whoever edits one overrules the observers. "inputs" has an entry per
// form of the inputs: "natural", "smooth", "rotate".
#pragma once

#include <lab/experiments/calibration.hpp>

#include <filesystem>
#include <map>

namespace lab {

struct calibration_table {
  std::string model, variant;                     ///< as study::model and study::variant
  std::string weights;                            ///< weights_hash() of the model, or of the twin
  std::vector<std::string> texts;                 ///< "wiki.valid.raw, 16384 tokens, ids 1f2e..."
  std::vector<std::string> layers;                ///< names, in the order of transformer::linears()
  std::map<activation_cure, calibration> inputs;  ///< without Gram matrices

  /// The first layer with a range that its observers do not give; empty when there is none.
  [[nodiscard]] std::string edited_layer() const;
};

/// The JSON above. Floats have nine digits, which is all of them.
[[nodiscard]] std::string json_of(const calibration_table& table);
/// The ranges as text, a line per layer, at most 100 columns.
[[nodiscard]] std::string text_of(const calibration_table& table);

/// Everything is checked, and a failure, an input_error, names the member.
[[nodiscard]] calibration_table parse_calibration_table(std::string_view text,
                                                        const std::string& file);
/// The same from a file of at most 1 GiB.
[[nodiscard]] calibration_table load_calibration_table(const std::filesystem::path& path);

/// Adds what `other` saw; ranges are chosen anew. input_error when the two are of different models,
/// twins, layers or forms of the inputs, when one was edited, and when both saw the same
/// tokens; slices of one text that overlap are not noticed.
void merge(calibration_table& table, const calibration_table& other);

/// input_error unless the table is of this variant of this model.
void require_fit(const calibration_table& table, const transformer& model,
                 const std::string& variant);

}  // namespace lab
