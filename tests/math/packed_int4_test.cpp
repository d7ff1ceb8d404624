// Two codes to a byte, low nibble first; every pair of codes there and back.
#include <zeropoint/math/packed_int4.hpp>
#include <zeropoint/math/quantize.hpp>

#include "math/reference.hpp"

namespace zp = zeropoint;

TEST_CASE("pack_int4: low nibble first, spare nibble zero") {
  const std::vector<std::int8_t> codes{1, -1, 7, -8, -3};
  std::vector<std::uint8_t> bytes(3, 0xff);
  zp::pack_int4(std::span<const std::int8_t>(codes), std::span(bytes));
  REQUIRE(bytes == std::vector<std::uint8_t>{0xf1, 0x87, 0x0d});
  const std::vector<std::uint8_t> unsigned_codes{1, 15, 0};
  bytes.resize(2);
  zp::pack_int4(std::span<const std::uint8_t>(unsigned_codes), std::span(bytes));
  REQUIRE(bytes == std::vector<std::uint8_t>{0xf1, 0x00});
}

TEMPLATE_TEST_CASE("pack_int4 and unpack_int4: all 256 pairs and every length", "", std::int8_t,
                   std::uint8_t) {
  constexpr int low = std::is_signed_v<TestType> ? -8 : 0;
  for (int a = low; a < low + 16; ++a) {
    for (int b = low; b < low + 16; ++b) {
      const std::vector<TestType> codes{static_cast<TestType>(a), static_cast<TestType>(b)};
      std::vector<std::uint8_t> bytes(1);
      std::vector<TestType> back(2);
      zp::pack_int4(std::span<const TestType>(codes), std::span(bytes));
      zp::unpack_int4(std::span<const std::uint8_t>(bytes), std::span(back));
      REQUIRE(back == codes);
    }
  }
  test::generator g(test::seed(71));
  for (std::size_t n = 0; n < 70; ++n) {
    std::vector<TestType> codes(n), back(n);
    for (TestType& c : codes) c = static_cast<TestType>(low + static_cast<int>(g() % 16));
    std::vector<std::uint8_t> bytes(zp::int4_row_bytes(n), 0xff);
    zp::pack_int4(std::span<const TestType>(codes), std::span(bytes));
    zp::unpack_int4(std::span<const std::uint8_t>(bytes), std::span(back));
    REQUIRE(back == codes);
  }
}

TEST_CASE("pack_int4 refuses codes of more than four bits and wrong sizes") {
  std::vector<std::uint8_t> bytes(1);
  for (const std::int8_t bad :
       {std::int8_t{8}, std::int8_t{-9}, std::int8_t{127}, std::int8_t{-128}}) {
    const std::vector<std::int8_t> codes{0, bad}, odd{bad};
    REQUIRE_THROWS_AS(zp::pack_int4(std::span<const std::int8_t>(codes), std::span(bytes)),
                      zp::error);
    REQUIRE_THROWS_AS(zp::pack_int4(std::span<const std::int8_t>(odd), std::span(bytes)),
                      zp::error);
  }
  const std::vector<std::uint8_t> sixteen{16, 0}, three(3);
  REQUIRE_THROWS_AS(zp::pack_int4(std::span<const std::uint8_t>(sixteen), std::span(bytes)),
                    zp::error);
  REQUIRE_THROWS_AS(zp::pack_int4(std::span<const std::uint8_t>(three), std::span(bytes)),
                    zp::error);
  std::vector<std::uint8_t> codes(3);
  REQUIRE_THROWS_AS(zp::unpack_int4(std::span<const std::uint8_t>(bytes), std::span(codes)),
                    zp::error);
}

TEST_CASE("packed_int4_matrix: half the memory, the same matrix back") {
  test::generator g(test::seed(72));
  INFO(test::seed_text(test::seed(72)));
  for (const auto& [rows, cols] :
       std::vector<std::pair<std::size_t, std::size_t>>{{1, 1}, {5, 64}, {6, 77}}) {
    const std::vector<float> x = test::nasty(g, rows * cols, 1.0f, 10);
    const zp::linear_weight w{{x.data(), rows, cols}};
    for (const zp::scheme& s :
         {zp::symmetric.with_bits(4), zp::affine.with_bits(4), zp::affine.with_bits(2)}) {
      const auto q = zp::quantize<std::int8_t>(w, zp::per_group{32}, s).matrix;
      const zp::packed_int4_matrix<std::int8_t> packed(q);
      const auto back = packed.unpack();
      REQUIRE(back.table() == q.table());
      REQUIRE(std::equal(back.values().data(), back.values().data() + x.size(), q.values().data()));
      REQUIRE(packed.bytes() == rows * ((cols + 1) / 2) + q.table().bytes());
    }
    const auto u = zp::quantize<std::uint8_t>(w, zp::per_group{32}, zp::affine.with_bits(4)).matrix;
    const auto back = zp::packed_int4_matrix<std::uint8_t>(u).unpack();
    REQUIRE(std::equal(back.values().data(), back.values().data() + x.size(), u.values().data()));
    const auto wide = zp::quantize<std::int8_t>(w, zp::per_output_channel, zp::symmetric).matrix;
    REQUIRE_THROWS_AS(zp::packed_int4_matrix<std::int8_t>(wide), zp::error);
  }
}
