// Where the error enters: every linear layer of a scheme beside the float layer it stands for.
//
//   local        the layer gets the float model's input: the error that it makes itself
//   propagated   it gets what the quantized layers before it made: the error that has gathered
//
// as SQNR = 10 log10(sum y^2 / sum (y - y')^2) of the layer's output y, in dB.
#pragma once

#include <lab/experiments/scheme_sums.hpp>
#include <zeropoint/math/statistics.hpp>

#include <functional>

namespace lab {

/// Squares of outputs and of their errors.
struct output_error {
  double signal = 0, error = 0;
  [[nodiscard]] double sqnr_db() const;  ///< infinite without error
};

/// The shape of a layer's float inputs [tokens, in].
struct input_shape {
  /// Largest |x| of every channel, and of it all.
  std::vector<float> channel_absmax;
  double largest_token = 0, tokens_sum = 0;  ///< of the tokens' largest |x|: the largest, the sum
  double second = 0, fourth = 0;             ///< sums of x^2, x^4
  std::size_t tokens = 0;

  /// Largest channel over the median channel; 0 when that is 0.
  [[nodiscard]] double channel_ratio() const;
  /// Channels at least six times the median, the largest first, at most `limit`.
  [[nodiscard]] std::vector<std::size_t> outlier_channels(std::size_t limit) const;
  [[nodiscard]] std::size_t dead_channels() const;  ///< always zero
  [[nodiscard]] double token_ratio() const;         ///< largest token over the mean token
  /// Mean x^4 over the square of mean x^2: 3 for a normal distribution around zero.
  [[nodiscard]] double kurtosis() const;
};

struct layer_diagnosis {
  std::string name;
  std::size_t in = 0, out = 0;
  zeropoint::quantization_statistics weight, input;  ///< nothing counted where they stay float
  output_error local, propagated;
  input_shape shape;
};

/// Sums over all tokens of the windows, in the order of transformer::linears(). Watched layers may be
/// demoted on the way, twice as early as in a plain run: they see each window with both inputs. The result does not depend on `threads`; `report` hears the windows done.
[[nodiscard]] std::vector<layer_diagnosis> diagnose(
    const transformer& model, const scheme_layers& scheme, std::span<const std::uint32_t> ids,
    std::span<const window> windows, std::size_t threads,
    const std::function<void(std::size_t)>& report = {});

/// In front of the layer's name.
inline constexpr std::string_view alone_prefix = "only ";

/// What each layer costs by itself: rows[0] is fp32; rows[1 + i] has layer i of the scheme and floats
/// everywhere else, in attention too; rows[1 + L + i] the reverse, layer i float; the last row the
/// whole scheme. Throws input_error for watched layers, which would carry over what they saw from row to row.
[[nodiscard]] std::vector<measurement> measure_sensitivity(
    const transformer& model, const scheme_layers& scheme, std::span<const std::uint32_t> ids,
    std::span<const window> windows, std::size_t threads,
    const std::function<void(std::size_t)>& report = {});
/// The same before windows are folded; there may be none.
[[nodiscard]] std::vector<scheme_sums> measure_sensitivity_sums(
    const transformer& model, const scheme_layers& scheme, std::span<const std::uint32_t> ids,
    std::span<const window> windows, std::size_t threads,
    const std::function<void(std::size_t)>& report = {});

}  // namespace lab
