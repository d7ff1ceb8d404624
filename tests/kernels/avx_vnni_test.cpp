// The tile of AVX-VNNI, run in its own encoding where the processor has it (kernel_test, gemm_test)
// and here in that of AVX-512, which more machines have: the same page of code.
#include <zeropoint/kernels/avx_vnni.hpp>

#include "support/contract.hpp"
#include "support/ymm_evex.hpp"

#if ZP_X86
namespace zp = zeropoint;
namespace zk = zeropoint::kernels;

namespace {

template <class A>
std::string product(const test::codes<A>& a, const test::codes<std::int8_t>& w,
                    const zp::zero_points& zeros = {}) {
  std::vector<std::int32_t> c(a.rows * w.rows, 0x5A5A5A5A);
  zp::gemm(a.view(), zp::pack(w.view(), zk::ymm_evex::table), zeros,
           zp::matrix_view<std::int32_t>(c.data(), a.rows, w.rows));
  return test::difference(test::reference(a.view(), w.view(), zeros), c, w.rows);
}

bool runs() {
  if (zk::runs_here(zk::ymm_evex::table)) return true;
  WARN("this processor has no AVX512-VNNI: the page was compiled, not run");
  return false;
}

}  // namespace

TEST_CASE("the page of AVX-VNNI keeps the contract") {
  if (!runs()) return;
  const auto seed = test::seed(37);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  test::check_panels(zk::ymm_evex::table, g);
  test::check_preparing(zk::ymm_evex::table, g);
}

TEMPLATE_TEST_CASE("gemm by the page of AVX-VNNI equals 64-bit sums", "", std::int8_t,
                   std::uint8_t) {
  if (!runs()) return;
  test::generator g(41);
  for (const auto pattern : test::patterns) {
    for (const std::size_t m : {1u, 2u, 5u, 6u, 7u, 13u}) {
      for (const std::size_t n : {1u, 15u, 16u, 17u, 48u}) {
        for (const std::size_t k : {0u, 1u, 4u, 15u, 16u, 17u, 31u, 67u, 768u}) {
          const test::codes<TestType> a(m, k, pattern, g);
          const test::codes<std::int8_t> w(n, k, pattern, g);
          INFO(m << " x " << k << " x " << n);
          REQUIRE(product(a, w) == "");
          const std::vector<std::int32_t> rows(m, 100), columns(n, -128);
          REQUIRE(product(a, w, {.rows = rows, .columns = columns}) == "");
        }
      }
    }
  }
}

TEST_CASE("the table of AVX-VNNI asks for it and stands between AVX-512 and AVX2") {
  std::vector<std::string> names;
  for (const auto* kernel : zk::all()) {
    names.push_back(kernel->name);
    if (names.back() != "avx_vnni") continue;
    REQUIRE(zp::contains(kernel->needs, zp::isa::avx_vnni | zp::isa::avx2_fma));
    REQUIRE(zk::runs_here(*kernel) == zp::contains(zp::cpu_features(), kernel->needs));
  }
  REQUIRE(names == std::vector<std::string>{"avx512_vnni", "avx_vnni", "avx2", "sse41", "scalar"});
}
#endif
