// The specification is a template on the format: whole products with formats no processor has.
#include <zeropoint/kernels/scalar.hpp>

#include "support/product.hpp"

namespace zp = zeropoint;
namespace zk = zeropoint::kernels;

namespace {

template <std::size_t Nr, std::size_t Group, zk::operand A>
void check_format() {
  test::generator g(Nr * 31 + Group);
  for (const std::size_t n : {1u, 2u, 12u, 13u, 14u}) {
    for (const std::size_t k : {0u, 1u, 5u, 6u, 7u, 20u}) {
      INFO("panels of " << Nr << ", groups of " << Group << ", operand " << static_cast<int>(A)
                        << ": n = " << n << ", k = " << k);
      const test::codes<std::int8_t> a(3, k, test::pattern::random, g);
      const test::codes<std::uint8_t> u(3, k, test::pattern::random, g);
      const test::codes<std::int8_t> w(n, k, test::pattern::random, g);
      const auto packed = zp::pack(w.view(), zk::scalar::specification<Nr, Group, A>);
      const std::vector<std::int32_t> rows{7, 0, 127}, columns{-128};
      std::vector<std::int32_t> c(3 * n);
      const zp::matrix_view<std::int32_t> out(c.data(), 3, n);
      zp::gemm(a.view(), packed, out);
      REQUIRE(test::difference(test::reference(a.view(), w.view()), c, n) == "");
      zp::gemm(u.view(), packed, zp::zero_points{rows, columns}, out);
      REQUIRE(test::difference(test::reference(u.view(), w.view(), {rows, columns}), c, n) == "");
    }
  }
}

}  // namespace

TEST_CASE("the specification holds for any panel width, group and operand") {
  check_format<1, 1, zk::operand::s8>();
  check_format<1, 1, zk::operand::u8>();
  check_format<3, 2, zk::operand::s16>();
  check_format<5, 3, zk::operand::u8>();
  check_format<13, 7, zk::operand::s8>();
  check_format<64, 4, zk::operand::u8>();
  check_format<8, 8, zk::operand::s16>();
}
