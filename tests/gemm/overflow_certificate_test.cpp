// The proof against every pair of weights, its bounds to the unit, and the kernel that rests on it
// against the specification by ==.
#include <zeropoint/gemm/overflow_certificate.hpp>
#include <zeropoint/kernels/saturation.hpp>

#include "support/product.hpp"

namespace zp = zeropoint;
namespace zk = zeropoint::kernels;

namespace {

using weights = std::vector<std::int8_t>;

zp::overflow_certificate certify_rows(const weights& w, std::size_t n, std::int32_t a_max) {
  const std::size_t k = w.size() / n;
  return zp::certify(n, k, a_max, [&](std::size_t j, std::size_t i) { return w[j * k + i]; });
}

zp::matrix_view<const std::int8_t> view(const weights& w, std::size_t n) {
  return {w.data(), n, w.size() / n};
}

/// The kernels that have a faster twin, and the twin of each.
std::vector<const zk::kernel*> with_twin() {
  std::vector<const zk::kernel*> found;
  for (const auto* k : test::kernels_here()) {
    if (k->if_certified != nullptr && zk::runs_here(*k->if_certified)) found.push_back(k);
  }
  return found;
}

template <class A>
std::string compare(const std::vector<A>& a, std::size_t m, const zp::packed_weights& packed,
                    const weights& w, const zp::zero_points& zeros = {}) {
  const zp::matrix_view<const A> rows(a.data(), m, packed.k());
  std::vector<std::int32_t> c(m * packed.n(), 0x5A5A5A5A), by_definition = c;
  zp::gemm(rows, packed, zeros, zp::matrix_view<std::int32_t>(c.data(), m, packed.n()));
  zp::gemm(rows, zp::pack(view(w, packed.n()), zk::named("scalar")), zeros,
           zp::matrix_view<std::int32_t>(by_definition.data(), m, packed.n()));
  if (c != by_definition) return "differs from scalar";
  return test::difference(test::reference(rows, view(w, packed.n()), zeros), c, packed.n());
}

}  // namespace

TEST_CASE("a pair is proven exactly where no activations saturate it: all pairs of weights") {
  for (int w0 = -128; w0 < 128; ++w0) {
    for (int w1 = -128; w1 < 128; ++w1) {
      const weights w{static_cast<std::int8_t>(w0), static_cast<std::int8_t>(w1)};
      for (const int a_max : {255, 254, 129, 128, 127, 1}) {
        bool saturates = false;
        for (const int a0 : {0, a_max})
          for (const int a1 : {0, a_max}) {
            saturates |= zk::saturation::multiply_pair(static_cast<std::uint8_t>(a0), w[0],
                                                       static_cast<std::uint8_t>(a1), w[1])
                             .saturated != 0;
          }
        if (certify_rows(w, 1, a_max).proven() == saturates) FAIL(w0 << " " << w1 << " " << a_max);
      }
    }
  }
}

TEST_CASE("the certificate names the worst pair, its sum and the margin") {
  // Column 1 holds the worst pair, inputs 2 and 3; 127 and 1 across the border of pairs do not count.
  const weights w{1, 127, 1, 2, 0, 5, -3, 4, 100, 28, -7, 127};
  const auto c = certify_rows(w, 2, 255);
  CHECK(c.pair.value == 255 * 128);
  CHECK(c.pair.column == 0);
  CHECK(c.pair.k == 0);
  CHECK(c.pair.margin == 32767 - 255 * 128);
  CHECK(c.proven());
  const auto wider = certify_rows({1, 127, 1, 2, 0, 5, -3, 4, 100, 29, -7, 127}, 2, 255);
  CHECK(wider.pair.value == 255 * 129);
  CHECK(wider.pair.column == 1);
  CHECK(wider.pair.k == 2);
  CHECK(wider.pair.margin == 32767 - 255 * 129);
  CHECK_FALSE(wider.proven());
  const auto negative = certify_rows({3, 4, -65, -64}, 1, 255);
  CHECK(negative.pair.value == -255 * 129);
  CHECK(negative.pair.k == 2);
  CHECK(negative.pair.margin == 32768 - 255 * 129);
  CHECK_FALSE(negative.proven());
}

