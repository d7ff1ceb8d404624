// The attribution of a scheme's damage, and what was measured beside it, as text and as JSON.
#pragma once

#include <lab/experiments/attribution.hpp>
#include <lab/report/study.hpp>

namespace lab {

struct attribution_study {
  lab::study study;  ///< model, and the protocol of what was measured; no rows
  std::string scheme;
  std::string text;  ///< file name of the text that the prediction is made from
  std::size_t windows = 0, scored = 0;
  attribution_options options;
  std::vector<layer_attribution> layers;
  std::vector<measurement> sensitivity;  ///< of measure_sensitivity(), or empty
};

/// Indices of the layers with the largest `damage` that together make up `share` of its sum, the
/// largest first. Negative damage counts as none.
[[nodiscard]] std::vector<std::size_t> largest_layers(std::span<const double> damage, double share);

/// Layer by source, the most damaging layer first, for KL and for loss; then, for the layers that make
/// up 80 % of the measured KL, prediction beside measurement.
[[nodiscard]] std::string text_of(const attribution_study& a);
/// {"protocol": ..., "scheme": ..., "prediction": {...}, "layers": [...], "check": [...]}.
[[nodiscard]] std::string json_of(const attribution_study& a);

}  // namespace lab
