// The list of experiments, and their results as text and JSON.
#include <lab/gallery/failures.hpp>
#include <lab/io/error.hpp>
#include <lab/report/format.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <sstream>

namespace lab {
namespace {

constexpr gallery_experiment experiments[] = {
    {"static-outliers", &failures::static_outliers},
    {"low-clipping", &failures::low_clipping},
    {"percentile-tight", &failures::percentile_tight},
    {"percentile-loose", &failures::percentile_loose},
    {"wrong-text", &failures::wrong_text},
    {"batch-order", &failures::batch_order},
    {"batch-mates", &failures::batch_mates},
    {"conv1d-axis", &failures::conv1d_axis},
    {"four-bit-groups", &failures::four_bit_groups},
    {"saturating-sums", &failures::saturating_sums},
    {"zero-scale", &failures::zero_scale},
    {"nan-absmax", &failures::nan_absmax},
    {"truncation", &failures::truncation},
    {"ties-away", &failures::ties_away},
    {"gptq-zero", &failures::gptq_zero},
    {"local-mse", &failures::local_mse},
    {"smooth-post-norm", &failures::smooth_post_norm},
    {"smooth-dead-channel", &failures::smooth_dead_channel},
};

std::vector<std::string> words_of(std::string_view list) {
  std::vector<std::string> words;
  std::istringstream stream{std::string(list)};
  for (std::string word; std::getline(stream, word, ',');) words.push_back(word);
  return words;
}

void require_known(const std::string& name) {
  std::string names;
  for (const gallery_experiment& e : experiments) {
    if (e.name == name) return;
    names += (names.empty() ? "" : ", ") + std::string(e.name);
  }
  throw input_error("no experiment " + in_quotes(name) + "; there are: " + names);
}

/// Words in lines of at most 100 columns, indented.
std::string indented(const std::string& text) {
  constexpr std::size_t columns = 98;  // and " %", which stays with its number
  std::string result, line = "   ";
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    const bool starts_line = line.size() + 1 + word.size() > columns && word[0] != '%';
    if (starts_line) {
      result += line + "\n";
      line = "   ";
    }
    line += " " + word;
  }
  return result + line + "\n";
}

std::string number(double x) {
  return x == 0 ? "0" : format("%.4g", x);
}

}  // namespace

std::span<const gallery_experiment> gallery_experiments() {
  return experiments;
}

std::vector<gallery_entry> run_gallery(std::string_view only) {
  const auto wanted = words_of(only);
  for (const std::string& name : wanted) require_known(name);
  std::vector<gallery_entry> entries;
  for (const gallery_experiment& e : experiments) {
    if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), e.name) == wanted.end())
      continue;
    entries.push_back(e.run());
    entries.back().name = e.name;
  }
  return entries;
}

std::string text_of(std::span<const gallery_entry> entries) {
  std::string text = format("%-20s %10s %10s   %s\n", "experiment", "naive", "cured", "metric");
  for (const gallery_entry& e : entries) {
    text += format("\n%-20s %10s %10s   %s\n", e.name.c_str(), number(e.naive).c_str(),
                   number(e.cured).c_str(), e.metric.c_str());
    text += indented(e.shows);
  }
  return text;
}

std::string json_of(std::span<const gallery_entry> entries) {
  using json = nlohmann::ordered_json;
  const auto value = [](double x) { return std::isfinite(x) ? json(x) : json(nullptr); };
  json all = json::array();
  for (const gallery_entry& e : entries) {
    all.push_back({{"name", e.name},
                   {"metric", e.metric},
                   {"naive", value(e.naive)},
                   {"cured", value(e.cured)},
                   {"shows", e.shows}});
  }
  return all.dump(1) + "\n";
}

}  // namespace lab
