// What the inputs of the linear layers look like on text that is not scored: the float model runs
// over it and observers watch every input.
#pragma once

#include <lab/experiments/protocol.hpp>
#include <lab/experiments/scheme_name.hpp>
#include <lab/models/recording.hpp>
#include <lab/models/transformer.hpp>
#include <zeropoint/math/observer.hpp>
#include <zeropoint/nn/gram.hpp>

#include <functional>

namespace lab {

/// The ranges that the rules choose for int8 activations.
struct input_ranges {
  zeropoint::value_range min_max;       ///< smallest and largest value
  zeropoint::value_range percentile;    ///< what 99.9 % of |x| lie within, as -r .. r
  zeropoint::value_range mse, entropy;  ///< math/range_search.hpp

  [[nodiscard]] const zeropoint::value_range& of(range_rule rule) const noexcept;
  friend bool operator==(const input_ranges&, const input_ranges&) = default;
};
/// Throws zeropoint::error when nothing finite was seen.
[[nodiscard]] input_ranges ranges_of(const zeropoint::distribution& seen);

/// Per linear layer, in the order of transformer::linears().
struct calibration {
  std::vector<zeropoint::distribution> values;
  std::vector<input_ranges> ranges;                ///< ranges_of(values), unless edited by hand
  std::vector<std::vector<float>> channel_absmax;  ///< [in]: largest |x| of every channel
  std::vector<zeropoint::gram_matrix> gram;        ///< when asked for: [in, in] doubles
  std::vector<std::vector<double>> means;          ///< when asked for: [in], of every channel
  std::size_t tokens = 0;

  /// Largest |x| of the largest channel over that of the median channel: 1 when all are alike, tens
  /// to thousands where outlier channels take the grid from the others; 0 when the median is 0.
  [[nodiscard]] double channel_ratio(std::size_t layer) const;
  /// Adds what another text showed in front of the same layers; ranges are chosen anew. Throws
  /// zeropoint::error for other layers. No Gram matrices or means are left.
  void merge(const calibration& other);
};

/// What a layer quantizes when that is not its input: changes [tokens, in] in place.
using input_change = std::function<void(zeropoint::matrix_view<float> x)>;

struct calibration_wishes {
  bool gram = false;    ///< calibration::gram
  bool means = false;   ///< calibration::means; of no finite token: zeropoint::error
  input_change change;  ///< observers see the inputs after it; the model does not
};

/// Runs the float model over the windows (all their tokens count). Windows are observed one by one
/// and merged in order: the result does not depend on `threads`. `report` hears the windows done.
[[nodiscard]] calibration calibrate(const transformer& model, std::span<const std::uint32_t> ids,
                                    std::span<const window> windows, std::size_t threads,
                                    const calibration_wishes& wishes = {},
                                    const std::function<void(std::size_t)>& report = {});

/// Of every linear layer its inputs [tokens, in] on the first windows, as many as `tokens` need.
[[nodiscard]] std::vector<matrix> sample_inputs(const transformer& model,
                                                std::span<const std::uint32_t> ids,
                                                std::span<const window> windows,
                                                std::size_t tokens);

}  // namespace lab
