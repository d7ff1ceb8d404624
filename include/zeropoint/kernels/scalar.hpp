// The specification: the contract of kernel.hpp as plain loops, for any panel width, group and
// operand. Every other kernel must give the same bits. It also runs where nothing faster does.
#pragma once

#include <zeropoint/kernels/int4_scalar.hpp>
#include <zeropoint/kernels/kernel.hpp>

#include <cmath>
#include <type_traits>

namespace zeropoint::inline ZP_BASELINE {
namespace kernels::scalar {

template <operand A>
using element = std::conditional_t<A == operand::u8, std::uint8_t,
                                   std::conditional_t<A == operand::s8, std::int8_t, std::int16_t>>;

/// Accumulators are unsigned: they wrap by definition, as the hardware's do.
template <std::size_t Nr, std::size_t Group, operand A>
void multiply(const panel_job& job) {
  for (std::size_t i = 0; i < job.m; ++i) {
    const auto* a =
        reinterpret_cast<const element<A>*>(static_cast<const char*>(job.a) + i * job.a_stride);
    std::uint32_t acc[Nr];
    for (std::size_t j = 0; j < Nr; ++j) {
      acc[j] = static_cast<std::uint32_t>(job.factor) * static_cast<std::uint32_t>(job.sums[j]);
    }
    const std::int8_t* b = job.b;
    for (std::size_t k = 0; k < job.k; k += Group, b += Nr * Group) {
      for (std::size_t j = 0; j < Nr; ++j) {
        for (std::size_t g = 0; g < Group; ++g) {
          acc[j] += static_cast<std::uint32_t>(a[k + g] * b[j * Group + g]);
        }
      }
    }
    for (const rank_one& term : job.term) {
      if (term.row == nullptr) continue;
      const auto row = static_cast<std::uint32_t>(term.row[i]);
      for (std::size_t j = 0; j < Nr; ++j) {
        acc[j] += row * static_cast<std::uint32_t>(term.column[j]);
      }
    }
    for (std::size_t j = 0; j < job.n; ++j) {
      const auto sum = static_cast<std::int32_t>(acc[j]);
      if (job.c != nullptr) {
        job.c[i * job.stride + j] = sum;
      } else {
        const float scale = job.row_scale[i * job.row_scale_step] * job.column_scale[j];
        job.y[i * job.stride + j] = std::fma(static_cast<float>(sum), scale, job.bias[j]);
      }
    }
  }
}

template <operand A>
void prepare(const prepare_job& job) {
  const std::int32_t shift = operand_shift(A, job.is_signed);
  for (std::size_t i = 0; i < job.m; ++i) {
    const std::uint8_t* a = job.a + i * job.a_stride;
    auto* out = reinterpret_cast<element<A>*>(static_cast<char*>(job.out) + i * job.out_stride);
    for (std::size_t k = 0; k < job.k; ++k) {
      const std::int32_t given = job.is_signed ? static_cast<std::int8_t>(a[k]) : a[k];
      out[k] = static_cast<element<A>>(given + shift);
    }
    for (std::size_t k = job.k; k < job.padded_k; ++k) out[k] = 0;
  }
}

/// A kernel of any format: tests build formats here that no processor has.
template <std::size_t Nr, std::size_t Group, operand A>
inline constexpr panel_format format{1, Nr, &multiply<Nr, Group, A>};
template <std::size_t Nr, std::size_t Group, operand A>
inline constexpr kernel specification{"scalar",    isa::baseline,         A, Group,
                                      &prepare<A>, &format<Nr, Group, A>, 1, &int4<16>};

inline constexpr const kernel& table = specification<16, 1, operand::s16>;

}  // namespace kernels::scalar
}  // namespace zeropoint::inline ZP_BASELINE
