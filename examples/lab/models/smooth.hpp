// SmoothQuant on a whole model (nn/smooth.hpp has the formula): what the norms produce is divided,
// channel by channel, in their gains and biases, and the layers behind them are multiplied. The
// float function stays the same to rounding.
#pragma once

#include <lab/models/transformer.hpp>

namespace lab {

/// Smooths in place the inputs of every block's qkv layers and of its fc1. channel_absmax [linears]
/// [in] is calibration::channel_absmax. Throws input_error, and leaves the model as it was, for a
/// post-norm model, whose norms also feed the residual stream, and for norms without gain.
void apply_smoothing(transformer& model, const std::vector<std::vector<float>>& channel_absmax,
                     double alpha = 0.5);

}  // namespace lab
