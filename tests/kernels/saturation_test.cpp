// The emulated AVX2 sums: every pair of bytes, the corners of pairs of pairs, and the events counted
// against sums in 64 bits; on a processor with AVX2 also against the instructions themselves.
#include <zeropoint/kernels/saturation.hpp>

#include <vector>

#include "support/intrinsics.hpp"
#include "support/test.hpp"

namespace sat = zeropoint::kernels::saturation;

namespace {

template <class A>
std::int64_t exact(const std::vector<A>& a, const std::vector<std::int8_t>& b) {
  std::int64_t sum = 0;
  for (std::size_t k = 0; k < a.size(); ++k) sum += std::int64_t{a[k]} * b[k];
  return sum;
}

const std::vector<int> unsigned_corners{0, 1, 2, 127, 128, 129, 254, 255};
const std::vector<int> signed_corners{-128, -127, -126, -65, -64, -1, 0, 1, 63, 64, 65, 126, 127};

std::uint8_t u8(int x) {
  return static_cast<std::uint8_t>(x);
}
std::int8_t s8(int x) {
  return static_cast<std::int8_t>(x);
}

}  // namespace

TEST_CASE("one product of bytes never saturates: all 65,536 pairs") {
  for (int a = 0; a < 256; ++a) {
    for (int b = -128; b < 128; ++b) {
      const sat::result r = sat::multiply_pair(u8(a), s8(b), 0, s8(77));
      if (r != sat::result{a * b, 0}) FAIL(a << " * " << b << " gave " << r.sum);
    }
  }
}

TEST_CASE("signed by shift and by sign: all 65,536 pairs, and which are wrong") {
  int wrong_shifted = 0, wrong_sign = 0;
  for (int a = -128; a < 128; ++a) {
    for (int b = -128; b < 128; ++b) {
      const std::vector<std::int8_t> as{s8(a)}, bs{s8(b)};
      const sat::result shifted = sat::dot_shifted(as, bs), sign = sat::dot_by_sign(as, bs);
      wrong_shifted += shifted != sat::result{a * b, 0} ? 1 : 0;
      if (sign.sum != a * b) {
        ++wrong_sign;
        CHECK((a < 0 && b == -128));
        CHECK(sign.sum == -(a * b));
      }
      CHECK(sign.saturated == 0);
    }
  }
  CHECK(wrong_shifted == 0);
  CHECK(wrong_sign == 128);
}

TEST_CASE("pairs of pairs: every corner, clamped and counted") {
  std::uint64_t events = 0, count = 0;
  for (int a0 : unsigned_corners)
    for (int a1 : unsigned_corners)
      for (int b0 : signed_corners)
        for (int b1 : signed_corners) {
          const std::int32_t sum = a0 * b0 + a1 * b1;
          const bool fits = sum >= -32768 && sum <= 32767;
          const sat::result r = sat::multiply_pair(u8(a0), s8(b0), u8(a1), s8(b1));
          const std::int32_t clamped = sum > 32767 ? 32767 : sum < -32768 ? -32768 : sum;
          if (r != sat::result{clamped, fits ? 0u : 1u}) FAIL(a0 << b0 << a1 << b1);
          events += r.saturated;
          ++count;
        }
  CHECK(events > 0);
  CHECK(events < count);
  static_assert(sat::multiply_pair(255, 127, 255, 127) == sat::result{32767, 1});
  static_assert(sat::multiply_pair(255, -128, 255, -128) == sat::result{-32768, 1});
  static_assert(sat::multiply_pair(128, 127, 128, 127) == sat::result{32512, 0});
  static_assert(sat::multiply_pair(128, -128, 128, -128) == sat::result{-32768, 0});
}

TEST_CASE("by sign, codes within -127 .. 127 are exact: corners and random sums") {
  for (int a0 : signed_corners)
    for (int a1 : signed_corners)
      for (int b0 : signed_corners)
        for (int b1 : signed_corners) {
          if (b0 == -128 || b1 == -128 || a0 == -128 || a1 == -128) continue;
          const std::vector<std::int8_t> a{s8(a0), s8(a1)}, b{s8(b0), s8(b1)};
          if (sat::dot_by_sign(a, b) != sat::result{a0 * b0 + a1 * b1, 0}) FAIL(a0 << " " << a1);
        }
}

