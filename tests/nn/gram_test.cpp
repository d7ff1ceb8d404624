// gram_matrix: exact sums, the same bits however the rows arrive, and nothing but finite rows.
#include <nn/weight_problem.hpp>

using test::matrix;
namespace zp = zeropoint;

namespace {

bool same_sums(const zp::gram_matrix& a, const zp::gram_matrix& b) {
  for (std::size_t i = 0; i < a.in(); ++i) {
    if (!std::equal(a.row(i), a.row(i) + i + 1, b.row(i))) return false;
    if (a.mean_magnitude(i) != b.mean_magnitude(i)) return false;
  }
  return a.in() == b.in() && a.rows() == b.rows() && a.skipped() == b.skipped();
}

}  // namespace

TEST_CASE("gram_matrix is the plain double sum in row order, bit for bit") {
  const auto seed = test::seed(161);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  for (const std::size_t in : {1u, 5u, 64u, 300u}) {
    for (const std::size_t rows : {1u, 3u, 128u, 131u}) {
      CAPTURE(in, rows);
      const matrix x = test::normal_matrix(g, rows, in);
      const zp::gram_matrix gram = test::gram_of(x);
      for (std::size_t i = 0; i < in; ++i) {
        double magnitude = 0;
        for (std::size_t k = 0; k < rows; ++k) magnitude += std::fabs(x(k, i));
        REQUIRE(gram.mean_magnitude(i) == magnitude / static_cast<double>(rows));
        for (std::size_t j = 0; j < in; ++j) {
          double sum = 0;
          for (std::size_t k = 0; k < rows; ++k) {
            sum += static_cast<double>(x(k, i)) * static_cast<double>(x(k, j));
          }
          REQUIRE(gram(i, j) == sum);
        }
      }
      zp::gram_matrix pieces(in), threaded(in);
      for (std::size_t k = 0; k < rows; k += 7) {
        pieces.observe(x.view().rows_from(k, std::min<std::size_t>(7, rows - k)));
      }
      threaded.observe(x.view(), test::threads{3});
      REQUIRE(same_sums(pieces, gram));
      REQUIRE(same_sums(threaded, gram));
    }
  }
}

TEST_CASE("gram_matrix merges, and whole numbers merge exactly") {
  test::generator g(162);
  matrix x(50, 9);
  for (float& v : x.values) v = static_cast<float>(static_cast<int>(g() % 201) - 100);
  const zp::gram_matrix all = test::gram_of(x);
  zp::gram_matrix first(9), second(9);
  first.observe(x.view().rows_from(0, 17));
  second.observe(x.view().rows_from(17, 33));
  second.merge(first);
  second.merge(zp::gram_matrix(9));
  REQUIRE(same_sums(second, all));
  REQUIRE(
      test::contains(test::error_of([&] { second.merge(zp::gram_matrix(8)); }), "8 inputs into 9"));
}

TEST_CASE("gram_matrix skips and counts rows that are not finite") {
  matrix x(4, 3, 2.0f);
  x(0, 1) = std::numeric_limits<float>::quiet_NaN();
  x(2, 2) = -std::numeric_limits<float>::infinity();
  x(3, 0) = 1e38f;
  const zp::gram_matrix g = test::gram_of(x);
  REQUIRE((g.rows() == 2 && g.skipped() == 2));
  REQUIRE(g(1, 2) == 8);
  REQUIRE(g(0, 0) == 4 + static_cast<double>(1e38f) * static_cast<double>(1e38f));

  matrix tiny(1, 2, 0.0f);
  tiny(0, 0) = std::numeric_limits<float>::denorm_min();
  REQUIRE(test::gram_of(tiny)(0, 0) == 0x1p-298);
  REQUIRE((!test::gram_of(tiny).is_dead(0) && test::gram_of(tiny).is_dead(1)));
  REQUIRE(test::gram_of(matrix(0, 3)).rows() == 0);
  REQUIRE(zp::gram_matrix(3).mean_magnitude(1) == 0);
  zp::gram_matrix none(0);
  none.observe(matrix(2, 0).view());
  REQUIRE(none.rows() == 2);
  zp::gram_matrix three(3);
  REQUIRE(test::contains(test::error_of([&] { three.observe(matrix(1, 4).view()); }),
                         "x has 4 columns, expected 3"));
}

TEST_CASE("output_errors is the error of the outputs, summed over samples") {
  const auto seed = test::seed(163);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  for (const std::size_t in : {1u, 63u, 64u, 65u, 300u}) {
    const matrix x = test::correlated_matrix(g, 40, in), w = test::normal_matrix(g, 35, in);
    const zp::gram_matrix gram = test::gram_of(x);
    const auto q =
        zp::quantize<std::int8_t>(zp::linear_weight{w.view()}, zp::per_group{32},
                                  zp::affine.with_bits(3), zp::serial{}, zp::no_statistics);
    const auto errors = zp::output_errors(zp::linear_weight{w.view()}, q, gram);
    REQUIRE(errors == zp::output_errors(zp::linear_weight{w.view()}, q, gram, test::backwards{}));
    const auto values = test::values_of(q);
    for (std::size_t j = 0; j < w.rows; ++j) {
      matrix row(1, in);
      std::vector<double> value(values.begin() + static_cast<std::ptrdiff_t>(j * in),
                                values.begin() + static_cast<std::ptrdiff_t>((j + 1) * in));
      for (std::size_t k = 0; k < in; ++k) row(0, k) = w(j, k);
      REQUIRE(errors[j] == Approx(test::output_error(x, row, value)).epsilon(1e-10));
    }
  }
}
