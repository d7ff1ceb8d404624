// The same bits from any executor: serial, teams and OpenMP with 1 to 4 threads, and one that runs the
// tasks backwards.
#include <zeropoint/base/thread_team.hpp>
#include <zeropoint/gemm/gemm.hpp>

#include "support/executors.hpp"
#include "support/product.hpp"

namespace zp = zeropoint;

namespace {

template <class A, class Executor>
std::vector<float> product(const test::codes<A>& a, const test::codes<std::int8_t>& w,
                           const zp::packed_weights& packed, const Executor& ex) {
  std::vector<float> row_scales(a.rows), column_scales(w.rows), bias(w.rows), y(a.rows * w.rows);
  std::vector<std::int32_t> row_zeros(a.rows), column_zeros(w.rows);
  for (std::size_t i = 0; i < a.rows; ++i) row_scales[i] = 1.0f / static_cast<float>(i + 3);
  for (std::size_t j = 0; j < w.rows; ++j) column_scales[j] = 1.0f / static_cast<float>(j + 7);
  for (std::size_t j = 0; j < w.rows; ++j) bias[j] = static_cast<float>(j) * 0.1f;
  for (std::size_t i = 0; i < a.rows; ++i) row_zeros[i] = static_cast<std::int32_t>(i % 128);
  for (std::size_t j = 0; j < w.rows; ++j) column_zeros[j] = -static_cast<std::int32_t>(j % 128);
  zp::gemm(a.view(), packed,
           zp::dequantization{row_scales, column_scales, bias, row_zeros, column_zeros},
           zp::matrix_view<float>(y.data(), a.rows, w.rows), ex);
  return y;
}

}  // namespace

TEMPLATE_TEST_CASE("every executor gives the same bits", "", std::int8_t, std::uint8_t) {
  const auto seed = test::seed(23);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  for (const auto& [m, k, n] : {std::array<std::size_t, 3>{1, 100, 500},
                                {3, 64, 20},
                                {200, 513, 40},
                                {700, 1030, 33},
                                {33, 768, 768}}) {
    const test::codes<TestType> a(m, k, test::pattern::random, g);
    const test::codes<std::int8_t> w(n, k, test::pattern::random, g);
    for (const auto* kernel : test::kernels_here()) {
      INFO(kernel->name << ' ' << m << " x " << k << " x " << n);
      const auto packed = zp::pack(w.view(), *kernel);
      const auto expected = product(a, w, packed, zp::serial{});
      REQUIRE((product(a, w, packed, test::backwards{4}) == expected));
      for (const std::size_t threads : {1u, 2u, 3u, 4u}) {
        REQUIRE((product(a, w, packed, zp::thread_team(threads)) == expected));
      }
#if defined(_OPENMP)
      for (const int threads : {1, 2, 3, 4}) {
        REQUIRE((product(a, w, packed, zp::openmp(threads)) == expected));
      }
#endif
    }
  }
}
