// Calibration tables: as text, merged, compared with a model. (calibration_table_json.cpp: as a file.)
#include <lab/experiments/calibration_table.hpp>
#include <lab/experiments/calibration_table_names.hpp>
#include <lab/io/error.hpp>
#include <lab/models/weights_hash.hpp>
#include <lab/report/format.hpp>

#include <algorithm>
#include <utility>

namespace lab {

std::string calibration_table::edited_layer() const {
  for (const auto& [cure, c] : inputs) {
    for (std::size_t l = 0; l < c.ranges.size(); ++l) {
      if (!(c.ranges[l] == ranges_of(c.values[l]))) return layers[l];
    }
  }
  return {};
}

std::string text_of(const calibration_table& table) {
  std::string text =
      "calibration of " + printable(table.model) + ", " + printable(table.variant) + "\n";
  for (const std::string& t : table.texts) text += "  " + printable(t) + "\n";
  for (const auto& [cure, c] : table.inputs) {
    text += "\n" + format("%-26s", (std::string(table_names::of(cure)) + " inputs").c_str());
    for (const table_names::range& r : table_names::ranges) text += format("%16s", r.name);
    text += format("%9s\n", "max/med");
    for (std::size_t l = 0; l < table.layers.size(); ++l) {
      text += format("%-26s", printable(table.layers[l], 40).c_str());
      for (const table_names::range& r : table_names::ranges) {
        const zeropoint::value_range& range = c.ranges[l].*r.value;
        text +=
            format(" %7.2f%8.2f", static_cast<double>(range.min), static_cast<double>(range.max));
      }
      text += format("%9.1f\n", c.channel_ratio(l));
    }
  }
  return text;
}

void merge(calibration_table& table, const calibration_table& other) {
  const auto refuse = [&](const std::string& why) {
    throw input_error("merge of " + in_quotes(table.model) + " with " + in_quotes(other.model) +
                      ": " + why);
  };
  if (table.weights != other.weights || table.variant != other.variant) {
    refuse("different weights: " + printable(table.variant) + " " + printable(table.weights) +
           " and " + printable(other.variant) + " " + printable(other.weights));
  }
  if (table.layers != other.layers) refuse("different layers");
  for (const calibration_table* t : {&std::as_const(table), &other}) {
    const std::string layer = t->edited_layer();
    if (layer.empty()) continue;
    refuse("ranges of " + in_quotes(layer) + " were edited; merge first, then edit");
  }
  for (const std::string& text : other.texts) {
    if (std::find(table.texts.begin(), table.texts.end(), text) == table.texts.end()) continue;
    refuse("both have seen " + in_quotes(text));
  }
  if (table.inputs.size() != other.inputs.size()) refuse("different forms of the inputs");
  for (auto& [cure, c] : table.inputs) {
    const auto more = other.inputs.find(cure);
    if (more == other.inputs.end()) refuse("different forms of the inputs");
    if (cure == activation_cure::smooth) {
      refuse("smoothed inputs: each run divided them by factors of its own");
    }
    c.merge(more->second);
  }
  table.texts.insert(table.texts.end(), other.texts.begin(), other.texts.end());
}

void require_fit(const calibration_table& table, const transformer& model,
                 const std::string& variant) {
  const auto linears = model.linears();
  if (table.variant != variant) {
    throw input_error("the calibration table is of the " + printable(table.variant) +
                      " model, not of the " + variant + " one");
  }
  const std::string weights = weights_hash(model);
  if (table.weights != weights) {
    throw input_error("the calibration table is of a model with weights " +
                      printable(table.weights) + ", this one has " + weights);
  }
  if (table.layers.size() != linears.size()) {
    throw input_error("the calibration table has " + std::to_string(table.layers.size()) +
                      " layers, the model " + std::to_string(linears.size()));
  }
  for (std::size_t l = 0; l < linears.size(); ++l) {
    if (table.layers[l] != linears[l]->name) {
      throw input_error("the calibration table has layer " + in_quotes(table.layers[l]) +
                        " where the model has " + linears[l]->name);
    }
    for (const auto& [cure, c] : table.inputs) {
      const std::size_t in = c.channel_absmax[l].size();
      if (in == linears[l]->in) continue;
      throw input_error("the calibration table has " + std::to_string(in) + " inputs of " +
                        linears[l]->name + ", the model " + std::to_string(linears[l]->in));
    }
  }
}

}  // namespace lab