TEST_CASE("the bounds to the unit: 32767 and -32768 fit, one more does not") {
  CHECK(certify_rows({127, 126}, 1, 129).pair.margin == 32767 - 32637);
  CHECK(certify_rows({-128, -128}, 1, 128).pair.margin == 0);  // -32768
  CHECK(certify_rows({-128, -128}, 1, 128).proven());
  CHECK(certify_rows({-128, -128}, 1, 129).pair.margin == -256);
  CHECK(certify_rows({64, 64}, 1, 255).pair.margin == 127);
  // 32767 = 7 * 31 * 151: 151 * 217 reaches it exactly. 32768 = 128 * 256 only with -128.
  const auto exact = certify_rows({127, 90}, 1, 151);
  CHECK(exact.pair.value == 32767);
  CHECK(exact.pair.margin == 0);
  CHECK(exact.proven());
  CHECK_FALSE(certify_rows({127, 91}, 1, 151).proven());
  const auto high = certify_rows({64, 64}, 1, 256);  // 32768, were there such activations
  CHECK(high.pair.value == 32768);
  CHECK(high.pair.margin == -1);
  CHECK_FALSE(high.proven());
}

TEST_CASE("sums of a column are proven against 32 bits") {
  // 255 * 64 * k < 2^31 for k <= 131,586.
  const auto all = [](std::int8_t value) {
    return [value](std::size_t, std::size_t) { return value; };
  };
  CHECK(zp::certify(1, 131586, 255, all(64)).proven());
  CHECK(zp::certify(1, 131586, 255, all(64)).sum.margin == 2147483647 - 255LL * 64 * 131586);
  CHECK_FALSE(zp::certify(1, 131587, 255, all(64)).proven());
  CHECK(zp::certify(1, 131587, 255, all(64)).pair.margin >= 0);
  CHECK(zp::certify(3, 0, 255, all(64)).proven());
  CHECK(zp::certify(0, 3, 255, all(64)).proven());
}

TEST_CASE("an odd last input stands alone") {
  CHECK(certify_rows({1, 1, -128}, 1, 255).pair.value == -255 * 128);
  CHECK(certify_rows({1, 1, -128}, 1, 255).proven());
}

TEST_CASE("packing takes the faster kernel only with a proof, and is exact at its limit") {
  for (const auto* kernel : with_twin()) {
    const zk::kernel* twin = kernel->if_certified;
    CHECK(twin->needs_certificate);
    for (const std::size_t k : {2u, 3u, 8u, 31u, 770u}) {
      for (const std::size_t n : {1u, 16u, 17u, 40u}) {
        INFO(kernel->name << " k " << k << " n " << n);
        weights w(n * k, 64);
        const auto narrow = zp::pack(view(w, n), *kernel);
        REQUIRE(&narrow.kernel() == twin);
        REQUIRE(narrow.certificate().proven());
        REQUIRE(compare(std::vector<std::uint8_t>(7 * k, 255), 7, narrow, w) == "");
        REQUIRE(compare(std::vector<std::int8_t>(7 * k, 127), 7, narrow, w) == "");
        REQUIRE(compare(std::vector<std::int8_t>(7 * k, -128), 7, narrow, w) == "");
        w[(n - 1) * k] = 65;  // one pair of one column
        const auto wide = zp::pack(view(w, n), *kernel);
        REQUIRE(&wide.kernel() == kernel);
        REQUIRE_FALSE(wide.certificate().proven());
        REQUIRE(wide.certificate().pair.column == n - 1);
        REQUIRE(compare(std::vector<std::uint8_t>(7 * k, 255), 7, wide, w) == "");
        w.assign(n * k, -64);
        REQUIRE(&zp::pack(view(w, n), *kernel).kernel() == twin);
        REQUIRE(compare(std::vector<std::uint8_t>(7 * k, 255), 7, zp::pack(view(w, n), *kernel),
                        w) == "");
      }
    }
  }
}

TEST_CASE("declared activations prove all of int8, -128 included") {
  test::generator g(3);
  for (const auto* kernel : with_twin()) {
    for (const auto pw : test::patterns) {
      const test::codes<std::int8_t> codes(33, 129, pw, g);
      const weights w(codes.storage.begin(), codes.storage.end() - 1);
      for (const zp::code_range range : {zp::code_range{-63, 63},
                                         {-64, 62},
                                         {0, 127},
                                         {-128, -1},
                                         {1, 127},
                                         {-100, 27},
                                         {90, 127}}) {
        INFO(kernel->name << " " << range.low << " .. " << range.high);
        const auto packed = zp::pack(view(w, 33), range, *kernel);
        REQUIRE(&packed.kernel() == kernel->if_certified);
        REQUIRE(packed.activations() == range);
        std::vector<std::int8_t> a(9 * 129);
        const auto width = static_cast<std::uint32_t>(range.high - range.low + 1);
        for (auto& x : a) x = static_cast<std::int8_t>(range.low + static_cast<int>(g() % width));
        const std::vector<std::int32_t> rows{5, -1, 0, 7, 7, 3, 2, 1, 0}, columns(33, -128);
        REQUIRE(compare(a, 9, packed, w) == "");
        REQUIRE(compare(a, 9, packed, w, {.rows = rows, .columns = columns}) == "");
        a.assign(a.size(), static_cast<std::int8_t>(range.high));
        REQUIRE(compare(a, 9, packed, w) == "");
        a.assign(a.size(), static_cast<std::int8_t>(range.low));
        REQUIRE(compare(a, 9, packed, w) == "");
      }
      const std::vector<std::uint8_t> high(129, 200), low(129, 73);
      const auto packed = zp::pack(view(w, 33), zp::code_range{73, 200}, *kernel);
      REQUIRE(&packed.kernel() == kernel->if_certified);
      REQUIRE(compare(high, 1, packed, w) == "");
      REQUIRE(compare(low, 1, packed, w) == "");
    }
  }
}

