// What a block does to its tokens between linear layers and attention. A token's row depends on no other:
// a few rows at a time stay in the cache from step to step, and threads share them.
#pragma once

#include <lab/models/transformer.hpp>

namespace lab {

/// y = norm(x), row by row; y may be x.
void normalise(const model_config& config, const norm& n, std::size_t threads,
               zeropoint::matrix_view<const float> x, zeropoint::matrix_view<float> y);

/// x += h, then y = norm(x) where there is one; y may be h or x.
void add_and_normalise(const model_config& config, const norm* n, std::size_t threads,
                       zeropoint::matrix_view<const float> h, zeropoint::matrix_view<float> x,
                       zeropoint::matrix_view<float> y);

/// x = act(x), or x * act(gate), which overwrites the gate; both without stride.
void activate(activation act, std::size_t threads, zeropoint::matrix_view<float> x);
void activate(activation act, std::size_t threads, zeropoint::matrix_view<float> gate,
              zeropoint::matrix_view<float> x);

}  // namespace lab
