// Better codes for weights than rounding gives, from what the inputs of a layer look like:
//
//   gram_matrix g(in);  g.observe(x);                    // calibration: as many rows as you like
//   const auto [codes, statistics, report] = gptq(linear_weight{w}, g);
//   const weight_only_linear layer(quantized_weight(codes, statistics), bias);
//
//   gptq         rounds one input after the other; the rest makes up for it
//   awq          gives the weights of loud inputs a finer grid; needs x / factors: scaled_linear
//   adaround     chooses up or down for all weights of an output together
//   bit_budget   chooses the bits of each layer for a size, or for a damage
#pragma once

#include <zeropoint/nn/adaround.hpp>
#include <zeropoint/nn/awq.hpp>
#include <zeropoint/nn/bit_budget.hpp>
#include <zeropoint/nn/gptq.hpp>
#include <zeropoint/nn/scaled_linear.hpp>
