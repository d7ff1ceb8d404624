// What was counted under one scheme, window by window, before it becomes a row of a table: this can
// be measured in parts and put together again.
#pragma once

#include <lab/experiments/perplexity.hpp>

namespace lab {

struct scheme_sums {
  std::string scheme;
  std::uint64_t weight_bytes = 0, weight_bytes_memory = 0;
  clip_count clips;
  std::size_t demoted = 0;
  double seconds = 0;
  std::vector<window_sums> windows;
};

/// measure() before the sums of windows are folded. There may be no windows.
[[nodiscard]] std::vector<scheme_sums> measure_sums(
    const transformer& model, const std::vector<scheme_layers>& schemes,
    std::span<const std::uint32_t> ids, std::span<const window> windows, std::size_t threads,
    const std::function<void(std::size_t)>& report = {});

/// Folds windows, in order.
[[nodiscard]] measurement summarise(const scheme_sums& sums);
/// Of each.
[[nodiscard]] std::vector<measurement> summarise_all(std::span<const scheme_sums> all);

}  // namespace lab
