// Every float_panel variant against its specification, bit for bit: that is the promise that lets
// weight_only_linear give the same results on every processor.
#include <support/test.hpp>

#include <zeropoint/base/aligned_buffer.hpp>
#include <zeropoint/nn/float_panel.hpp>

#include <cstring>
#include <string>
#include <vector>

namespace zp = zeropoint;
namespace panel = zeropoint::float_panel;

namespace {

/// The variants that run here.
std::vector<panel::variant> variants() {
  std::vector<panel::variant> list;
  for (const panel::variant* v : panel::compiled) {
    if (zp::contains(zp::cpu_features(), v->needs)) list.push_back(*v);
  }
  return list;
}

}  // namespace

TEST_CASE("float_panel: every variant has the bits of the specification") {
  const auto seed = test::seed(21);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  for (const std::size_t k : {0u, 1u, 2u, 3u, 31u, 128u, 257u}) {
    for (const std::size_t rows : {1u, 2u, 3u, 4u, 5u, 7u, 8u, 13u}) {
      const std::size_t stride = k + 5;
      std::vector<float> x(rows * stride, std::numeric_limits<float>::quiet_NaN());
      zp::aligned_buffer<float> w(k * panel::width);
      zp::aligned_buffer<float> start(rows * panel::width);
      for (std::size_t i = 0; i < rows; ++i) {
        for (std::size_t p = 0; p < k; ++p) x[i * stride + p] = test::normal(g);
      }
      for (float& v : w) v = test::normal(g);
      for (float& v : start) v = test::normal(g);
      zp::aligned_buffer<float> expected = start;
      panel::specification(k, rows, x.data(), stride, w.data(), expected.data());
      for (const panel::variant& v : variants()) {
        CAPTURE(v.name, k, rows);
        zp::aligned_buffer<float> sum = start;
        v.multiply(k, rows, x.data(), stride, w.data(), sum.data());
        REQUIRE(std::memcmp(sum.data(), expected.data(), sum.size() * sizeof(float)) == 0);
      }
    }
  }
}

TEST_CASE("float_panel: a product is rounded before it is added") {
  // (1 + 2^-12)^2 = 1 + 2^-11 + 2^-24: the product rounds to 1 + 2^-11, so that minus (1 + 2^-11)
  // leaves 0, where a fused multiply-add would leave 2^-24.
  const float x[2] = {1.0f, 1.0f + 0x1p-12f};
  zp::aligned_buffer<float> w(2 * panel::width), sum(panel::width);
  for (std::size_t j = 0; j < panel::width; ++j) {
    w[j] = -(1.0f + 0x1p-11f);
    w[panel::width + j] = 1.0f + 0x1p-12f;
  }
  panel::specification(2, 1, x, 2, w.data(), sum.data());
  for (const float v : sum) REQUIRE(v == 0);
  for (const panel::variant& v : variants()) {
    CAPTURE(v.name);
    for (float& s : sum) s = 0;
    v.multiply(2, 1, x, 2, w.data(), sum.data());
    for (const float s : sum) REQUIRE(s == 0);
  }
}

TEST_CASE("float_panel: expanding rounds once, for all codes") {
  zp::aligned_buffer<float> scale(panel::width), zero(panel::width), w(256 * panel::width);
  std::vector<std::int8_t> codes(256 * panel::width);
  for (std::size_t j = 0; j < panel::width; ++j) {
    scale[j] = 0.1f + 0.01f * static_cast<float>(j);
    zero[j] = static_cast<float>(j) * 17 - 128;
  }
  for (std::size_t i = 0; i < codes.size(); ++i) {
    codes[i] = static_cast<std::int8_t>(i / panel::width);
  }
  for (const panel::variant& v : variants()) {
    CAPTURE(v.name);
    v.expand(256, codes.data(), scale.data(), zero.data(), w.data());
    for (std::size_t i = 0; i < codes.size(); ++i) {
      const std::size_t j = i % panel::width;
      REQUIRE(w[i] == scale[j] * (static_cast<float>(codes[i]) - zero[j]));
    }
  }
}

TEST_CASE("float_panel: the choice respects what is allowed") {
  REQUIRE(&panel::choose(zp::isa::baseline) == &panel::baseline::table);
  for (const panel::variant& v : variants()) {
    REQUIRE(std::string(panel::choose(v.needs).name) == v.name);
  }
}
