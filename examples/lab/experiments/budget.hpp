// Bits per layer for a size or a damage, from measured sensitivity, and a run of what was chosen:
//
//   d(l, s)  mean KL(fp32 || layer l alone under scheme s), on the calibration text
//   choose   minimise sum of d(l, s_l) within so many bytes, or the bytes within so much damage
//   run      the mixture itself, on the calibration text (do damages add up?) and on another text
//            (do they carry over?)
//
// KL and not the loss, since it is never negative: a layer whose error happens to help the
// calibration text must not look better than float. The choice is that of nn/bit_budget.hpp.
#pragma once

#include <lab/experiments/attribution.hpp>
#include <lab/experiments/sweep.hpp>
#include <zeropoint/nn/bit_budget.hpp>

#include <optional>

namespace lab {

/// One layer under one scheme, all others float.
struct layer_option {
  std::uint64_t bytes = 0;  ///< of weights, scales and bias in a file
  estimate kl;              ///< nats per token
  std::vector<window_sums> windows;
};

struct layer_options {
  std::string name;
  std::size_t weights = 0;
  std::vector<layer_option> options;  ///< by scheme
};

/// Bytes of all linear layers, or KL in nats per token when there are no bytes.
struct budget_limit {
  std::optional<std::uint64_t> bytes;
  double kl = 0;
  [[nodiscard]] bool allows(std::uint64_t b, double d) const {
    return bytes ? b <= *bytes : d <= kl;
  }
};

/// A whole scheme, uniform or mixed.
struct budget_run {
  std::string name;
  std::uint64_t bytes = 0;
  double predicted = 0;  ///< sum of the KL of its layers alone
  estimate together;     ///< KL on the same text
  /// together - predicted, from the differences of windows: what the layers do to each other.
  estimate interaction;
  estimate delta, kl;  ///< on the other text: loss - loss of fp32, KL

  /// Whether layers add up to within a tenth, or to within two standard errors.
  [[nodiscard]] bool adds_up() const;
};

/// Every layer alone under every scheme; `schemes` are weight-only, of the model as it is. Does not
/// depend on `threads`; `report` hears the windows done. Throws input_error when a KL is not finite.
[[nodiscard]] std::vector<layer_options> measure_options(
    const transformer& model, std::span<const scheme_layers> schemes, const text_windows& text,
    std::size_t threads, const std::function<void(std::size_t)>& report = {});

/// Index of the scheme of each layer. Throws input_error when nothing is within the limit.
[[nodiscard]] zeropoint::bit_choice choose(std::span<const layer_options> layers,
                                           const budget_limit& limit);

/// The layers of `schemes` that were chosen, borrowed.
[[nodiscard]] scheme_layers mixture(std::span<const scheme_layers> schemes,
                                    std::span<const std::size_t> chosen);

/// Runs every scheme and, last, the mixture. `sensitivity` is the text of measure_options(), `other`
/// the one that decides. `report` hears the windows of both done.
[[nodiscard]] std::vector<budget_run> run_budget(
    const transformer& model, std::span<const scheme_layers> schemes,
    std::span<const layer_options> layers, std::span<const std::size_t> chosen,
    const text_windows& sensitivity, const text_windows& other, std::size_t threads,
    const std::function<void(std::size_t)>& report = {});

}  // namespace lab
