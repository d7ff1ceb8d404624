// The planted twin: the same function with outlier channels. In every norm that feeds linear
// layers, gain and bias of a few channels are multiplied by 2^power, and the columns of the linear
// layers behind it are divided by it:
//
//   w . x  =  (w_j / c) (c x_j) + ...      c a power of two: every product has the same bits
//
// The float logits stay bit-identical, the activations do not: it is SmoothQuant run backwards, a
// synthetic stand-in for the outlier channels that large models grow by themselves.
#pragma once

#include <lab/models/transformer.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace lab {

/// "4:8": 4 channels, multiplied by 2^8.
struct plant {
  std::size_t channels = 0;
  int power = 0;

  /// Throws input_error unless `text` is CHANNELS:POWER, 1 <= CHANNELS, 1 <= POWER <= 20.
  [[nodiscard]] static plant parse(std::string_view text);
  [[nodiscard]] std::string text() const;
};

/// The planted channels, ascending; the same in every layer, as in models that grow them. A fixed
/// pseudo-random choice that depends on the width and the number of channels only.
[[nodiscard]] std::vector<std::size_t> planted_channels(std::size_t width, std::size_t channels);

/// Plants in place. Throws input_error, and leaves the model as it was, for a post-norm model (its
/// norms also feed the residual stream, which nothing could divide), for norms without gain, for
/// more channels than the model has, and when a product or quotient would not be exact.
void apply_plant(transformer& model, const plant& what);

}  // namespace lab
