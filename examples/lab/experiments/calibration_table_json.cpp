// Calibration tables as JSON: writing, and reading what may be hostile.
#include <lab/experiments/calibration_table.hpp>
#include <lab/experiments/calibration_table_names.hpp>
#include <lab/io/file.hpp>
#include <lab/io/json.hpp>
#include <lab/report/format.hpp>

#include <algorithm>
#include <cmath>

namespace lab {

namespace {

constexpr std::uint64_t largest_file = std::uint64_t{1} << 30;
constexpr std::uint64_t any = ~std::uint64_t{0};

// Writing. By hand, because a range is to be read and edited on one line.

/// Nine significant digits, which bring back any float.
std::string text_of_float(float x) {
  return format("%.9g", static_cast<double>(x));
}

template <class Values, class Text>
std::string array_of(const Values& values, Text&& text) {
  std::string all;
  for (const auto& v : values) all += (all.empty() ? "" : ",") + text(v);
  return "[" + all + "]";
}

std::string quoted(const std::string& text) {
  return json(text).dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string json_of_layer(const std::string& name, const calibration& c, std::size_t l) {
  const zeropoint::distribution& seen = c.values[l];
  const auto bins = seen.values().counts();
  const auto used = [](std::uint64_t n) { return n != 0; };
  const auto first = std::find_if(bins.begin(), bins.end(), used);
  const auto last = std::find_if(bins.rbegin(), bins.rend(), used).base();
  const std::span<const std::uint64_t> counts(first, first < last ? last : first);
  std::string text = "   {\"name\": " + quoted(name) + ",\n    ";
  for (const table_names::range& r : table_names::ranges) {
    const zeropoint::value_range& range = c.ranges[l].*r.value;
    text +=
        quoted(r.name) + ": [" + text_of_float(range.min) + ", " + text_of_float(range.max) + "], ";
  }
  text += "\n    \"seen\": {\"count\": " + std::to_string(seen.count()) +
          ", \"non_finite\": " + std::to_string(seen.non_finite()) +
          ", \"zeros\": " + std::to_string(seen.values().zeros()) +
          ", \"bin_exponent\": " + std::to_string(seen.values().exponent()) + ",\n     " +
          "\"min-max\": [" + text_of_float(seen.range().min) + ", " +
          text_of_float(seen.range().max) +
          "],\n     \"channel_absmax\": " + array_of(c.channel_absmax[l], text_of_float) +
          ",\n     \"first_bin\": " + std::to_string(first - bins.begin()) +
          ", \"bins\": " + array_of(counts, [](std::uint64_t n) { return std::to_string(n); });
  return text + "}}";
}

// Reading.

double number_of(const json& value, const json_object& from, std::string_view key) {
  if (!value.is_number()) from.wrong(key, "expected numbers");
  return value.get<double>();
}

const json& short_array(const json_object& from, std::string_view key, std::size_t most) {
  const json& value = from.array(key);
  if (value.size() > most) {
    from.wrong(key, "has ", value.size(), " elements, expected at most ", most);
  }
  return value;
}

zeropoint::value_range range_at(const json_object& from, std::string_view key) {
  const json& pair = short_array(from, key, 2);
  if (pair.size() != 2) from.wrong(key, "expected [smallest, largest]");
  const double low = number_of(pair[0], from, key), high = number_of(pair[1], from, key);
  const double most = static_cast<double>(std::numeric_limits<float>::max());
  if (!(low >= -most && low <= high && high <= most)) {
    from.wrong(key, "expected two floats, the smaller one first");
  }
  return {static_cast<float>(low), static_cast<float>(high)};
}

zeropoint::distribution distribution_of(const json_object& seen) {
  const std::uint64_t count = seen.integer("count", 1, any);
  std::vector<std::uint64_t> counts(2 * zeropoint::histogram::bins, 0);
  const auto first = static_cast<std::size_t>(seen.integer("first_bin", 0, counts.size() - 1));
  const json& bins = short_array(seen, "bins", counts.size() - first);
  for (std::size_t i = 0; i < bins.size(); ++i) {
    if (!bins[i].is_number_unsigned()) seen.wrong("bins", "expected counts");
    counts[first + i] = bins[i].get<std::uint64_t>();
  }
  const json& exponent = seen.at("bin_exponent");
  if (!exponent.is_number_integer() || exponent.is_number_float()) {
    seen.wrong("bin_exponent", "expected an integer");
  }
  const double power = exponent.get<double>();
  if (!(std::fabs(power) < 1000)) seen.wrong("bin_exponent", "is out of bounds");
  const zeropoint::min_max extremes(range_at(seen, "min-max"), count,
                                    seen.integer("non_finite", 0, any));
  return {extremes, zeropoint::histogram(static_cast<int>(power), std::move(counts),
                                         seen.integer("zeros", 0, count))};
}

/// Appends one layer to `c` and returns its name.
std::string read_layer(const json_object& layer, calibration& c) {
  input_ranges ranges;
  for (const table_names::range& r : table_names::ranges) ranges.*r.value = range_at(layer, r.name);
  const json_object seen = layer.object("seen");
  std::vector<float> maxima;
  for (const json& m : short_array(seen, "channel_absmax", std::size_t{1} << 20)) {
    const double value = number_of(m, seen, "channel_absmax");
    if (!(value >= 0 && value <= static_cast<double>(std::numeric_limits<float>::max()))) {
      seen.wrong("channel_absmax", "expected floats from 0 on");
    }
    maxima.push_back(static_cast<float>(value));
  }
  if (maxima.empty()) seen.wrong("channel_absmax", "is empty");
  try {
    c.values.push_back(distribution_of(seen));
  } catch (const zeropoint::error& problem) {
    layer.wrong("seen", problem.what());
  }
  c.ranges.push_back(ranges);
  c.channel_absmax.push_back(std::move(maxima));
  return layer.text("name");
}

calibration read_inputs(const json_object& inputs, std::vector<std::string>& names) {
  calibration c;
  c.tokens = static_cast<std::size_t>(inputs.integer("tokens", 1, any));
  const json& layers = short_array(inputs, "layers", std::size_t{1} << 16);
  for (std::size_t l = 0; l < layers.size(); ++l) {
    const json_object layer(layers[l], inputs.file(),
                            inputs.label("layers[" + std::to_string(l) + "]"));
    names.push_back(read_layer(layer, c));
  }
  return c;
}

}  // namespace

std::string json_of(const calibration_table& table) {
  std::string text = "{\"model\": " + quoted(table.model) +
                     ", \"variant\": " + quoted(table.variant) +
                     ", \"weights_fnv1a64\": " + quoted(table.weights) +
                     ",\n \"texts\": " + array_of(table.texts, quoted) + ",\n \"inputs\": {\n";
  for (const auto& [cure, c] : table.inputs) {
    text += std::string(cure == table.inputs.begin()->first ? "" : ",\n") + "  " +
            quoted(table_names::of(cure)) + ": {\"tokens\": " + std::to_string(c.tokens) +
            ", \"layers\": [\n";
    for (std::size_t l = 0; l < table.layers.size(); ++l) {
      text += (l == 0 ? "" : ",\n") + json_of_layer(table.layers[l], c, l);
    }
    text += "]}";
  }
  return text + "}}\n";
}

calibration_table parse_calibration_table(std::string_view text, const std::string& file) {
  const json all = parse_json(text, file);
  const json_object root(all, file);
  calibration_table table;
  table.model = root.text("model");
  table.variant = root.text("variant");
  table.weights = root.text("weights_fnv1a64");
  for (const json& t : short_array(root, "texts", 1 << 16)) {
    if (!t.is_string()) root.wrong("texts", "expected names");
    table.texts.push_back(t.get<std::string>());
  }
  const json_object inputs = root.object("inputs");
  for (const table_names::form& f : table_names::forms) {
    if (inputs.find(f.name) == nullptr) continue;
    std::vector<std::string> names;
    table.inputs[f.cure] = read_inputs(inputs.object(f.name), names);
    if (table.inputs.size() > 1 && names != table.layers) {
      inputs.wrong(f.name, "has other layers than the entry before it");
    }
    table.layers = std::move(names);
  }
  if (table.inputs.empty() || table.layers.empty()) {
    root.wrong("inputs", "has no layer of natural, smooth, rotate or equalize");
  }
  return table;
}

calibration_table load_calibration_table(const std::filesystem::path& path) {
  return parse_calibration_table(read_file(path, largest_file), path.string());
}

}  // namespace lab
