// Damage attribution: which layer costs how much, and by which of its errors, predicted from one pass
// of the float model and its gradients, without running the quantized model.
//
//   dy = Q(x) - float(x) = sum of dy_c over four sources c                  error of a layer's output
//   a_c = sum over tokens of g . dy_c,  u = sum of a_c     g = gradient of a window's loss in y
//
//   KL    = 1/2 E[u^2]           labels drawn from the model's own distribution (Fisher information)
//   loss  = u + 1/2 E[u^2]       the first u with the labels of the text
//
// to second order in dy, and split as a_c and 1/2 E[a_c u], so that the sources sum to the whole.
// docs/attribution.md derives it and says where it fails.
#pragma once

#include <lab/experiments/perplexity.hpp>

#include <array>
#include <string_view>

namespace lab {

/// A mean over windows and its standard error: text and, in quadratic terms, sampled labels together.
/// NaN with fewer than two windows.
struct estimate {
  double mean = 0, se = 0;
};

/// Rounding: error within the grid, of at most half a step (more where GPTQ moves a weight on
/// purpose). Clipping: the part of a value beyond the end of its grid, as math/statistics.hpp says.
enum class error_source { weight_rounding, weight_clipping, input_rounding, input_clipping };
inline constexpr std::size_t error_sources = 4;
[[nodiscard]] std::string_view name(error_source) noexcept;

/// Nats per token that this layer costs when it alone is quantized; per source by error_source.
struct layer_attribution {
  std::string name;
  std::array<estimate, error_sources> loss, kl;
  estimate total_loss, total_kl;
  /// The layer's part of the KL of the whole scheme, terms between layers shared equally: the parts
  /// of all layers sum to the prediction for the scheme.
  estimate shared_kl;
};

struct attribution_options {
  std::size_t samples = 8;    ///< draws of a window's labels; at least 1
  std::uint64_t seed = 2024;  ///< window i draws from seed + i
};

/// In the order of transformer::linears(). The result does not depend on `threads`; `report` hears
/// the windows done. Throws input_error for schemes with watched layers or outlier columns.
[[nodiscard]] std::vector<layer_attribution> attribute(
    const transformer& model, const scheme_layers& scheme, std::span<const std::uint32_t> ids,
    std::span<const window> windows, std::size_t threads,
    const std::function<void(std::size_t)>& report = {}, const attribution_options& options = {});

}  // namespace lab
