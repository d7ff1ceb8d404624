// What a grid does to the distribution of a layer's weights and inputs. Values are counted in steps,
//
//   position = x / scale + zero_point       code = position, rounded and clamped to qmin .. qmax
//
// so that weights with a scale per channel or per group share one picture.
#pragma once

#include <lab/experiments/perplexity.hpp>
#include <lab/experiments/scheme_name.hpp>
#include <zeropoint/math/quantized_matrix.hpp>

namespace lab {

/// Counts before and after quantization. Nothing is counted where values stay float.
struct grid_histogram {
  static constexpr int bins_per_step = 8;
  static constexpr int margin = 8;  ///< steps beyond either end of the grid

  int qmin = 0, qmax = -1;
  float smallest_step = 0, largest_step = 0;  ///< scales met, in real units
  /// Bin b begins at position left() + b / bins_per_step; the outermost bins also hold what lies
  /// further out. Values that are not finite are left out.
  std::vector<std::uint64_t> before;
  std::vector<std::uint64_t> after;           ///< of code qmin + i
  std::vector<std::uint64_t> after_ordinary;  ///< of those, in channels that are no outliers

  [[nodiscard]] bool empty() const noexcept { return after.empty(); }
  [[nodiscard]] double left() const noexcept { return qmin - margin - 0.5; }
  /// Values whose position rounds to `code`, which may lie in the margin.
  [[nodiscard]] std::uint64_t before_at(int code) const;
  /// Shares of all values below and above the grid.
  [[nodiscard]] double clipped_low() const;
  [[nodiscard]] double clipped_high() const;

  /// Row by row: `ordinary[j]` says whether column j counts as ordinary.
  void add(zeropoint::matrix_view<const float> values,
           const zeropoint::quantized_matrix<std::int8_t>& codes,
           const std::vector<bool>& ordinary);
  void merge(const grid_histogram& other);
  friend bool operator==(const grid_histogram&, const grid_histogram&) = default;
};

struct layer_distribution {
  std::size_t layer = 0;  ///< index in transformer::linears()
  std::string name;
  grid_histogram weights, inputs;
};

/// A layer to look at, and its channels that are outliers.
struct layer_choice {
  std::size_t layer = 0;
  std::vector<std::size_t> outliers;
};

/// Distributions of the chosen layers: inputs of the float model over the windows, weights rounded to
/// nearest on the grid of the scheme's name (GPTQ and AWQ choose other codes of such a grid). The
/// result does not depend on `threads`.
[[nodiscard]] std::vector<layer_distribution> distributions(
    const transformer& model, const scheme_name& name, const scheme_layers& scheme,
    std::span<const layer_choice> chosen, std::span<const std::uint32_t> ids,
    std::span<const window> windows, std::size_t threads);

}  // namespace lab
