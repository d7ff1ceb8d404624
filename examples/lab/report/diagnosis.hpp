// The diagnosis of a scheme as text and as JSON.
#pragma once

#include <lab/experiments/diagnosis.hpp>
#include <lab/report/json.hpp>

namespace lab {

struct diagnosis {
  lab::study study;  ///< model, protocol; no rows
  std::string scheme;
  std::vector<layer_diagnosis> layers;
  std::vector<measurement> sensitivity;  ///< of measure_sensitivity(), or empty
};

/// What was measured and how, a table of the layers, and one of the sensitivities.
[[nodiscard]] std::string text_of(const diagnosis& d);
/// That one: each layer quantized alone, and each left float. Empty without.
[[nodiscard]] std::string sensitivity_text_of(const diagnosis& d);
/// An object per layer, and per row of the sensitivities.
[[nodiscard]] ordered_json layers_of(const diagnosis& d);
[[nodiscard]] ordered_json sensitivity_of(const diagnosis& d);
/// {"protocol": ..., "scheme": ..., "layers": [...], "sensitivity": [...]}; not finite is null.
[[nodiscard]] std::string json_of(const diagnosis& d);

}  // namespace lab
