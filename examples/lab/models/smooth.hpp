// SmoothQuant on a whole model (nn/smooth.hpp has the formula): what the norms produce is divided,
// channel by channel, in their gains and biases, and the layers behind them are multiplied. The
// float function stays the same to rounding.
#pragma once

#include <lab/models/recording.hpp>
#include <lab/models/transformer.hpp>

namespace lab {

/// Throws input_error for a post-norm model, whose norms also feed the residual stream, and for norms
/// without gain.
void require_smoothable(const transformer& model);

/// Smooths in place the inputs of every block's qkv layers and of its MLP. channel_absmax [linears]
/// [in] is calibration::channel_absmax; `alphas` one for each of readers_of_norms(). Requires
/// require_smoothable(), before anything is changed.
void apply_smoothing(transformer& model, const std::vector<std::vector<float>>& channel_absmax,
                     std::span<const double> alphas);
/// The same with one alpha for all.
void apply_smoothing(transformer& model, const std::vector<std::vector<float>>& channel_absmax,
                     double alpha = 0.5);

/// For each of readers_of_norms() the alpha among 0, 0.05, ..., 1 with the least output error of its
/// layers in static int8 (zeropoint::search_alpha). `inputs` [linears] are samples of their inputs.
[[nodiscard]] std::vector<double> search_alphas(
    const transformer& model, const std::vector<std::vector<float>>& channel_absmax,
    std::span<const matrix> inputs, std::size_t threads);

}  // namespace lab
