// The failure gallery: small experiments, each of which shows one way in which quantization fails,
// the number that catches it, and the cure. Synthetic data, fixed seeds, no files; every number is
// computed when asked for.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lab {

/// What came out. `metric` says what `naive` and `cured` measure; smaller is better in all of them.
struct gallery_entry {
  std::string name = {};
  std::string metric;
  double naive = 0;
  double cured = 0;
  std::string shows;  ///< a sentence or two with the numbers behind the two
};

struct gallery_experiment {
  std::string_view name;
  gallery_entry (*run)();  ///< all but the name
};

/// All of them, in reading order.
[[nodiscard]] std::span<const gallery_experiment> gallery_experiments();

/// Runs those named in a list like "static-outliers,batch-mates", in reading order; all when it is
/// empty. Throws input_error for an unknown name, with those there are.
[[nodiscard]] std::vector<gallery_entry> run_gallery(std::string_view only = {});

/// A block per entry: name, both numbers and what they measure, then the sentence, in lines of at
/// most 100 columns.
[[nodiscard]] std::string text_of(std::span<const gallery_entry> entries);
/// A list of {name, metric, naive, cured, shows}; a number that is not finite is null.
[[nodiscard]] std::string json_of(std::span<const gallery_entry> entries);

}  // namespace lab
