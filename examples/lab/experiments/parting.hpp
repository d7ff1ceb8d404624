// Where the greedy continuation under a scheme parts from the float one, and how close the choice was.
#pragma once

#include <lab/experiments/generation.hpp>

#include <array>

namespace lab {

/// A continuation beside the reference's. Up to `shared` tokens they are the same; there each takes
/// its own token, which for a text that ends is the stop token.
struct parting {
  std::vector<std::uint32_t> ids;
  std::size_t shared = 0;
  bool parted = false;
  /// Where it parted: the reference's token, then the scheme's.
  std::array<std::uint32_t, 2> tokens{};
  /// Of these two tokens, under the reference and under the scheme.
  std::array<double, 2> reference{}, scheme{};
};

/// Continues the prompt greedily under `layers` and compares with `expected`, what generate() gave
/// under `reference` with the same options.
[[nodiscard]] parting compare_continuations(const transformer& model,
                                            const scheme_layers& reference,
                                            const generation& expected, const scheme_layers& layers,
                                            std::span<const std::uint32_t> prompt,
                                            const generation_options& options);

}  // namespace lab
