// The statistics against a naive pass in long double, and the algebra of merging.
#include <zeropoint/math/quantize.hpp>
#include <zeropoint/math/statistics.hpp>

#include "math/reference.hpp"

namespace zp = zeropoint;

namespace {

zp::quantization_statistics of_row(const std::vector<float>& x, const zp::params& p) {
  std::vector<std::int16_t> codes(x.size());  // wide enough for any scheme
  zp::quantization_statistics s;
  zp::quantize_row(std::span<const float>(x), p, std::span(codes), s);
  return s;
}

}  // namespace

TEST_CASE("statistics equal a naive double pass, counts exactly") {
  test::generator g(test::seed(31));
  INFO(test::seed_text(test::seed(31)));
  for (const unsigned rarity : {2u, 10u, 1000u, 1000000u}) {
    for (const float scale : {0.25f, 0.013f, 1e-20f}) {
      for (const zp::params& p :
           {zp::params{scale, 0, -127, 127}, zp::params{scale, -90, -128, 127},
            zp::params{scale, 3, 0, 255}, zp::params{scale, 0, -7, 7}, zp::params{scale, 15, 0, 15},
            zp::params{scale, 0, 0, 255}}) {
        const std::vector<float> x = test::nasty(g, 1 + g() % 5000, scale, rarity);
        test::naive_statistics naive;
        for (float v : x) naive.add(v, p);
        REQUIRE(naive.agrees(of_row(x, p)));
      }
    }
  }
}

TEST_CASE("statistics of every length around a block") {
  test::generator g(test::seed(32));
  INFO(test::seed_text(test::seed(32)));
  const zp::params p{0.5f, 10, -128, 127};
  for (std::size_t n = 0; n <= 195; ++n) {
    const std::vector<float> x = test::nasty(g, n, 0.5f, 5);
    test::naive_statistics naive;
    for (float v : x) naive.add(v, p);
    REQUIRE(naive.agrees(of_row(x, p)));
  }
}

TEST_CASE("statistics: what each field means, by hand") {
  const zp::params p{1.0f, 0, -127, 127};
  const float nan = std::numeric_limits<float>::quiet_NaN(),
              inf = std::numeric_limits<float>::infinity();
  const zp::quantization_statistics s =
      of_row({0.0f, -0.0f, 0.25f, -1.25f, 127.25f, 127.5f, 130.0f, -129.0f, nan, inf, -inf}, p);
  REQUIRE(s.count == 11);
  REQUIRE(s.finite() == 8);
  REQUIRE(s.clipped_low == 1);   // -129
  REQUIRE(s.clipped_high == 2);  // 127.5 ties to 128, and 130; 127.25 is only rounded
  REQUIRE(s.clipped() == 3);
  REQUIRE(s.clipped_fraction() == 3.0 / 11.0);
  REQUIRE(s.nan == 1);
  REQUIRE(s.infinite == 2);
  REQUIRE(s.underflow == 1);  // 0.25; a zero is no underflow
  REQUIRE(s.clipping_error == 0.25 + 9.0 + 4.0);
  REQUIRE(s.rounding_error == 0.0625 * 3);
  REQUIRE(s.max_error == 3.0);
  REQUIRE(s.levels.size() == 4);  // -127, -1, 0, 127
  REQUIRE(s.mse() == (13.25 + 0.1875) / 8);
  REQUIRE(s.sqnr_db() == Approx(10 * std::log10(s.signal / s.error())));
}

TEST_CASE("statistics of nothing and of nothing but exact values") {
  const zp::params p{1.0f, 0, -127, 127};
  const zp::quantization_statistics none = of_row({}, p);
  REQUIRE(none == zp::quantization_statistics{});
  REQUIRE(none.clipped_fraction() == 0);
  REQUIRE(none.mse() == 0);
  REQUIRE(none.sqnr_db() == std::numeric_limits<double>::infinity());
  const zp::quantization_statistics exact = of_row({1.0f, -127.0f, 0.0f}, p);
  REQUIRE(exact.error() == 0);
  REQUIRE(exact.sqnr_db() == std::numeric_limits<double>::infinity());
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const zp::quantization_statistics no_number = of_row({nan, nan}, p);
  REQUIRE(no_number.mse() == 0);
  REQUIRE(no_number.nan == 2);
}

TEST_CASE("statistics: an unclipped error is at most half a step (0.50003 steps)") {
  test::generator g(test::seed(33));
  INFO(test::seed_text(test::seed(33)));
  for (int i = 0; i < 400; ++i) {
    std::vector<float> x(1000);
    float m = 0;
    for (float& v : x) m = std::max(m, std::fabs(v = test::normal(g)));
    const zp::params p = zp::fit({-m, m}, zp::symmetric);
    const zp::quantization_statistics s = of_row(x, p);
    REQUIRE(s.clipped() == 0);
    REQUIRE(s.max_error <= 0.50003 * static_cast<double>(p.scale));
    const zp::params a = zp::fit({-m, m / 3}, zp::affine);
    for (float& v : x) v = std::fmin(v, m / 3);
    const zp::quantization_statistics t = of_row(x, a);
    REQUIRE(t.max_error <= 0.50006 * static_cast<double>(a.scale));
  }
}

