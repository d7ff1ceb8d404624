// Saturating products and their counts against the definition in 64 bits, written once more from the
// instructions; against gemm where nothing saturates.
#include <zeropoint/gemm/saturating.hpp>

#include <algorithm>

#include "support/errors.hpp"
#include "support/executors.hpp"
#include "support/product.hpp"

namespace zp = zeropoint;
using zp::saturating_sequence;

namespace {

constexpr saturating_sequence of_signed[] = {saturating_sequence::by_shift,
                                             saturating_sequence::by_sign};

struct outcome {
  std::vector<std::int32_t> c;
  zp::saturation_report report;
};

/// The bytes that vpmaddubsw is given for activation a and weight w.
std::pair<int, int> operands(int a, int w, saturating_sequence sequence) {
  if (sequence == saturating_sequence::unsigned_by_signed) return {a, w};
  if (sequence == saturating_sequence::by_shift) return {a + 128, w};
  const int moved = a < 0 ? -w : a == 0 ? 0 : w;  // vpsignb
  return {std::abs(a), moved == 128 ? -128 : moved};
}

template <class A>
outcome defined(zp::matrix_view<const A> a, zp::matrix_view<const std::int8_t> w,
                saturating_sequence sequence) {
  outcome o;
  for (std::size_t i = 0; i < a.rows(); ++i) {
    for (std::size_t j = 0; j < w.rows(); ++j) {
      std::int64_t sum = 0, exact = 0, column = 0;
      for (std::size_t k = 0; k < a.cols(); k += 2) {
        std::int64_t pair = 0;
        for (std::size_t e = k; e < std::min(k + 2, a.cols()); ++e) {
          const auto [x, y] = operands(a(i, e), w(j, e), sequence);
          pair += x * y;
          exact += a(i, e) * w(j, e);
          column += w(j, e);
        }
        const std::int64_t kept = std::clamp<std::int64_t>(pair, -32768, 32767);
        o.report.events += kept != pair ? 1u : 0u;
        ++o.report.pairs;
        sum += kept;
      }
      if (sequence == saturating_sequence::by_shift) sum -= 128 * column;
      o.c.push_back(static_cast<std::int32_t>(sum));
      ++o.report.outputs;
      o.report.wrong += sum != exact ? 1u : 0u;
      o.report.largest_error = std::max(o.report.largest_error, std::abs(sum - exact));
    }
  }
  return o;
}

template <class A, class Executor = zp::serial>
outcome computed(zp::matrix_view<const A> a, zp::matrix_view<const std::int8_t> w,
                 saturating_sequence sequence, const Executor& ex = {}) {
  outcome o;
  o.c.assign(a.rows() * w.rows(), 0x5A5A5A5A);
  o.report = zp::saturating_gemm(
      a, w, zp::matrix_view<std::int32_t>(o.c.data(), a.rows(), w.rows()), sequence, ex);
  return o;
}

template <class A>
zp::saturation_report compare(const test::codes<A>& a, const test::codes<std::int8_t>& w,
                              saturating_sequence sequence) {
  const outcome expected = defined(a.view(), w.view(), sequence);
  const outcome serial = computed(a.view(), w.view(), sequence);
  const outcome backwards = computed(a.view(), w.view(), sequence, test::backwards{});
  REQUIRE(serial.c == expected.c);
  REQUIRE((serial.report == expected.report));
  REQUIRE(backwards.c == expected.c);
  REQUIRE((backwards.report == expected.report));
  return serial.report;
}

template <class A>
outcome constant(A a, std::int8_t w, std::size_t k, saturating_sequence sequence) {
  const std::vector<A> as(3 * k, a);
  const std::vector<std::int8_t> ws(5 * k, w);
  return computed(zp::matrix_view<const A>(as.data(), 3, k),
                  zp::matrix_view<const std::int8_t>(ws.data(), 5, k), sequence);
}

}  // namespace

