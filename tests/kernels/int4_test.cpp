// Every kernel's tile for 4-bit weights under its contract, called directly: the bits of the formula
// in kernels/int4.hpp, nothing read or written outside what the job names.
#include <zeropoint/base/float16.hpp>
#include <zeropoint/kernels/kernel.hpp>

#include "support/guarded.hpp"
#include "support/product.hpp"

namespace zp = zeropoint;
namespace zk = zeropoint::kernels;

namespace {

struct shape {
  std::size_t m, n, groups, group;
};

/// One group of one column, read back as the contract draws it.
struct column_group {
  const std::uint8_t* bytes;
  std::size_t nr, j;
  zk::int4_layout layout;

  float scale() const {
    float full;
    zp::float16 half;
    std::memcpy(&full, bytes + 4 * j, layout.half_scales ? 0 : 4);
    std::memcpy(&half, bytes + 2 * j, layout.half_scales ? 2 : 0);
    return layout.half_scales ? zp::to_float(half) : full;
  }
  std::size_t scale_bytes() const { return nr * (layout.half_scales ? 2 : 4); }
  std::int64_t zero() const { return layout.zeros ? bytes[scale_bytes() + j] : 8; }
  std::int64_t weight(std::size_t k) const {
    const std::uint8_t* nibbles = bytes + scale_bytes() + (layout.zeros ? nr : 0);
    const unsigned byte = nibbles[(k / 8 * nr + j) * 4 + k % 4];
    return k % 8 < 4 ? byte & 15u : byte >> 4;
  }
};

void fill_panel(const test::guarded<std::uint8_t>& b, const shape& s, std::size_t nr,
                zk::int4_layout layout, bool extreme, test::generator& g) {
  const std::size_t bytes = layout.group_bytes(nr, s.group);
  for (std::size_t i = 0; i < s.groups * bytes; ++i) {
    b[i] = extreme ? std::uint8_t{0xff} : static_cast<std::uint8_t>(g());
  }
  for (std::size_t q = 0; q < s.groups; ++q) {
    std::uint8_t* at = b.data() + q * bytes;
    for (std::size_t j = 0; j < nr; ++j) {
      const float scale = test::uniform(g, 0.001f, 0.1f);
      const zp::float16 half = zp::to_float16(scale);
      if (layout.half_scales) std::memcpy(at + 2 * j, &half, 2);
      if (!layout.half_scales) std::memcpy(at + 4 * j, &scale, 4);
      if (layout.zeros) at[nr * (layout.half_scales ? 2 : 4) + j] = g() % 16;
    }
  }
}

void check_panel(const zk::kernel& kernel, const shape& s, zk::int4_layout layout, bool front,
                 bool extreme, test::generator& g) {
  const std::size_t nr = kernel.int4->nr, k = s.groups * s.group, stride = s.n + 3;
  const test::guarded<std::int8_t> a(s.m * k, front);
  const test::guarded<std::int32_t> minus_sums(s.m * s.groups, front);
  const test::guarded<std::uint8_t> b(s.groups * layout.group_bytes(nr, s.group), front);
  const std::size_t step = (s.m + s.groups) % 2;  // a scale per row, or one
  const test::guarded<float> y((s.m - 1) * stride + s.n, front);
  const test::guarded<float> row_scale(step == 0 ? 1 : s.m, front), bias(nr, front);
  fill_panel(b, s, nr, layout, extreme, g);
  for (std::size_t i = 0; i < s.m * k; ++i) {
    a[i] = extreme ? std::int8_t{-128} : static_cast<std::int8_t>(g());
  }
  for (std::size_t i = 0; i < s.m * s.groups; ++i) {
    std::int32_t sum = 0;
    for (std::size_t q = 0; q < s.group; ++q) sum += a[i * s.group + q];
    minus_sums[i] = -sum;
  }
  for (std::size_t i = 0; i < s.m; ++i) row_scale[i * step] = test::normal(g);
  for (std::size_t j = 0; j < nr; ++j) bias[j] = test::normal(g);
  zk::int4_job job;
  job.m = s.m, job.n = s.n, job.groups = s.groups, job.group = s.group;
  job.a = a.data(), job.a_stride = k, job.minus_sums = minus_sums.data(), job.b = b.data();
  job.next = g() % 2 == 0 ? b.data() : nullptr, job.y = y.data(), job.stride = stride;
  job.row_scale = row_scale.data(), job.row_scale_step = step, job.bias = bias.data();
  kernel.int4->of(layout)(job);

  std::int32_t untouched;
  std::memset(&untouched, 0xA5, sizeof untouched);
  for (std::size_t i = 0; i < s.m; ++i) {
    for (std::size_t j = 0; j < (i + 1 < s.m ? stride : s.n); ++j) {
      const auto bits = std::bit_cast<std::int32_t>(y[i * stride + j]);
      if (j >= s.n) {
        REQUIRE(bits == untouched);
        continue;
      }
      float total = 0;
      for (std::size_t q = 0; q < s.groups; ++q) {
        const column_group w{b.data() + q * layout.group_bytes(nr, s.group), nr, j, layout};
        std::int64_t sum = 0;
        for (std::size_t p = 0; p < s.group; ++p) {
          sum += a[i * k + q * s.group + p] * (w.weight(p) - w.zero());
        }
        total = std::fma(static_cast<float>(sum), w.scale(), total);
      }
      REQUIRE(bits == std::bit_cast<std::int32_t>(std::fma(total, row_scale[i * step], bias[j])));
    }
  }
}

}  // namespace

TEST_CASE("every kernel keeps the contract of 4-bit weights and touches nothing outside") {
  const auto seed = test::seed(37);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  for (const auto* kernel : test::kernels_and_twins()) {
    REQUIRE(kernel->int4 != nullptr);
    const std::size_t mr = kernel->int4->mr, nr = kernel->int4->nr;
    for (std::size_t m = 1; m <= 2 * mr + 1; ++m) {
      for (const std::size_t n : {std::size_t{1}, nr / 2, nr / 2 + 1, nr - 1, nr}) {
        for (const std::size_t groups : {0u, 1u, 3u}) {
          for (const std::size_t group : {32u, 64u, 128u, 160u}) {
            for (const unsigned layout : {0u, 1u, 2u, 3u}) {
              INFO(kernel->name << ": " << m << " x " << groups << " groups of " << group << " x "
                                << n << ", layout " << layout);
              check_panel(*kernel, {m, n, groups, group}, {(layout & 1) != 0, (layout & 2) != 0},
                          (m + n) % 2 == 0, groups == 3 && group == 64, g);
            }
          }
        }
      }
    }
  }
}
