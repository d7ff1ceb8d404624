// The specification of int4.hpp as plain loops, for any panel width.
#pragma once

#include <zeropoint/base/float16.hpp>
#include <zeropoint/kernels/int4.hpp>

#include <cmath>
#include <cstring>

namespace zeropoint::inline ZP_BASELINE {
namespace kernels::scalar {

template <std::size_t Nr, bool Half, bool Zeros>
void multiply_int4(const int4_job& job) {
  constexpr int4_layout layout{Half, Zeros};
  const std::size_t group_bytes = layout.group_bytes(Nr, job.group);
  for (std::size_t i = 0; i < job.m; ++i) {
    for (std::size_t j = 0; j < job.n; ++j) {
      float total = 0;
      for (std::size_t g = 0; g < job.groups; ++g) {
        const std::uint8_t* scales = job.b + g * group_bytes;
        const std::uint8_t* zeros = scales + Nr * (Half ? 2 : 4);
        const std::uint8_t* nibbles = zeros + (Zeros ? Nr : 0);
        const std::int8_t* a = job.a + i * job.a_stride + g * job.group;
        std::int32_t acc = job.minus_sums[i * job.groups + g] * (Zeros ? zeros[j] : 8);
        for (std::size_t k = 0; k < job.group; ++k) {
          const unsigned byte = nibbles[(k / 8 * Nr + j) * 4 + k % 4];
          acc += a[k] * static_cast<std::int32_t>(k % 8 < 4 ? byte & 15u : byte >> 4);
        }
        float scale;
        if constexpr (Half) {
          float16 half;
          std::memcpy(&half, scales + 2 * j, 2);
          scale = to_float(half);
        } else {
          std::memcpy(&scale, scales + 4 * j, 4);
        }
        total = std::fma(static_cast<float>(acc), scale, total);
      }
      job.y[i * job.stride + j] =
          std::fma(total, job.row_scale[i * job.row_scale_step], job.bias[j]);
    }
  }
}

template <std::size_t Nr>
inline constexpr int4_format int4{
    1,
    Nr,
    {{&multiply_int4<Nr, false, false>, &multiply_int4<Nr, false, true>},
     {&multiply_int4<Nr, true, false>, &multiply_int4<Nr, true, true>}}};

}  // namespace kernels::scalar
}  // namespace zeropoint::inline ZP_BASELINE
