// How fast these threads multiply and add in registers: the limit of a prefill, which multiplies each
// weight with every token of the prompt.
#pragma once

#include <lab/experiments/perplexity.hpp>

namespace lab {

/// Operations, two for a multiply-add.
struct operations {
  double integers = 0;  ///< with the instruction of the kernel in use: dot products of 8 bits, ...
  double floats = 0;    ///< FMA of float32
  operations& operator+=(const operations& o);
};

/// What the products of a prefill of so many tokens take at least.
struct prefill_operations {
  operations layers;     ///< of the blocks, OPT-350m's projections, and the head for the last token
  operations attention;  ///< both products; a token meets itself and those before it
};
[[nodiscard]] prefill_operations operations_of(const transformer& model,
                                               const scheme_layers& scheme, std::size_t tokens);

/// Operations per second of these threads in loops that touch no memory. NaN where no loop was written
/// for the kernel in use (scalar, Arm) or where the processor has no FMA.
struct peak_rates {
  double integers = 0, floats = 0;
  /// Seconds of these operations, all of a kind after all of the other.
  [[nodiscard]] double seconds(const operations& o) const;
};
/// Milliseconds of work. What is not among `wanted` is not measured, but infinite.
[[nodiscard]] peak_rates measure_peaks(const operations& wanted, std::size_t threads);

}  // namespace lab
