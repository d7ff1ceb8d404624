// What every JSON report shares.
#pragma once

#include <lab/experiments/attribution.hpp>
#include <lab/report/study.hpp>

#include <nlohmann/json.hpp>

namespace lab {

using json = nlohmann::ordered_json;

/// null when it is not finite.
[[nodiscard]] json number(double x);
/// Mean and standard error.
[[nodiscard]] json json_of(const estimate& e);
/// Rule, window, texts and their hashes.
[[nodiscard]] json protocol_of(const study& s);
/// What the model is and what computed it.
[[nodiscard]] json model_of(const study& s);
/// An object per row.
[[nodiscard]] json rows_of(const study& s);
/// Replaces what is not UTF-8 (a folder may be called anything).
[[nodiscard]] std::string dump(const json& j, int indent);

}  // namespace lab
