// Whole matrices: every granularity against one block at a time, any executor, static params, and
// what must not compile.
#include <zeropoint/math/quantize.hpp>

#include "math/reference.hpp"

namespace zp = zeropoint;
using view = zp::matrix_view<const float>;

// A bare matrix has no output channel and no K; a weight has both.
static_assert(!zp::quantizable<view, zp::per_output_channel_t>);
static_assert(!zp::quantizable<zp::matrix_view<float>, zp::per_output_channel_t>);
static_assert(!zp::quantizable<view, zp::per_group>);
static_assert(zp::quantizable<view, zp::per_tensor_t>);
static_assert(zp::quantizable<view, zp::per_channel_t<zp::axis::columns>>);
static_assert(zp::quantizable<zp::linear_weight, zp::per_output_channel_t>);
static_assert(zp::quantizable<zp::conv1d_weight, zp::per_output_channel_t>);
static_assert(zp::quantizable<zp::conv1d_weight, zp::per_group>);

template <class Source>
concept quantizes_per_output_channel = requires(const Source& source) {
  zp::quantize<std::int8_t>(source, zp::per_output_channel, zp::symmetric);
};
static_assert(!quantizes_per_output_channel<view>);
static_assert(quantizes_per_output_channel<zp::linear_weight>);

namespace {

/// Tasks in reverse order, to show that order does not matter.
struct backwards {
  [[nodiscard]] std::size_t concurrency() const { return 3; }
  template <class F>
  void operator()(std::size_t count, F&& f) const {
    for (std::size_t i = count; i-- > 0;) f(i);
  }
};

struct matrix {
  std::size_t rows, cols, stride;
  std::vector<float> values;
  matrix(test::generator& g, std::size_t r, std::size_t c, unsigned rarity)
      : rows(r), cols(c), stride(c + g() % 5), values(test::nasty(g, r * stride, 0.5f, rarity)) {}
  [[nodiscard]] view get() const { return {values.data(), rows, cols, stride}; }
  [[nodiscard]] matrix transposed() const {
    matrix t = *this;
    t.rows = cols;
    t.cols = rows;
    t.stride = rows;
    t.values.assign(rows * cols, 0);
    for (std::size_t i = 0; i < rows; ++i) {
      for (std::size_t j = 0; j < cols; ++j) t.values[j * rows + i] = get()(i, j);
    }
    return t;
  }
};

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
    const matrix m(g, rows, cols, 6);
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
  const matrix m(g, 150, 77, 20), t = m.transposed();
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

TEST_CASE("matrices without a row, a column or a number") {
  const view none;
  const auto [q, damage] = zp::quantize<std::int8_t>(none, zp::per_tensor, zp::symmetric);
  REQUIRE(q.bytes() == 0);
  REQUIRE(damage == zp::quantization_statistics{});
  const std::vector<float> x(12, std::numeric_limits<float>::quiet_NaN());
  REQUIRE(zp::quantize<std::int8_t>(view(x.data(), 0, 4), zp::per_row, zp::affine)
              .matrix.scales()
              .empty());
  REQUIRE(zp::quantize<std::int8_t>(zp::linear_weight{view(x.data(), 3, 0)}, zp::per_group{8},
                                    zp::affine)
              .matrix.scales()
              .empty());
  for (const zp::scheme& s : schemes) {
    const auto [nothing, lost] = zp::quantize<std::int8_t>(view(x.data(), 3, 4), zp::per_row, s);
    REQUIRE(lost.nan == 12);
    for (std::size_t i = 0; i < 3; ++i) {
      REQUIRE(nothing.params_at(i, 0).scale == 1);
      REQUIRE(nothing.values()(i, 0) == nothing.params_at(i, 0).zero_point);
    }
  }
}

TEST_CASE("static params: one, or a table") {
  test::generator g(test::seed(53));
  INFO(test::seed_text(test::seed(53)));
  const matrix m(g, 40, 90, 8);
  const view x = m.get();
  for (const zp::params& p : {zp::fit({-10, 10}, zp::symmetric), zp::fit({-3, 10}, zp::affine),
                              zp::fit({-1, 1}, zp::symmetric.with_bits(4))}) {
    const auto [q, damage] = zp::quantize<std::int8_t>(x, p, backwards{});
    test::naive_statistics naive;
    for (std::size_t i = 0; i < x.rows(); ++i) {
      for (std::size_t j = 0; j < x.cols(); ++j) {
        naive.add(x(i, j), p);
        if (q.values()(i, j) != test::code(x(i, j), p)) FAIL("code (" << i << ", " << j << ")");
      }
    }
    REQUIRE(naive.agrees(damage));
    REQUIRE(q.params_at(39, 89) == p);
    REQUIRE(q.block() == zp::block_shape{40, 90});

    std::vector<std::int8_t> codes(x.size());
    const zp::range_counts counts =
        zp::quantize_into(x, p, zp::matrix_view<std::int8_t>(codes.data(), 40, 90), backwards{});
    REQUIRE(counts == zp::range_counts{damage.count, damage.clipped_low, damage.clipped_high,
                                       damage.nan, damage.infinite});
    REQUIRE(std::equal(codes.begin(), codes.end(), q.values().data()));
  }
  const auto fitted =
      zp::quantize<std::uint8_t>(x, zp::per_column, zp::affine, zp::serial{}, zp::no_statistics);
  const auto again = zp::quantize<std::uint8_t>(x, fitted.table(), zp::serial{}, zp::no_statistics);
  REQUIRE(
      std::equal(fitted.values().data(), fitted.values().data() + x.size(), again.values().data()));
  REQUIRE_THROWS_AS(zp::quantize<std::uint8_t>(x.rows_from(0, 39), fitted.table()), zp::error);
  REQUIRE_THROWS_AS(zp::quantize<std::int8_t>(x, fitted.table()), zp::error);
  REQUIRE_THROWS_AS(zp::quantize<std::int8_t>(x, zp::params{1, 0, -100, 100}), zp::error);
  REQUIRE_THROWS_AS(zp::quantize<std::int8_t>(x, zp::params{1, 128, 0, 255}), zp::error);
  REQUIRE_THROWS_AS(zp::quantize<std::int8_t>(x, zp::params{0, 0, -127, 127}), zp::error);
}

TEST_CASE("quantize_into is quantize without the matrix; a token does not see its batch mates") {
  test::generator g(test::seed(54));
  INFO(test::seed_text(test::seed(54)));
  const matrix m(g, 9, 200, 30);
  const view x = m.get();
  std::vector<std::uint8_t> codes(x.size()), one(x.cols());
  std::vector<float> scales(9), scale(1);
  std::vector<std::int32_t> zeros(9), zero(1);
  zp::quantize_into(x, zp::per_token, zp::affine,
                    zp::matrix_view<std::uint8_t>(codes.data(), 9, 200), std::span(scales),
                    std::span(zeros), backwards{});
  const auto [q, damage] = zp::quantize<std::uint8_t>(x, zp::per_token, zp::affine);
  REQUIRE(std::equal(codes.begin(), codes.end(), q.values().data()));
  REQUIRE(std::equal(scales.begin(), scales.end(), q.scales().begin()));
  REQUIRE(std::equal(zeros.begin(), zeros.end(), q.zero_points().begin()));
  for (std::size_t i = 0; i < 9; ++i) {
    zp::quantize_into(x.rows_from(i, 1), zp::per_token, zp::affine,
                      zp::matrix_view<std::uint8_t>(one.data(), 1, 200), std::span(scale),
                      std::span(zero));
    REQUIRE(scale[0] == scales[i]);
    REQUIRE(zero[0] == zeros[i]);
    REQUIRE(std::equal(one.begin(), one.end(), q.values().row(i).begin()));
  }
  // Symmetric and signed: no zero points wanted, none needed.
  std::vector<std::int8_t> s8(x.size());
  zp::quantize_into(x, zp::per_tensor, zp::symmetric,
                    zp::matrix_view<std::int8_t>(s8.data(), 9, 200), std::span(scale), {});
  REQUIRE(scale[0] ==
          zp::quantize<std::int8_t>(x, zp::per_tensor, zp::symmetric).matrix.scales()[0]);
}

TEST_CASE("quantize says no to sizes and types that do not fit") {
  std::vector<float> x(12), scales(3);
  std::vector<std::int32_t> zeros(3);
  std::vector<std::int8_t> codes(12);
  const view m(x.data(), 3, 4);
  const zp::matrix_view<std::int8_t> into(codes.data(), 3, 4);
  const auto all = std::span(scales);
  REQUIRE_THROWS_AS(zp::quantize_into(m, zp::per_row, zp::symmetric,
                                      zp::matrix_view<std::int8_t>(codes.data(), 4, 3), all, {}),
                    zp::error);
  REQUIRE_THROWS_AS(zp::quantize_into(m, zp::per_row, zp::symmetric, into, all.first(2), {}),
                    zp::error);
  REQUIRE_THROWS_AS(zp::quantize_into(m, zp::per_row, zp::affine, into, all, {}), zp::error);
  REQUIRE_THROWS_AS(
      zp::quantize_into(m, zp::per_row, zp::affine, into, all, std::span(zeros).first(1)),
      zp::error);
  REQUIRE_THROWS_AS(zp::quantize<std::int8_t>(m, zp::per_row, zp::symmetric.as_unsigned()),
                    zp::error);
  REQUIRE_THROWS_AS(
      zp::quantize<std::int8_t>(m, zp::per_row, zp::scheme{zp::symmetry::narrow, 9, true}),
      zp::error);
  REQUIRE_THROWS_AS(
      zp::quantize<std::int8_t>(zp::linear_weight{m}, zp::per_group{0}, zp::symmetric), zp::error);
  const zp::params u8 = zp::fit({0, 1}, zp::affine.as_unsigned());
  REQUIRE_THROWS_AS(zp::quantize_row(std::span<const float>(x), u8, std::span(codes)), zp::error);
  REQUIRE_THROWS_AS(
      zp::quantize_row(std::span<const float>(x).first(11), zp::params{}, std::span(codes)),
      zp::error);
  REQUIRE_THROWS_AS(zp::quantize_into(m, u8, into), zp::error);
  REQUIRE_THROWS_AS(
      zp::dequantize_row(std::span<const std::int8_t>(codes), zp::params{}, std::span(x).first(11)),
      zp::error);
}

TEST_CASE("rounding policies reach the matrix") {
  // Scale 2^-3: 0.1875 / 0.125 = 1.5 and 0.3125 / 0.125 = 2.5 are ties.
  const std::vector<float> x{0.1875f, 0.3125f, -0.3125f, 15.875f};
  const view m(x.data(), 1, 4);
  const auto even = zp::quantize<std::int8_t>(m, zp::per_row, zp::symmetric).matrix;
  const auto away = zp::quantize<std::int8_t>(m, zp::per_row, zp::symmetric, zp::serial{},
                                              zp::no_statistics, zp::rounding<zp::ties_away>{});
  REQUIRE(even.scales()[0] == 0.125f);
  REQUIRE(std::vector<int>(even.values().data(), even.values().data() + 4) ==
          std::vector<int>{2, 2, -2, 127});
  REQUIRE(std::vector<int>(away.values().data(), away.values().data() + 4) ==
          std::vector<int>{2, 3, -3, 127});
}

#if defined(_OPENMP)
TEST_CASE("threads change nothing, not even the last bit of an energy") {
  test::generator g(test::seed(55));
  INFO(test::seed_text(test::seed(55)));
  const matrix m(g, 300, 500, 40);
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
