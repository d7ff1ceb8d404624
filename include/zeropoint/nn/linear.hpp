// Quantized linear layers: floats in, floats out, y [m, out] = x [m, in] * W^T + bias.
//
//   weight_only_linear   W8     int8 weights, float activations; per group too, 2 to 8 bits
//   dynamic_linear       W8A8   activations quantized on the fly, per token or per tensor
//   static_linear        W8A8   activations on a calibrated grid; counts what falls outside
//   int4_linear          W4A8   4-bit weights in groups, dynamic activations per token
//   outlier_linear       W8A8   dynamic, but for input channels with outliers, which stay float
//   watched_linear       W8A8   static, until too much falls outside; from then on per token
//
//   const dynamic_linear layer(linear_weight{w}, bias);     // or conv1d_weight{w} for GPT-2
//   layer(x, y);                                            // layer(x, y, openmp{}) on threads
//
// Every layer has a float twin, layer.simulate(x, y), and parity.hpp compares the two. A layer is
// immutable but for its counts; any number of threads may call it at once. The same bits from every
// kernel, executor and number of threads.
#pragma once

#include <zeropoint/nn/dynamic_linear.hpp>
#include <zeropoint/nn/int4_linear.hpp>
#include <zeropoint/nn/outlier_linear.hpp>
#include <zeropoint/nn/parity.hpp>
#include <zeropoint/nn/static_linear.hpp>
#include <zeropoint/nn/watched_linear.hpp>
#include <zeropoint/nn/weight_only.hpp>
