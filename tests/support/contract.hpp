// The contract of kernels/kernel.hpp, checked on one kernel by direct calls: the bits of the
// specification, nothing read or written outside what the job names (each array ends, or begins, at
// an inaccessible page).
#pragma once

#include "support/guarded.hpp"
#include "support/product.hpp"

namespace test {

namespace zk = zeropoint::kernels;

/// The contract of kernel.hpp in int64, on prepared rows.
inline std::int64_t prepared(const zk::kernel& kernel, const std::byte* row, std::size_t k) {
  switch (kernel.a) {
    case zk::operand::u8:
      return reinterpret_cast<const std::uint8_t*>(row)[k];
    case zk::operand::s8:
      return reinterpret_cast<const std::int8_t*>(row)[k];
    case zk::operand::s16:
      break;
  }
  std::int16_t value;
  std::memcpy(&value, row + 2 * k, 2);
  return value;
}

inline std::int32_t wrapped(std::int64_t x) {
  return static_cast<std::int32_t>(static_cast<std::uint32_t>(x));
}

inline void check_panel(const zk::kernel& kernel, const zk::panel_format& format, std::size_t m,
                        std::size_t n, std::size_t groups, bool front, bool terms, generator& g) {
  const std::size_t nr = format.nr, k = groups * kernel.k_group;
  const std::size_t row_bytes = k * zk::operand_bytes(kernel.a), stride = n + 3;
  const guarded<std::byte> a(m * row_bytes, front);
  const guarded<std::int8_t> b(k * nr, front);
  const guarded<std::int32_t> sums(nr, front), column(nr, front), row(m, front);
  const guarded<std::int32_t> c((m - 1) * stride + n, front);
  const std::size_t step = (m + groups) % 2;  // a scale per row, or one
  const guarded<float> y((m - 1) * stride + n, front), row_scale(step == 0 ? 1 : m, front);
  const guarded<float> column_scale(nr, front), bias(nr, front);
  for (std::size_t i = 0; i < m * row_bytes; ++i) a[i] = static_cast<std::byte>(g());
  if (kernel.a == zk::operand::s16) {  // codes are 9 bits at most
    for (std::size_t i = 1; i < m * row_bytes; i += 2)
      a[i] = a[i - 1] < std::byte{128} ? std::byte{0} : std::byte{0xff};
  }
  for (std::size_t i = 0; i < k * nr; ++i) {
    b[i] = static_cast<std::int8_t>(g());
    if (kernel.needs_certificate) b[i] = static_cast<std::int8_t>(b[i] / 2);  // pairs fit 16 bits
  }
  for (std::size_t j = 0; j < nr; ++j) {
    sums[j] = static_cast<std::int32_t>(g());
    column[j] = static_cast<std::int32_t>(g());
    column_scale[j] = normal(g);
    bias[j] = normal(g);
  }
  for (std::size_t i = 0; i < m; ++i) {
    row[i] = static_cast<std::int32_t>(g());
    row_scale[i * step] = normal(g);
  }
  zk::panel_job job;
  job.m = m, job.n = n, job.k = k, job.a = a.data(), job.a_stride = row_bytes, job.b = b.data();
  job.sums = sums.data(), job.factor = static_cast<std::int32_t>(g()), job.stride = stride;
  if (terms) job.term[0] = {row.data(), column.data()}, job.term[1] = {row.data(), sums.data()};
  job.c = c.data();
  job.next = b.data();  // what a kernel fetches ahead changes nothing
  format.multiply(job);
  job.c = nullptr, job.y = y.data(), job.next = nullptr;
  job.row_scale = row_scale.data(), job.row_scale_step = step;
  job.column_scale = column_scale.data(), job.bias = bias.data();
  format.multiply(job);

  std::int32_t untouched;
  std::memset(&untouched, 0xA5, sizeof untouched);
  for (std::size_t i = 0; i < m; ++i) {
    for (std::size_t j = 0; j < (i + 1 < m ? stride : n); ++j) {
      if (j >= n) {
        REQUIRE(c[i * stride + j] == untouched);
        REQUIRE(std::bit_cast<std::int32_t>(y[i * stride + j]) == untouched);
        continue;
      }
      std::int64_t sum = wrapped(std::int64_t{job.factor} * sums[j]);
      for (std::size_t q = 0; q < k; ++q) {
        sum += prepared(kernel, a.data() + i * row_bytes, q) *
               b[(q / kernel.k_group * nr + j) * kernel.k_group + q % kernel.k_group];
      }
      if (terms) sum = wrapped(sum) + std::int64_t{wrapped(std::int64_t{row[i]} * column[j])};
      if (terms) sum = wrapped(sum) + std::int64_t{wrapped(std::int64_t{row[i]} * sums[j])};
      const float expected = std::fma(static_cast<float>(wrapped(sum)),
                                      row_scale[i * step] * column_scale[j], bias[j]);
      REQUIRE(c[i * stride + j] == wrapped(sum));
      REQUIRE(std::bit_cast<std::uint32_t>(y[i * stride + j]) ==
              std::bit_cast<std::uint32_t>(expected));
    }
  }
}

/// Every width and height of the kernel's tiles, K from nothing to several groups.
inline void check_panels(const zk::kernel& kernel, generator& g) {
  for (std::size_t f = 0; f < kernel.format_count; ++f) {
    const auto& format = kernel.formats[f];
    for (std::size_t m = 1; m <= 2 * format.mr + 1; ++m) {
      for (const std::size_t n :
           {std::size_t{1}, format.nr / 2, format.nr / 2 + 1, format.nr - 1, format.nr}) {
        for (const std::size_t groups : {0u, 1u, 2u, 3u, 4u, 5u, 9u}) {
          INFO(kernel.name << " nr " << format.nr << ": " << m << " x " << groups << " groups x "
                           << n);
          check_panel(kernel, format, m, n, groups, (m + n) % 2 == 0, groups % 2 == 0, g);
        }
      }
    }
  }
}

/// Prepared rows are the given ones, shifted where the signs differ.
inline void check_preparing(const zk::kernel& kernel, generator& g) {
  for (const bool is_signed : {false, true}) {
    for (const std::size_t k : {0u, 1u, 3u, 4u, 15u, 16u, 61u, 63u, 64u, 65u, 127u, 200u}) {
      for (const std::size_t m : {1u, 3u}) {
        for (const bool front : {false, true}) {
          INFO(kernel.name << ' ' << m << " x " << k << " signed " << is_signed);
          const std::size_t padded = (k + kernel.k_group - 1) / kernel.k_group * kernel.k_group;
          const std::size_t row_bytes = padded * zk::operand_bytes(kernel.a), stride = k + 5;
          const guarded<std::uint8_t> a((m - 1) * stride + k, front);
          const guarded<std::byte> out(m * row_bytes, front);
          for (std::size_t i = 0; i < (m - 1) * stride + k; ++i) {
            a[i] = static_cast<std::uint8_t>(g());
          }
          zk::prepare_job job;
          job.m = m, job.k = k, job.padded_k = padded, job.a = a.data(), job.a_stride = stride;
          job.is_signed = is_signed, job.out = out.data(), job.out_stride = row_bytes;
          const std::int32_t shift = zk::operand_shift(kernel.a, is_signed);
          job.shift = shift;
          kernel.prepare(job);
          for (std::size_t i = 0; i < m; ++i) {
            for (std::size_t q = 0; q < k; ++q) {
              const std::uint8_t code = a[i * stride + q];
              const std::int64_t given = is_signed ? static_cast<std::int8_t>(code) : code;
              REQUIRE(prepared(kernel, out.data() + i * row_bytes, q) == given + shift);
            }
          }
        }
      }
    }
  }
}

}  // namespace test
