// What other frameworks make of the weights of a model, beside this library's own rule on the same
// runs of values, and which rule of theirs made a difference:
//
//   own code  -> range: their scale  -> saturation: their limits  -> rounding: their ties and division
#pragma once

#include <lab/models/linear.hpp>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace lab {

/// The steps of one value from our code to theirs may undo each other (127.5 rounds to 128 and
/// saturates at 127), so that `differ` can be less than each of the three.
struct framework_difference {
  std::string name;            ///< of the framework and its rule
  std::size_t group = 0;       ///< values that share a scale: 0 a row of [out, in], 1 the tensor
  int bits = 8;                ///< of theirs and of ours
  std::uint64_t values = 0;    ///< weights compared; a format may not fit a layer
  std::uint64_t differ = 0;    ///< codes that are not ours
  std::uint64_t by_range = 0;  ///< changed by their scale, rounded our way, on a grid without ends
  std::uint64_t by_saturation = 0;              ///< ... by their smallest and largest code
  std::uint64_t by_rounding = 0;                ///< ... by their rounding
  double signal = 0, error = 0, own_error = 0;  ///< sums of squares

  [[nodiscard]] double sqnr_db() const;
  [[nodiscard]] double own_sqnr_db() const;
};

/// Every preset for weights of math/presets.hpp over all layers. Ours is fit() and quantize() with
/// the symmetric scheme of as many bits.
[[nodiscard]] std::vector<framework_difference> compare_frameworks(
    std::span<const dense* const> layers);

}  // namespace lab
