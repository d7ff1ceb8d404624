// The way back through attention (attention.hpp) in float, for models whose heads all have keys and
// values of their own.
#pragma once

#include <lab/io/config.hpp>
#include <zeropoint/base/matrix_view.hpp>

namespace lab {

/// m = p v, p = softmax(s), s = scale * q k^T, per head, from dm to dq | dk | dv:
///
///   dv = p^T dm    ds = p * (dm v^T - sum_j dm m)    dq = scale * ds k    dk = scale * ds^T q
///
/// qkv [T, 3C], mixed m [T, C], d_mixed [R * T, C], d_qkv [R * T, 3C].
void attend_back(const model_config& config, std::size_t layer,
                 zeropoint::matrix_view<const float> qkv, zeropoint::matrix_view<const float> mixed,
                 zeropoint::matrix_view<const float> d_mixed, zeropoint::matrix_view<float> d_qkv);

}  // namespace lab
