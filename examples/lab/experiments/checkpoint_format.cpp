// Which names each format takes; what it cannot hold is refused before any work.
#include <lab/experiments/checkpoint_format.hpp>
#include <lab/experiments/compressed_tensors.hpp>
#include <lab/experiments/quantized_checkpoint.hpp>

#include <algorithm>
#include <array>

namespace lab {
namespace {

constexpr std::array<std::string_view, 3> format_names{"zeropoint", "compressed-tensors", "gguf"};

scheme_name ggml_scheme(std::string_view text) {
  scheme_name s;
  s.text = text;
  s.kind = arithmetic::weight_only;
  s.granularity = zeropoint::per_group{32};
  if (text == "q8_0") return s;
  s.weights = zeropoint::symmetric_full.with_bits(4);  // ggml's 0 .. 15 less 8
  if (text == "q4_0") return s;
  throw input_error("--scheme: " + in_quotes(text) + " is no type of --format gguf" +
                    "; expected q8_0, q4_0 or both, separated by a comma");
}

std::vector<scheme_name> ggml_schemes(std::string_view list) {
  std::vector<scheme_name> chosen;
  for (std::size_t begin = 0; begin <= list.size();) {
    const std::size_t end = std::min(list.find(',', begin), list.size());
    scheme_name s = ggml_scheme(list.substr(begin, end - begin));
    const auto same = [&](const scheme_name& other) { return other.text == s.text; };
    if (std::none_of(chosen.begin(), chosen.end(), same)) chosen.push_back(std::move(s));
    begin = end + 1;
  }
  return chosen;
}

}  // namespace

std::string_view name(checkpoint_format format) noexcept {
  return format_names[static_cast<std::size_t>(format)];
}

checkpoint_format checkpoint_format_named(std::string_view text) {
  const auto found = std::find(format_names.begin(), format_names.end(), text);
  if (found == format_names.end())
    throw input_error("--format: " + in_quotes(text) +
                      " is not a format; expected zeropoint, compressed-tensors or gguf");
  return static_cast<checkpoint_format>(found - format_names.begin());
}

std::vector<scheme_name> storable_schemes(std::string_view list, checkpoint_format format) {
  if (format == checkpoint_format::gguf) return ggml_schemes(list);
  for (const std::string_view ggml : {"q8_0", "q4_0"}) {
    const std::string padded = "," + std::string(list) + ",";
    if (padded.find("," + std::string(ggml) + ",") == std::string::npos) continue;
    throw input_error("--scheme: " + in_quotes(ggml) + " is a type of --format gguf, not of " +
                      std::string(name(format)) + "; expected that format, or for example " +
                      (ggml == "q8_0" ? "w8" : "w4-g32"));
  }
  std::vector<scheme_name> names = parse_schemes(list, "--scheme");
  names.erase(names.begin());  // fp32, which parse_schemes() puts first
  if (list.empty() || names.empty())
    throw input_error("--scheme: expected a scheme with integer weights, for example w8 or w4-g32");
  for (const scheme_name& s : names) {
    require_storable(s);
    if (format == checkpoint_format::compressed_tensors) require_compressible(s);
  }
  return names;
}

}  // namespace lab
