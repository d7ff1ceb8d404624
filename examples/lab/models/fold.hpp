// The gains and biases of the norms moved into the layers behind them, as QuaRot does before it
// rotates (arXiv 2404.00456, section 3):
//
//   W (g * n + b) + c  =  (W diag(g)) n + (c + W b),   n the normalized input
//
// A channel that stands out because its gain is large stands out no more. The float function stays
// the same to rounding.
#pragma once

#include <lab/models/transformer.hpp>

namespace lab {

/// Folds every block's norms in place; they keep gains of 1 and biases of 0. Layers without a bias get
/// one, unless the norm has none either (RMSNorm). Norms without gain stay as they are. Throws input_error for a post-norm model, whose norms
/// also feed the residual stream.
void fold_norms(transformer& model);

}  // namespace lab