TEST_CASE("zero events: the sum is exact; the risk of the weights bounds the events") {
  const auto seed = test::seed(411);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  int exact_sums = 0, wrong_sums = 0;
  for (int round = 0; round < 400; ++round) {
    const std::size_t n = static_cast<std::size_t>(round) % 67;
    const int narrow = round % 3 == 0 ? 2 : 1;  // every third round within -64 .. 63
    std::vector<std::uint8_t> a(n);
    std::vector<std::int8_t> signed_a(n), b(n);
    for (auto& x : a) x = test::integer<std::uint8_t>(g);
    for (std::size_t k = 0; k < n; ++k) signed_a[k] = s8(a[k] - 128);
    for (auto& x : b) x = s8(test::integer<std::int8_t>(g) / narrow);
    const sat::result r = sat::dot(a, b), shifted = sat::dot_shifted(signed_a, b);
    CHECK(r.saturated <= sat::pairs_at_risk(b));
    CHECK(shifted.saturated == r.saturated);
    CHECK(shifted.sum - exact(signed_a, b) == r.sum - exact(a, b));
    if (narrow == 2) CHECK(sat::pairs_at_risk(b) == 0);
    if (r.saturated == 0) CHECK(r.sum == exact(a, b));
    ++(r.sum == exact(a, b) ? exact_sums : wrong_sums);
  }
  CHECK(exact_sums > 100);
  CHECK(wrong_sums > 100);
}

TEST_CASE("the risk is exact: all pairs of weights") {
  for (int b0 = -128; b0 < 128; ++b0) {
    for (int b1 = -128; b1 < 128; ++b1) {
      const std::vector<std::int8_t> b{s8(b0), s8(b1)};
      bool found = false;  // a sum is extreme where each activation is 0 or 255
      for (int a0 : {0, 255})
        for (int a1 : {0, 255})
          found |= sat::multiply_pair(u8(a0), b[0], u8(a1), b[1]).saturated != 0;
      if (sat::pairs_at_risk(b) != (found ? 1u : 0u)) FAIL(b0 << " " << b1);
    }
  }
}

TEST_CASE("lengths: none, odd, unequal") {
  const std::vector<std::uint8_t> none, three{255, 255, 255};
  const std::vector<std::int8_t> no_weights, weights{127, 127, 127};
  CHECK(sat::dot(none, no_weights) == sat::result{0, 0});
  CHECK(sat::dot(three, weights) == sat::result{32767 + 255 * 127, 1});
  CHECK(sat::pairs_at_risk(weights) == 1);
  CHECK_THROWS_WITH(sat::dot(three, no_weights), "saturation: 3 activations times 0 weights");
}

#if defined(__x86_64__)
namespace {
/// 32 elements with the instructions that the emulation is about.
__attribute__((target("avx2"))) std::int32_t instructions(const std::uint8_t* a,
                                                          const std::int8_t* b) {
  const __m256i pairs =
      _mm256_maddubs_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(a)),
                           _mm256_loadu_si256(reinterpret_cast<const __m256i*>(b)));
  alignas(32) std::int32_t lanes[8];
  _mm256_store_si256(reinterpret_cast<__m256i*>(lanes),
                     _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
  std::int32_t sum = 0;
  for (std::int32_t lane : lanes) sum += lane;
  return sum;
}
}  // namespace

TEST_CASE("the emulation gives what the processor gives") {
  if (!__builtin_cpu_supports("avx2")) return;
  const auto seed = test::seed(412);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  for (int round = 0; round < 2000; ++round) {
    std::vector<std::uint8_t> a(32);
    std::vector<std::int8_t> b(32);
    for (auto& x : a) x = test::integer<std::uint8_t>(g);
    for (auto& x : b) x = test::integer<std::int8_t>(g);
    if (sat::dot(a, b).sum != instructions(a.data(), b.data())) FAIL("round " << round);
  }
}
#endif