TEST_CASE(
    "activations outside their range are refused by every kernel, before anything is written") {
  const std::size_t m = 3, k = 150, n = 5;
  const weights w(n * k, 1);
  for (const auto* kernel : test::kernels_here()) {
    INFO(kernel->name);
    const auto packed = zp::pack(view(w, n), zp::code_range{-60, 60}, *kernel);
    std::vector<std::int32_t> c(m * n, 77);
    const auto multiply = [&](const auto& a) {
      using A = typename std::decay_t<decltype(a)>::value_type;
      zp::gemm(zp::matrix_view<const A>(a.data(), m, k), packed,
               zp::matrix_view<std::int32_t>(c.data(), m, n));
    };
    for (const std::size_t at : {0u, 63u, 64u, 127u, 128u, 149u, 150u, 449u}) {
      for (const int value : {-128, -61, 61, 127}) {
        std::vector<std::int8_t> a(m * k, -60);
        a[at] = static_cast<std::int8_t>(value);
        std::ostringstream place;
        place << "a(" << at / k << ", " << at % k << ") = " << value << " is outside -60 .. 60";
        REQUIRE_THROWS_WITH(multiply(a), Catch::Contains(place.str()));
        REQUIRE(c == std::vector<std::int32_t>(m * n, 77));
      }
    }
    REQUIRE_THROWS_WITH(multiply(std::vector<std::uint8_t>(m * k, 61)), Catch::Contains("= 61"));
    REQUIRE_NOTHROW(multiply(std::vector<std::uint8_t>(m * k, 60)));
    REQUIRE(c[0] == 60 * static_cast<int>(k));
    REQUIRE_NOTHROW(multiply(std::vector<std::int8_t>(m * k, 60)));
  }
  const auto negative = zp::pack(view(w, n), zp::code_range{-20, -10});
  const std::vector<std::uint8_t> none(k, 0);
  std::vector<std::int32_t> c(n);
  REQUIRE_THROWS_WITH(zp::gemm(zp::matrix_view<const std::uint8_t>(none.data(), 1, k), negative,
                               zp::matrix_view<std::int32_t>(c.data(), 1, n)),
                      Catch::Contains("outside -20 .. -10"));
}

TEST_CASE("a kernel that needs a certificate refuses weights without one, by the worst pair") {
  for (const auto* kernel : with_twin()) {
    const weights w{0, 0, 0, 0, 1, 3, -1, -128};
    REQUIRE_THROWS_WITH(zp::pack(view(w, 2), *kernel->if_certified),
                        Catch::Contains("reach -32895 in output 1, inputs from 2 on") &&
                            Catch::Contains("avx2_narrow"));
    REQUIRE_NOTHROW(zp::pack(view(w, 2), zp::code_range{-127, 127 - 1}, *kernel->if_certified));
  }
}

TEST_CASE("ranges that no code has are refused") {
  const weights w(4, 1);
  for (const zp::code_range range : {zp::code_range{1, 0}, {-129, 0}, {0, 256}, {-1, 255}}) {
    REQUIRE_THROWS_WITH(zp::pack(view(w, 2), range), Catch::Contains("a range of int8 or uint8"));
  }
  REQUIRE_NOTHROW(zp::pack(view(w, 2), zp::code_range{-128, 127}));
  REQUIRE_NOTHROW(zp::pack_transposed(view(w, 2), zp::code_range{0, 255}));
}

TEST_CASE("a forced kernel keeps its choice; only AVX2 without VNNI has one") {
  const weights w(6, 1);
  const char* forced = std::getenv("ZP_KERNEL");
  const auto packed = zp::pack(view(w, 2));
  const zk::kernel& best = zk::best();
  REQUIRE(&packed.kernel() == (best.if_certified != nullptr ? best.if_certified : &best));
  if (forced != nullptr && std::string(forced) == "avx2") {
    REQUIRE(std::string(packed.kernel().name) == "avx2_narrow");
  }
  for (const auto* kernel : with_twin()) REQUIRE(std::string(kernel->name) == "avx2");
}
