// The same numbers for scripts: JSON and CSV.
#include <lab/report/format.hpp>
#include <lab/report/json.hpp>

#include <cmath>
#include <functional>
#include <vector>

namespace lab {

namespace {

/// Columns in the order in which they are written.
struct column {
  const char* name;
  std::function<ordered_json(const measurement&)> value;
};

const std::vector<column>& columns() {
  static const std::vector<column> all = {
      {"model", [](const measurement& m) { return ordered_json(m.model); }},
      {"variant", [](const measurement& m) { return ordered_json(m.variant); }},
      {"scheme", [](const measurement& m) { return ordered_json(m.scheme); }},
      {"loss", [](const measurement& m) { return number(m.loss); }},
      {"delta", [](const measurement& m) { return number(m.delta); }},
      {"delta_se", [](const measurement& m) { return number(m.delta_se); }},
      {"ppl", [](const measurement& m) { return number(m.ppl); }},
      {"kl", [](const measurement& m) { return number(m.kl); }},
      {"top1", [](const measurement& m) { return number(m.top1); }},
      {"clipped", [](const measurement& m) { return number(m.clipped); }},
      {"weight_bytes", [](const measurement& m) { return ordered_json(m.weight_bytes); }},
      {"weight_bytes_memory",
       [](const measurement& m) { return ordered_json(m.weight_bytes_memory); }},
      {"tokens", [](const measurement& m) { return ordered_json(m.tokens); }},
      {"demoted", [](const measurement& m) { return ordered_json(m.demoted); }},
      {"seconds", [](const measurement& m) { return number(m.seconds); }}};
  return all;
}

std::string csv_cell(const ordered_json& value) {
  if (value.is_null()) return {};
  if (!value.is_string()) return dump(value, -1);
  std::string text = value.get<std::string>(), quoted = "\"";
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

}  // namespace

ordered_json number(double x) {
  return std::isfinite(x) ? ordered_json(x) : ordered_json(nullptr);
}

ordered_json json_of(const estimate& e) {
  return {{"mean", number(e.mean)}, {"se", number(e.se)}};
}

ordered_json protocol_of(const study& s) {
  const lab::protocol& p = s.protocol;
  return {{"name", name(p.rule)},
          {"window", p.window},
          {"stride", p.stride},
          {"bos", p.bos ? ordered_json(*p.bos) : ordered_json(nullptr)},
          {"tokens", p.scored},
          {"windows", p.windows},
          {"text", p.text},
          {"lines_joined", p.joined},
          {"text_fnv1a64", p.text_hash},
          {"ids_fnv1a64", p.ids_hash},
          {"calibration",
           p.calibration_tokens > 0 ? ordered_json(p.calibration) : ordered_json(nullptr)},
          {"calibration_tokens", p.calibration_tokens}};
}

/// Replaces what is not UTF-8 (a folder may be called anything).
std::string dump(const ordered_json& j, int indent) {
  return j.dump(indent, ' ', false, ordered_json::error_handler_t::replace);
}

ordered_json model_of(const study& s) {
  return {
      {"model", s.model},
      {"variant", s.variant},
      {"family", s.family},
      {"parameters", s.parameters},
      {"linear_parameters", s.linear_parameters},
      {"planted_channels", s.planted},
      {"outlier_layer",
       s.outlier_layer.empty() ? ordered_json(nullptr) : ordered_json(s.outlier_layer)},
      {"outlier_ratio", s.outlier_layer.empty() ? ordered_json(nullptr) : number(s.outlier_ratio)},
      {"float_kernels", s.float_kernels},
      {"integer_kernel", s.integer_kernel},
      {"threads", s.threads}};
}

ordered_json rows_of(const study& s) {
  ordered_json rows = ordered_json::array();
  for (const measurement& m : s.rows) {
    ordered_json row = ordered_json::object();
    for (const column& c : columns()) row[c.name] = c.value(m);
    rows.push_back(std::move(row));
  }
  return rows;
}

std::string json_of(std::span<const study> studies) {
  ordered_json all = {{"protocol", ordered_json::object()}, {"rows", ordered_json::array()}};
  if (!studies.empty()) all["protocol"] = protocol_of(studies[0]);
  ordered_json& models = all["protocol"]["models"] = ordered_json::array();
  for (const study& s : studies) {
    ordered_json entry = model_of(s);
    entry.update(protocol_of(s));
    models.push_back(std::move(entry));
    for (ordered_json& row : rows_of(s)) all["rows"].push_back(std::move(row));
  }
  return dump(all, 1) + "\n";
}

std::string csv_of(std::span<const study> studies) {
  std::string text;
  for (const column& c : columns()) text += (text.empty() ? "" : ",") + std::string(c.name);
  text += "\n";
  for (const study& s : studies) {
    for (const measurement& m : s.rows) {
      bool first = true;
      for (const column& c : columns()) {
        if (!first) text += ",";
        first = false;
        text += csv_cell(c.value(m));
      }
      text += "\n";
    }
  }
  return text;
}

}  // namespace lab