TEST_CASE("saturating products: the definition, shapes and patterns of every kind") {
  const auto seed = test::seed(413);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  std::uint64_t events = 0, wrong = 0, outputs = 0;
  for (const std::size_t m : {0u, 1u, 4u}) {
    for (const std::size_t n : {0u, 1u, 17u}) {
      for (const std::size_t k : {0u, 1u, 2u, 3u, 32u, 67u, 768u}) {
        for (const auto pa : test::patterns) {
          for (const auto pw : test::patterns) {
            INFO(m << " x " << k << " x " << n << ", patterns " << static_cast<int>(pa) << " and "
                   << static_cast<int>(pw));
            const test::codes<std::uint8_t> u(m, k, pa, g, 3, 1);
            const test::codes<std::int8_t> s(m, k, pa, g, 2, 5), w(n, k, pw, g, 1, 3);
            zp::saturation_report seen = compare(u, w, saturating_sequence::unsigned_by_signed);
            for (const auto sequence : of_signed) seen.merge(compare(s, w, sequence));
            events += seen.events, wrong += seen.wrong, outputs += seen.outputs;
          }
        }
      }
    }
  }
  CHECK(events > 0);
  CHECK(wrong > 0);
  CHECK(wrong < outputs);
}

TEST_CASE("saturating products at the extremes: 255 * 127 * 2 is 32767") {
  const auto u = saturating_sequence::unsigned_by_signed;
  // One pair in each of 15 outputs.
  CHECK(constant<std::uint8_t>(255, 127, 2, u).c == std::vector<std::int32_t>(15, 32767));
  CHECK((constant<std::uint8_t>(255, 127, 2, u).report ==
         zp::saturation_report{15, 15, 15, 15, 64770 - 32767}));
  CHECK(constant<std::uint8_t>(255, -128, 2, u).c == std::vector<std::int32_t>(15, -32768));
  CHECK((constant<std::uint8_t>(255, -128, 2, u).report ==
         zp::saturation_report{15, 15, 15, 15, 65280 - 32768}));
  // An odd last input has no neighbour and fits: 384 pairs clipped, one whole.
  CHECK(constant<std::uint8_t>(255, 127, 769, u).c ==
        std::vector<std::int32_t>(15, 384 * 32767 + 255 * 127));
  CHECK((constant<std::uint8_t>(255, 127, 769, u).report ==
         zp::saturation_report{15 * 384, 15 * 385, 15, 15, 384 * (64770 - 32767)}));
  // 64 on both sides of zero are the last weights that no activations saturate.
  CHECK((constant<std::uint8_t>(255, 64, 768, u).report ==
         zp::saturation_report{0, 15 * 384, 0, 15, 0}));
  CHECK((constant<std::uint8_t>(255, 65, 768, u).report ==
         zp::saturation_report{15 * 384, 15 * 384, 15, 15, 384 * (255 * 130 - 32767)}));

  // Shifted, 127 is 255; the correction by the column sum is exact.
  const auto shifted = constant<std::int8_t>(127, 127, 2, saturating_sequence::by_shift);
  CHECK(shifted.c == std::vector<std::int32_t>(15, 32767 - 128 * 254));
  CHECK((shifted.report == zp::saturation_report{15, 15, 15, 15, 32258 - 255}));
  // -128 becomes 0.
  CHECK((constant<std::int8_t>(-128, -128, 768, saturating_sequence::by_shift).report ==
         zp::saturation_report{0, 15 * 384, 0, 15, 0}));

  // By sign nothing is clipped, and -128 * -128 has the wrong sign.
  const auto by_sign = constant<std::int8_t>(-128, -128, 2, saturating_sequence::by_sign);
  CHECK(by_sign.c == std::vector<std::int32_t>(15, -32768));
  CHECK((by_sign.report == zp::saturation_report{0, 15, 15, 15, 65536}));
  CHECK((constant<std::int8_t>(-127, 127, 768, saturating_sequence::by_sign).report ==
         zp::saturation_report{0, 15 * 384, 0, 15, 0}));
}

TEST_CASE("errors of two pairs may cancel: events without a wrong output") {
  const std::vector<std::uint8_t> a{255, 255, 129, 128};
  const std::vector<std::int8_t> w{127, 2, -128, -128};  // 32895 and -32896: both 128 beyond
  const outcome o = computed(zp::matrix_view<const std::uint8_t>(a.data(), 1, 4),
                             zp::matrix_view<const std::int8_t>(w.data(), 1, 4),
                             saturating_sequence::unsigned_by_signed);
  CHECK(o.c[0] == -1);
  CHECK((o.report == zp::saturation_report{2, 2, 0, 1, 0}));
}

