// Rotary positions (RoFormer, arXiv 2104.09864) in HuggingFace's layout: a head of width d holds the
// pairs (x_j, x_{j+d/2}), and position p turns pair j by the angle p * theta^(-2j/d).
#pragma once

#include <lab/io/config.hpp>
#include <zeropoint/base/matrix_view.hpp>

namespace lab {

/// table [T, d]: of positions first ... first + T - 1 the cosines of the d/2 angles, then the sines.
/// Angles are float32 products of float32 frequencies, as the reference computes them: at position
/// 8000 their rounding is 2e-4, and the weights were trained with it.
void rotary_table(const model_config& config, std::size_t first,
                  zeropoint::matrix_view<float> table);

/// Turns in place every head of x [T, heads * d].
void rotate(zeropoint::matrix_view<const float> table, zeropoint::matrix_view<float> x);

}  // namespace lab
