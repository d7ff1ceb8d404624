// The contract between the driver (gemm/) and an instruction set (kernels/<isa>.hpp). A kernel
// multiplies m rows of `a` by one packed panel of weights and finishes the result in registers:
//
//   dot(i, j) = sum over k of a(i, k) * b(k, j)                      exact, wrapping modulo 2^32
//   acc(i, j) = dot(i, j) + factor * sums[j] + term[0].row[i] * term[0].column[j]
//                                              + term[1].row[i] * term[1].column[j]
//   c(i, j)   = acc(i, j)                                                          integer output
//   y(i, j)   = fma(float(acc(i, j)), row_scale[i] * column_scale[j], bias[j])       float output
//
// Zero points, the +128 of unsigned hardware and the column sums are nothing but factor and terms:
// gemm/epilogue.hpp fills them in. scalar.hpp is this contract as code; read it next.
//
// One packed panel: nr columns (outputs), K in groups of k_group consecutive elements, so that the
// g elements of one column that one 32-bit lane multiplies lie together. nr = 4, k_group = 4, K = 6:
//
//              column 0        column 1        column 2        column 3
//   group 0    k0 k1 k2 k3     k0 k1 k2 k3     k0 k1 k2 k3     k0 k1 k2 k3      <- 16 bytes
//   group 1    k4 k5 0  0      k4 k5 0  0      k4 k5 0  0      k4 k5 0  0       <- padded with zeros
//
// Panels follow one another; the columns that N lacks in the last panel are zeros. Rows of `a` stay
// rows: K elements, padded to whole groups (any value: it meets a zero), in the operand type.
#pragma once

