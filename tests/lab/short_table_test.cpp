// Tables in 16 bits: exact, or not made.
#include <lab/models/short_table.hpp>

#include "support/test.hpp"

#include <bit>
#include <cmath>

using lab::short_table;

TEST_CASE("Every float16 and every bfloat16 number comes back, from any place") {
  const bool brain = GENERATE(false, true);
  std::vector<float> values;
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const float x = brain ? zeropoint::to_float(zeropoint::bfloat16{half})
                          : zeropoint::to_float(zeropoint::float16{half});
    if (std::isfinite(x)) values.push_back(x);
  }
  const auto table = short_table::of(values);
  REQUIRE(table.has_value());
  CHECK(table->size() == values.size());
  CHECK(table->bytes() == 2 * values.size());
  for (const std::size_t first : {std::size_t{0}, std::size_t{12345}, values.size() - 7}) {
    std::vector<float> read(std::min<std::size_t>(1000, values.size() - first));
    table->read(first, read);
    for (std::size_t i = 0; i < read.size(); ++i)
      REQUIRE(std::bit_cast<std::uint32_t>(read[i]) ==
              std::bit_cast<std::uint32_t>(values[first + i]));
  }
}

TEST_CASE("One value that needs more bits, and there is no table") {
  const float fine = 1 + 0x1p-10f;  // float16 only
  const float wide = 0x1p100f;      // bfloat16 only
  CHECK(short_table::of(std::vector<float>{fine, -0.0f, 0.5f}).has_value());
  CHECK(short_table::of(std::vector<float>{wide, -0.0f, 0.5f}).has_value());
  CHECK_FALSE(short_table::of(std::vector<float>{0.5f, fine, wide}).has_value());
  CHECK_FALSE(short_table::of(std::vector<float>{0.5f, 1 + 0x1p-11f}).has_value());
  CHECK(short_table::of(std::vector<float>()).has_value());
}
