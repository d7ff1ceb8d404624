// What every JSON report shares.
#pragma once

#include <lab/experiments/attribution.hpp>
#include <lab/report/study.hpp>

#include <nlohmann/json.hpp>

namespace lab {

using nlohmann::ordered_json;

/// null when it is not finite.
[[nodiscard]] ordered_json number(double x);
/// Mean and standard error.
[[nodiscard]] ordered_json json_of(const estimate& e);
/// Rule, window, texts and their hashes.
[[nodiscard]] ordered_json protocol_of(const study& s);
/// What the model is and what computed it.
[[nodiscard]] ordered_json model_of(const study& s);
/// An object per row.
[[nodiscard]] ordered_json rows_of(const study& s);
/// Replaces what is not UTF-8 (a folder may be called anything).
[[nodiscard]] std::string dump(const ordered_json& j, int indent);

}  // namespace lab
