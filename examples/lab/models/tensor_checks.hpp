// What every loader asks of a tensor before it becomes weights, whatever file it came from.
#pragma once

#include <lab/io/safetensors.hpp>

#include <cmath>
#include <span>
#include <string>

namespace lab {

inline void require_shape(const std::string& file, const std::string& tensor,
                          std::span<const std::uint64_t> found,
                          std::span<const std::uint64_t> expected) {
  if (std::equal(found.begin(), found.end(), expected.begin(), expected.end())) return;
  reject({file}, "tensor ", in_quotes(tensor), " has shape ", shape_text(found), ", expected ",
         shape_text(expected));
}

/// `values` begin with element `first` of the tensor.
inline void require_finite(const std::string& file, const std::string& tensor,
                           std::span<const float> values, std::size_t first = 0) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (std::isfinite(values[i])) continue;
    reject({file}, "tensor ", in_quotes(tensor), ": element ", first + i, " is ", values[i],
           ", expected finite weights");
  }
}

}  // namespace lab
