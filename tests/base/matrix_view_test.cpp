#include <zeropoint/base/matrix_view.hpp>

#include "support/test.hpp"

#include <array>

namespace zp = zeropoint;

static_assert(std::is_convertible_v<zp::matrix_view<float>, zp::matrix_view<const float>>);
static_assert(!std::is_convertible_v<zp::matrix_view<const float>, zp::matrix_view<float>>);
static_assert(!std::is_convertible_v<zp::matrix_view<double>, zp::matrix_view<const float>>);

TEST_CASE("matrix_view: element (i, j) is data[i * stride + j]") {
  std::array<int, 12> x{};
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<int>(i);
  const zp::matrix_view<int> m(x.data(), 3, 2, 4);
  REQUIRE((m.rows() == 3 && m.cols() == 2 && m.stride() == 4 && m.size() == 6));
  REQUIRE_FALSE(m.empty());
  REQUIRE_FALSE(m.contiguous());
  for (std::size_t i = 0; i < 3; ++i) {
    for (std::size_t j = 0; j < 2; ++j) REQUIRE(m(i, j) == static_cast<int>(4 * i + j));
    REQUIRE(m.row(i).size() == 2);
    REQUIRE(m.row(i).data() == x.data() + 4 * i);
  }
  m(2, 1) = -1;
  REQUIRE(x[9] == -1);
  const zp::matrix_view<const int> lower = m.rows_from(1, 2);
  REQUIRE((lower.rows() == 2 && lower.stride() == 4 && lower(0, 0) == 4));
  REQUIRE(m.rows_from(3, 0).empty());
}

TEST_CASE("matrix_view: empty, contiguous and one-row views") {
  std::array<float, 6> x{};
  REQUIRE(zp::matrix_view<float>().empty());
  REQUIRE(zp::matrix_view<float>(nullptr, 0, 5).empty());
  REQUIRE(zp::matrix_view<float>(nullptr, 5, 0).size() == 0);
  REQUIRE(zp::matrix_view<float>(x.data(), 2, 3).contiguous());
  REQUIRE(zp::matrix_view<float>(x.data(), 1, 2, 6).contiguous());
}

TEST_CASE("matrix_view refuses a stride below its columns and null data, with both numbers") {
  std::array<float, 6> x{};
  REQUIRE_THROWS_WITH(zp::matrix_view<float>(x.data(), 2, 3, 2),
                      "matrix_view: stride 2 is smaller than 3 columns");
  REQUIRE_THROWS_WITH(zp::matrix_view<float>(nullptr, 2, 3), "matrix_view: null data for 2 x 3");
}

#if ZP_HAS_EIGEN
TEST_CASE("view of row-major Eigen objects copies nothing and keeps the stride") {
  using matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  matrix m(4, 5);
  for (Eigen::Index i = 0; i < m.size(); ++i) m.data()[i] = static_cast<float>(i);
  const zp::matrix_view<float> whole = zp::view(m);
  REQUIRE(
      (whole.data() == m.data() && whole.rows() == 4 && whole.cols() == 5 && whole.stride() == 5));
  const zp::matrix_view<const float> part = zp::view(m.block(1, 2, 3, 2));
  REQUIRE((part.rows() == 3 && part.cols() == 2 && part.stride() == 5));
  REQUIRE(part(2, 1) == m(3, 3));
  const Eigen::Map<const matrix> map(m.data(), 2, 10);
  REQUIRE(zp::view(map)(1, 9) == m(3, 4));
  const Eigen::Map<const matrix, 0, Eigen::Stride<Eigen::Dynamic, 2>> every_other(m.data(), 2, 2,
                                                                                  {5, 2});
  REQUIRE_THROWS_AS(zp::view(every_other), zp::error);
  whole(0, 0) = 7;
  REQUIRE(m(0, 0) == 7);
  REQUIRE(zp::view(matrix(0, 3)).empty());
}
#endif