#include <zeropoint/base/cpu.hpp>
#include <zeropoint/kernels/int4.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace zeropoint::inline ZP_BASELINE {
namespace kernels {

/// How a kernel wants the rows of `a`. Rows of the other signedness are shifted by 128 (the top bit
/// flips) when they are prepared, and their zero point with them; s16 holds both as they are.
enum class operand : std::uint8_t { u8, s8, s16 };

[[nodiscard]] constexpr std::size_t operand_bytes(operand a) noexcept {
  return a == operand::s16 ? 2 : 1;
}
/// prepared value - given value: +128, -128 or 0.
[[nodiscard]] constexpr std::int32_t operand_shift(operand a, bool given_signed) noexcept {
  if (a == operand::u8) return given_signed ? 128 : 0;
  if (a == operand::s8) return given_signed ? 0 : -128;
  return 0;
}

/// One outer product added to the accumulators, or nothing when `row` is null.
struct rank_one {
  const std::int32_t* row = nullptr;     ///< [m]
  const std::int32_t* column = nullptr;  ///< [nr]
};

/// m rows times one panel. Arrays over columns have nr readable elements, of which n are live.
/// Nothing is read outside them, nothing is written outside m x n outputs; no alignment is assumed
/// of `a` and the outputs, `b` as the packing left it (64 bytes, then whole panels).
struct panel_job {
  std::size_t m = 0;         ///< rows, >= 1
  std::size_t n = 0;         ///< live columns, 1 .. nr
  std::size_t k = 0;         ///< elements per row, a multiple of k_group, may be 0
  const void* a = nullptr;   ///< row i starts at a + i * a_stride bytes
  std::size_t a_stride = 0;  ///< in bytes
  const std::int8_t* b = nullptr;
  /// The panel that will be asked for next, for the kernel to fetch meanwhile if it likes. Null behind
  /// the last one, and when the weights stay in the second-level cache anyway (gemm/rows.hpp). Only
  /// ever prefetched, never read.
  const std::int8_t* next = nullptr;
  const std::int32_t* sums = nullptr;  ///< of the columns of b
  std::int32_t factor = 0;
  rank_one term[2];
  std::int32_t* c = nullptr;  ///< integer output, or null
  float* y = nullptr;         ///< float output, used when c is null
  std::size_t stride = 0;     ///< of c or y, in elements
  const float* row_scale = nullptr;
  std::size_t row_scale_step = 0;  ///< 1: one per row, 0: one for all
  const float* column_scale = nullptr;
  const float* bias = nullptr;
};
using panel_fn = void (*)(const panel_job&);

/// m rows in blocks of nearly equal height, at most mr: 9 rows in blocks of 8 are 5 + 4, not 8 + 1.
struct row_blocks {
  std::size_t count, shorter, taller;  ///< the first `taller` blocks have one row more
  constexpr row_blocks(std::size_t m, std::size_t mr) noexcept
      : count((m + mr - 1) / mr), shorter(m / count), taller(m % count) {}
  [[nodiscard]] constexpr std::size_t height(std::size_t i) const noexcept {
    return shorter + (i < taller ? 1 : 0);
  }
};

/// Rows of a job by blocks: of_height[h - 1](job, first) is the tile of h rows.
template <class Job, std::size_t Mr>
inline void by_row_blocks(const Job& job, void (*const (&of_height)[Mr])(const Job&, std::size_t)) {
  const row_blocks blocks(job.m, Mr);
  for (std::size_t i = 0, first = 0; i < blocks.count; first += blocks.height(i++)) {
    of_height[blocks.height(i) - 1](job, first);
  }
}

/// m rows of k int8 or uint8 elements into the operand type, then padded_k - k elements of any value
/// (they will meet zeros, but they must be initialised).
struct prepare_job {
  std::size_t m = 0, k = 0, padded_k = 0;
  const std::uint8_t* a = nullptr;
  std::size_t a_stride = 0;  ///< in elements
  bool is_signed = false;    ///< a holds int8
  void* out = nullptr;
  std::size_t out_stride = 0;  ///< in bytes
  /// Prepared value - given value, modulo 256; read by kernels that need a certificate, the others
  /// know it: operand_shift.
  std::int32_t shift = 0;
};
using prepare_fn = void (*)(const prepare_job&);

/// One panel width a kernel offers. mr is its natural row block: rows beyond it cost another pass
/// over the panel.
struct panel_format {
  std::size_t mr = 0, nr = 0;
  panel_fn multiply = nullptr;
};

/// An instruction set as data: the packing and the driver need nothing else.
struct kernel {
  const char* name = nullptr;
  isa needs = isa::baseline;
  operand a = operand::s8;
  std::size_t k_group = 1;
  prepare_fn prepare = nullptr;
  const panel_format* formats = nullptr;  ///< preferred first
  std::size_t format_count = 0;
  const int4_format* int4 = nullptr;  ///< for 4-bit weights in groups (int4.hpp)
  /// u8 operands of which it adds the products of k and k + 1 (k even) in 16 bits: right only for
  /// weights and activations that are proven to fit (gemm/overflow_certificate.hpp).
  bool needs_certificate = false;
  /// Faster on the same processor, for weights with that proof: a kernel that needs a certificate.
  const kernel* if_certified = nullptr;

  /// The preferred width, unless it pads an n-column matrix by more than a 24th beyond another: lower
  /// tiles cost more than that where m is small (8 rows in tiles of 6 are two of 4).
  [[nodiscard]] constexpr const panel_format& format_for(std::size_t n) const noexcept {
    const auto padded = [n](const panel_format& f) { return (n + f.nr - 1) / f.nr * f.nr; };
    const panel_format* best = formats;
    for (const panel_format* f = formats + 1; f < formats + format_count; ++f) {
      if (padded(*f) + padded(*f) / 24 < padded(*best)) best = f;
    }
    return *best;
  }
};

/// True when this processor and operating system can run the kernel.
[[nodiscard]] inline bool runs_here(const kernel& k) noexcept {
  return contains(cpu_features(), k.needs);
}

}  // namespace kernels
}  // namespace zeropoint::inline ZP_BASELINE
