// Cures for activations that do not fit an int8 grid. Those that change weights before a layer is
// made of them:
//
//   smooth.hpp    SmoothQuant: outliers move into the weights, exactly
//   hadamard.hpp  QuaRot: a rotation spreads outliers over all channels
//
// linear.hpp has a layer for those it leaves alone: outlier_linear.
#pragma once

#include <zeropoint/nn/hadamard.hpp>
#include <zeropoint/nn/smooth.hpp>