TEST_CASE("weights with a certificate: the saturating product is the exact one") {
  const auto seed = test::seed(414);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  const test::codes<std::uint8_t> u(7, 131, test::pattern::random, g);
  const test::codes<std::int8_t> s(7, 131, test::pattern::random, g);
  test::codes<std::int8_t> w(23, 131, test::pattern::random, g);
  const auto exact = [&](const auto& a) {
    std::vector<std::int32_t> c(7 * 23);
    zp::gemm(a.view(), zp::pack(w.view()), zp::matrix_view<std::int32_t>(c.data(), 7, 23));
    return c;
  };
  const auto wide = computed(u.view(), w.view(), saturating_sequence::unsigned_by_signed);
  CHECK(wide.c != exact(u));
  CHECK_FALSE(zp::pack(w.view()).certificate().proven());
  for (auto& x : w.storage) x = static_cast<std::int8_t>(x / 2);
  REQUIRE(zp::pack(w.view()).certificate().proven());
  const zp::saturation_report clean{0, 7 * 23 * 66, 0, 7 * 23, 0};
  const auto narrow = computed(u.view(), w.view(), saturating_sequence::unsigned_by_signed);
  CHECK(narrow.c == exact(u));
  CHECK((narrow.report == clean));
  for (const auto sequence : of_signed) {
    const auto o = computed(s.view(), w.view(), sequence);
    CHECK(o.c == exact(s));
    CHECK((o.report == clean));
  }
}

TEST_CASE("the deepest sums: neither the exact one nor theirs wraps") {
  const auto deep = []<class A>(A a, std::int8_t w, std::size_t k, saturating_sequence sequence) {
    const std::vector<A> as(k, a);
    const std::vector<std::int8_t> ws(k, w);
    const zp::matrix_view<const A> rows(as.data(), 1, k);
    const zp::matrix_view<const std::int8_t> columns(ws.data(), 1, k);
    const outcome expected = defined(rows, columns, sequence);
    const outcome found = computed(rows, columns, sequence);
    CHECK(found.c == expected.c);
    CHECK((found.report == expected.report));
  };
  for (const int w : {-128, 127}) {
    const auto weight = static_cast<std::int8_t>(w);
    deep(std::uint8_t{255}, weight, 65793, saturating_sequence::unsigned_by_signed);
    for (const auto sequence : of_signed) {
      deep(std::int8_t{-128}, weight, 131071, sequence);
      deep(std::int8_t{127}, weight, 131071, sequence);
    }
  }
}

TEST_CASE("saturating products say what does not fit") {
  const std::vector<std::uint8_t> u(65794);
  const std::vector<std::int8_t> s(131072);
  std::vector<std::int32_t> c(4, 77);
  const auto attempt = [&](const auto& a, std::size_t k, std::size_t n, std::size_t outputs,
                           saturating_sequence sequence) {
    using A = typename std::decay_t<decltype(a)>::value_type;
    return test::error_of([&] {
      zp::saturating_gemm(zp::matrix_view<const A>(a.data(), 1, k),
                          zp::matrix_view<const std::int8_t>(s.data(), n, k),
                          zp::matrix_view<std::int32_t>(c.data(), 1, outputs), sequence);
    });
  };
  CHECK(test::contains(attempt(s, 4, 2, 2, saturating_sequence::unsigned_by_signed),
                       "sequence 0 with int8 rows"));
  CHECK(test::contains(attempt(u, 4, 2, 2, saturating_sequence::by_sign),
                       "sequence 2 with uint8 rows"));
  CHECK(test::contains(attempt(u, 4, 2, 3, saturating_sequence::unsigned_by_signed),
                       "the output is 1 x 3, expected 1 x 2"));
  CHECK(test::contains(attempt(u, 65794, 1, 1, saturating_sequence::unsigned_by_signed),
                       "k = 65794 exceeds 65793"));
  CHECK(test::contains(attempt(s, 131072, 1, 1, saturating_sequence::by_shift),
                       "k = 131072 exceeds 131071"));
  CHECK(c == std::vector<std::int32_t>(4, 77));
  CHECK(attempt(s, 131071, 1, 1, saturating_sequence::by_shift).empty());
}