TEST_CASE("statistics: merging adds counts in any order, and is the same as one pass for blocks") {
  test::generator g(test::seed(34));
  INFO(test::seed_text(test::seed(34)));
  const zp::params p{0.25f, 0, -127, 127};
  std::vector<zp::quantization_statistics> parts;
  test::naive_statistics naive;
  for (int i = 0; i < 20; ++i) {
    const std::vector<float> x = test::nasty(g, g() % 500, 0.25f, 7);
    for (float v : x) naive.add(v, p);
    parts.push_back(of_row(x, p));
  }
  zp::quantization_statistics forward = zp::total(parts), backward;
  for (std::size_t i = parts.size(); i-- > 0;) backward.merge(parts[i]);
  REQUIRE(naive.agrees(forward));
  REQUIRE(naive.agrees(backward));
  REQUIRE(forward.levels == backward.levels);
  REQUIRE(forward.max_error == backward.max_error);
  zp::quantization_statistics again = forward;
  REQUIRE(again.merge({}) == forward);  // the empty statistics are neutral
}

TEST_CASE("statistics: a run in pieces of whole blocks has the bits of the run in one piece") {
  test::generator g(test::seed(35));
  INFO(test::seed_text(test::seed(35)));
  const zp::quantizer<> q(zp::params{0.25f, 0, -127, 127});
  const std::vector<float> x = test::nasty(g, 64 * 9 + 17, 0.25f, 50);
  std::vector<std::int8_t> codes(x.size());
  zp::statistics_accumulator whole, pieces;
  zp::elementwise::quantize_row(x.data(), x.size(), q, codes.data(), whole);
  for (std::size_t i = 0; i < x.size(); i += 128) {
    zp::elementwise::quantize_row(x.data() + i, std::min<std::size_t>(128, x.size() - i), q,
                                  codes.data() + i, pieces);
  }
  REQUIRE(whole.result() == pieces.result());
}

TEST_CASE("statistics: clean blocks and others give the same bits") {
  // One clipped value at the end sends a block down the other path; the 63 before it must not care.
  test::generator g(test::seed(36));
  INFO(test::seed_text(test::seed(36)));
  const zp::params p{0.25f, 0, -127, 127};
  for (int i = 0; i < 200; ++i) {
    std::vector<float> x(64);
    for (float& v : x) v = test::normal(g);
    x[63] = 0;
    const zp::quantization_statistics clean = of_row(x, p);
    x[63] = 1000;
    const zp::quantization_statistics clipped = of_row(x, p);
    REQUIRE(clean.rounding_error == clipped.rounding_error);
    REQUIRE(clean.underflow == clipped.underflow);
    REQUIRE(clipped.clipped_high == 1);
    REQUIRE(clipped.clipping_error == (1000 - 31.75) * (1000 - 31.75));
  }
}

TEST_CASE("range_counts count what the statistics count") {
  test::generator g(test::seed(37));
  INFO(test::seed_text(test::seed(37)));
  zp::range_counts all;
  zp::quantization_statistics expected;
  for (int i = 0; i < 200; ++i) {
    const float scale = std::ldexp(1.0f, static_cast<int>(g() % 20) - 10);
    const zp::params p{scale, static_cast<std::int32_t>(g() % 256) - 128, -128, 127};
    const std::vector<float> x = test::nasty(g, g() % 400, scale, 9);
    std::vector<std::int8_t> codes(x.size());
    zp::quantize_row(std::span<const float>(x), p, std::span(codes), all);
    zp::quantize_row(std::span<const float>(x), p, std::span(codes), expected);
  }
  REQUIRE(all == zp::range_counts{expected.count, expected.clipped_low, expected.clipped_high,
                                  expected.nan, expected.infinite});
  REQUIRE(all.clipped() > 0);
  REQUIRE(all.nan > 0);
}

TEST_CASE("statistics: the same bits from every compiler and instruction set") {
  // Golden values: they change only when the definition of the sums changes.
  test::generator g(20240607);
  std::vector<float> x(10007);
  for (float& v : x) v = test::uniform(g, -1, 1) * test::uniform(g, 0, 1) * 40;
  x[5] = 1000;
  x[6000] = -1000;
  std::vector<std::int8_t> codes(x.size());
  zp::quantization_statistics s;
  zp::quantize_row(std::span<const float>(x), zp::fit({-30, 36}, zp::affine), std::span(codes), s);
  std::uint64_t hash = 14695981039346656037u;  // FNV-1a
  for (std::int8_t c : codes) hash = (hash ^ static_cast<std::uint8_t>(c)) * 1099511628211u;
  const auto bits = [](double d) { return std::bit_cast<std::uint64_t>(d); };
  CAPTURE(s.signal, s.rounding_error, s.clipping_error, s.max_error);
  REQUIRE(hash == 0xf40ef10b4913760cu);
  REQUIRE(bits(s.signal) == 0x414d27b66880e835u);
  REQUIRE(bits(s.rounding_error) == 0x404b3a152a46b899u);
  REQUIRE(bits(s.clipping_error) == 0x413c96b691cfb9a5u);
  REQUIRE(bits(s.max_error) == 0x408e4fcfc0000000u);
  // Many short runs: their sums depend on the lanes and on the order in which lanes are added.
  std::uint64_t energies = 14695981039346656037u;
  for (std::size_t first = 0, n = 1; first + n <= x.size(); first += n, n = n % 130 + 1) {
    zp::quantization_statistics run;
    zp::quantize_row(std::span<const float>(x).subspan(first, n), zp::fit({-9, 9}, zp::symmetric),
                     std::span(codes).subspan(first, n), run);
    for (const double e : {run.signal, run.rounding_error, run.clipping_error}) {
      energies = (energies ^ bits(e)) * 1099511628211u;
    }
  }
  REQUIRE(energies == 0x703f1d0c880a12f2u);
}
