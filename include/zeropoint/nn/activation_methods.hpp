// Cures for activations that do not fit an int8 grid, each a file of its own:
//
//   smooth.hpp   SmoothQuant: moves outliers into the weights, exactly
#pragma once

#include <zeropoint/nn/smooth.hpp>
