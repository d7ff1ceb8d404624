// Cross-layer equalization of a whole model (nn/equalize.hpp has the formula), for every two layers with
// nothing but a positively homogeneous function, channel by channel, between them:
//
//   v and the output of attention      a head mixes tokens, not channels; as many heads of v as of q
//   fc1 and fc2                        behind ReLU (OPT), and behind a gate (Llama), which multiplies
//
// The float function stays the same to rounding.
#pragma once

#include <lab/models/transformer.hpp>

namespace lab {

/// Throws input_error for a model without such a pair.
void require_equalizable(const transformer& model);

/// Equalizes every block in place. Requires require_equalizable().
void apply_equalization(transformer& model);

}  // namespace lab
