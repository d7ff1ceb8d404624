// What every test includes: Catch2 of either major version, and a seeded generator that prints its
// seed.
#pragma once

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
using Catch::Approx;
#else
#include <catch2/catch.hpp>
#endif

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <random>
#include <string>

namespace test {

/// The seed of this run: ZP_TEST_SEED when set, otherwise `fallback`. Print it with
/// INFO(seed_text(seed)).
inline std::uint64_t seed(std::uint64_t fallback) {
  const char* text = std::getenv("ZP_TEST_SEED");
  return text == nullptr ? fallback : std::strtoull(text, nullptr, 10);
}
inline std::string seed_text(std::uint64_t s) {
  return "ZP_TEST_SEED=" + std::to_string(s);
}

using generator = std::mt19937_64;

inline float uniform(generator& g, float low, float high) {
  return low + (high - low) * static_cast<float>(g() >> 40) * 0x1p-24f;
}
/// Full-range integers of type T, both ends included.
template <class T>
T integer(generator& g) {
  return static_cast<T>(g());
}
/// Standard normal by Box-Muller: the same bits from every standard library.
inline float normal(generator& g) {
  const double u = (static_cast<double>(g() >> 11) + 0.5) * 0x1p-53;
  const double v = static_cast<double>(g() >> 11) * 0x1p-53;
  return static_cast<float>(std::sqrt(-2.0 * std::log(u)) * std::cos(6.283185307179586 * v));
}

}  // namespace test
