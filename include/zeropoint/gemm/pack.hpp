// Weights into the form a kernel reads, once, from either orientation:
//
//   pack             w [n, k]   out x in, as torch.nn.Linear, OPT and Llama store it
//   pack_transposed  w [k, n]   in x out, as GPT-2's Conv1D stores it
//
// Both describe the same product  c [m, n] = a [m, k] * (weights of each output along k). Who knows
// the codes that activations take declares them: pack(w, code_range{-63, 63}). Where that proves
// byte products safe (overflow_certificate.hpp), an AVX2 machine multiplies by them; gemm then throws
// for activations outside the range, with every kernel.
#pragma once

#include <zeropoint/base/matrix_view.hpp>
#include <zeropoint/gemm/packed_weights.hpp>

namespace zeropoint::inline ZP_BASELINE {

/// Row j of `w` holds the k weights of output j. Throws `error` when the kernel does not run here.
[[nodiscard]] inline packed_weights pack(matrix_view<const std::int8_t> w,
                                         std::optional<code_range> activations,
                                         const kernels::kernel& kernel = kernels::best()) {
  return {w.rows(), w.cols(), kernel,
          [&](std::size_t j, std::size_t k) { return w.data()[j * w.stride() + k]; }, activations};
}
[[nodiscard]] inline packed_weights pack(matrix_view<const std::int8_t> w,
                                         const kernels::kernel& kernel = kernels::best()) {
  return pack(w, std::nullopt, kernel);
}

/// Column j of `w` holds the k weights of output j.
[[nodiscard]] inline packed_weights pack_transposed(
    matrix_view<const std::int8_t> w, std::optional<code_range> activations,
    const kernels::kernel& kernel = kernels::best()) {
  return {w.cols(), w.rows(), kernel,
          [&](std::size_t j, std::size_t k) { return w.data()[k * w.stride() + j]; }, activations};
}
[[nodiscard]] inline packed_weights pack_transposed(
    matrix_view<const std::int8_t> w, const kernels::kernel& kernel = kernels::best()) {
  return pack_transposed(w, std::nullopt, kernel);
}

}  // namespace zeropoint::inline ZP_BASELINE
