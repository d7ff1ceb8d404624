// What the inputs of the linear layers look like on text that is not scored: the float model runs
// over it and observers watch every input.
#pragma once

#include <lab/experiments/protocol.hpp>
#include <lab/models/transformer.hpp>
#include <zeropoint/nn/gram.hpp>

#include <functional>

namespace lab {

/// Per linear layer, in the order of transformer::linears().
struct calibration {
  std::vector<zeropoint::value_range> min_max;     ///< smallest and largest value
  std::vector<zeropoint::value_range> percentile;  ///< what 99.9 % of |x| lie within, as -r .. r
  std::vector<std::vector<float>> channel_absmax;  ///< [in]: largest |x| of every channel
  /// Largest |x| of the largest channel over that of the median channel: 1 when all are alike, tens
  /// to thousands where outlier channels take the grid from the others.
  std::vector<double> channel_ratio;
  std::size_t tokens = 0;
  // When asked for:
  std::vector<zeropoint::value_range> mse, entropy;  ///< math/range_search.hpp, for 8 bits
  std::vector<zeropoint::gram_matrix> gram;
};

/// What a layer quantizes when that is not its input: changes [tokens, in] in place.
using input_change = std::function<void(zeropoint::matrix_view<float> x)>;

struct calibration_wishes {
  bool ranges_by_search = false;  ///< calibration::mse and entropy
  bool gram = false;              ///< calibration::gram: [in, in] doubles per layer
  input_change change;            ///< observers see the inputs after it; the model does not
};

/// Runs the float model over the windows (all their tokens count). Windows are observed one by one
/// and merged in order: the result does not depend on `threads`. `report` hears the windows done.
[[nodiscard]] calibration calibrate(const transformer& model, std::span<const std::uint32_t> ids,
                                    std::span<const window> windows, std::size_t threads,
                                    const calibration_wishes& wishes = {},
                                    const std::function<void(std::size_t)>& report = {});

}  // namespace lab
