// Cures for activations that do not fit an int8 grid. Those that change weights or a bias before a
// layer is made of them:
//
//   smooth.hpp           SmoothQuant: outliers move into the weights, exactly
//   hadamard.hpp         QuaRot: a rotation spreads outliers over all channels
//   equalize.hpp         equal ranges for the channels between two layers with a ReLU
//   bias_correction.hpp  takes back what quantization does to the mean of the outputs
//
// linear.hpp has layers that deal with outliers themselves: outlier_linear, watched_linear.
#pragma once

#include <zeropoint/nn/bias_correction.hpp>
#include <zeropoint/nn/equalize.hpp>
#include <zeropoint/nn/hadamard.hpp>
#include <zeropoint/nn/smooth.hpp>
