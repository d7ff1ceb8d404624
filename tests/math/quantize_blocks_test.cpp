// The walk over a matrix: every block against its definition, any executor, statistics or none, and
// a weight against its transpose.
#include <zeropoint/math/quantize.hpp>

#include "math/reference.hpp"

namespace zp = zeropoint;
using view = zp::matrix_view<const float>;
using test::backwards;
using test::nasty_matrix;

namespace {

/// The params of a list of values, from the definition.
zp::params plain_fit(const std::vector<float>& x, const zp::scheme& s) {
  zp::value_range r;
  for (float v : x) {
    if (!std::isfinite(v)) continue;
    r.min = std::fmin(r.min, v);
    r.max = std::fmax(r.max, v);
  }
  return zp::fit(r, s);
}

/// Every block of q against the definition: params, codes and statistics.
template <class T>
bool is_right(view x, const zp::quantized_matrix<T>& q,
              const std::vector<zp::quantization_statistics>& damage, const zp::scheme& s) {
  const zp::block_shape block = q.block();
  std::size_t b = 0;
  for (std::size_t i = 0; i < x.rows(); i += block.rows) {
    for (std::size_t j = 0; j < x.cols(); j += block.cols, ++b) {
      std::vector<float> values;
      const std::size_t i_end = std::min(i + block.rows, x.rows());
      const std::size_t j_end = std::min(j + block.cols, x.cols());
      for (std::size_t r = i; r < i_end; ++r) {
        for (std::size_t c = j; c < j_end; ++c) values.push_back(x(r, c));
      }
      const zp::params p = plain_fit(values, s);
      test::naive_statistics naive;
      for (float v : values) naive.add(v, p);
      for (std::size_t r = i; r < i_end; ++r) {
        for (std::size_t c = j; c < j_end; ++c) {
          if (q.params_at(r, c) != p || q.values()(r, c) != test::code(x(r, c), p)) return false;
        }
      }
      if (q.table()[b] != p || !naive.agrees(damage[b])) return false;
    }
  }
  return b == damage.size();
}

template <class T, class Source, class Granularity>
void check(const Source& source, Granularity granularity, const zp::scheme& s) {
  const view x = zp::detail::values_of(source);
  const zp::scheme stored = std::is_unsigned_v<T> ? s.as_unsigned() : s;
  const auto [q, damage] =
      zp::quantize<T>(source, granularity, s, zp::serial{}, zp::block_statistics);
  REQUIRE(is_right(x, q, damage, stored));
  const auto [q2, total] = zp::quantize<T>(source, granularity, s, backwards{});
  REQUIRE(q2.table() == q.table());
  REQUIRE(total == zp::total(damage));
  const auto q3 = zp::quantize<T>(source, granularity, s, backwards{}, zp::no_statistics);
  const auto [q4, counts] = zp::quantize<T>(source, granularity, s, zp::serial{}, zp::counts_only);
  REQUIRE(counts.count == total.count);
  REQUIRE(counts.clipped() == total.clipped());
  for (std::size_t i = 0; i < x.rows(); ++i) {
    for (std::size_t j = 0; j < x.cols(); ++j) {
      const T code = q.values()(i, j);
      if (q2.values()(i, j) != code || q3.values()(i, j) != code || q4.values()(i, j) != code) {
        FAIL("code (" << i << ", " << j << ") depends on the executor or the statistics");
      }
    }
  }
}

const std::vector<zp::scheme> schemes{zp::symmetric, zp::symmetric_full, zp::affine,
                                      zp::symmetric.with_bits(4), zp::affine.with_bits(3)};

}  // namespace

TEST_CASE("every granularity is its blocks one by one") {
  test::generator g(test::seed(51));
  INFO(test::seed_text(test::seed(51)));
  for (const auto& [rows, cols] : std::vector<std::pair<std::size_t, std::size_t>>{
           {1, 1}, {1, 70}, {70, 1}, {3, 5}, {17, 33}, {65, 130}, {130, 65}}) {
    const nasty_matrix m(g, rows, cols, 6);
    const zp::linear_weight linear{m.get()};
    const zp::conv1d_weight conv{m.get()};
    for (const zp::scheme& s : schemes) {
      check<std::int8_t>(m.get(), zp::per_tensor, s);
      check<std::int8_t>(m.get(), zp::per_row, s);
      check<std::int8_t>(m.get(), zp::per_column, s);
      check<std::uint8_t>(m.get(), zp::per_tensor, s);
      check<std::uint8_t>(conv, zp::per_column, s);
      check<std::int8_t>(linear, zp::per_output_channel, s);
      check<std::int8_t>(conv, zp::per_output_channel, s);
      for (const std::size_t group : {1u, 7u, 32u, 64u, 1000u}) {
        check<std::int8_t>(linear, zp::per_group{group}, s);
        check<std::int8_t>(conv, zp::per_group{group}, s);
      }
      check<std::uint8_t>(linear, zp::per_group{32}, s);
    }
  }
}

TEST_CASE("a conv1d_weight is its transpose as a linear_weight, statistics included") {
  test::generator g(test::seed(52));
  INFO(test::seed_text(test::seed(52)));
  const nasty_matrix m(g, 150, 77, 20), t = m.transposed();
  const auto same = [&](auto granularity, const zp::scheme& s) {
    const auto [a, damage_a] = zp::quantize<std::int8_t>(zp::linear_weight{m.get()}, granularity, s,
                                                         zp::serial{}, zp::block_statistics);
    const auto [b, damage_b] = zp::quantize<std::int8_t>(zp::conv1d_weight{t.get()}, granularity, s,
                                                         zp::serial{}, zp::block_statistics);
    for (std::size_t i = 0; i < m.rows; ++i) {
      for (std::size_t j = 0; j < m.cols; ++j) {
        if (a.values()(i, j) != b.values()(j, i) || a.params_at(i, j) != b.params_at(j, i))
          return false;
        if (!(damage_a[a.table().index(i, j)] == damage_b[b.table().index(j, i)])) return false;
      }
    }
    return true;
  };
  for (const zp::scheme& s : schemes) {
    REQUIRE(same(zp::per_output_channel, s));
    REQUIRE(same(zp::per_group{32}, s));
    REQUIRE(same(zp::per_group{70}, s));
  }
}

#if defined(_OPENMP)
TEST_CASE("threads change nothing, not even the last bit of an energy") {
  test::generator g(test::seed(55));
  INFO(test::seed_text(test::seed(55)));
  const nasty_matrix m(g, 300, 500, 40);
  const auto same = [&](const auto& source, auto granularity) {
    const auto one = zp::quantize<std::int8_t>(source, granularity, zp::affine);
    for (const int threads : {2, 3, 7}) {
      const auto many =
          zp::quantize<std::int8_t>(source, granularity, zp::affine, zp::openmp(threads));
      if (!(one.statistics == many.statistics && one.matrix.table() == many.matrix.table()))
        return false;
      if (!std::equal(one.matrix.values().data(), one.matrix.values().data() + 150000,
                      many.matrix.values().data()))
        return false;
    }
    return true;
  };
  REQUIRE(same(m.get(), zp::per_tensor));
  REQUIRE(same(m.get(), zp::per_row));
  REQUIRE(same(m.get(), zp::per_column));
  REQUIRE(same(zp::conv1d_weight{m.get()}, zp::per_group{64}));
}
#endif
