// Every float_panel variant against its specification, bit for bit: that is the promise that lets
// weight_only_linear give the same results on every processor.
#include <support/test.hpp>

#include <zeropoint/base/aligned_buffer.hpp>
#include <zeropoint/nn/float_panel.hpp>

#include <cstring>
#include <vector>

namespace zp = zeropoint;
namespace panel = zeropoint::float_panel;

namespace {

struct variant {
  const char* name;
  panel::multiply_fn multiply;
};
/// Everything choose() can return on this processor.
std::vector<variant> variants() {
  std::vector<variant> list{{"baseline", panel::choose(zp::isa::baseline)}};
  const auto add = [&](const char* name, zp::isa needs) {
    if (zp::contains(zp::cpu_features(), needs)) list.push_back({name, panel::choose(needs)});
  };
  add("avx2", zp::isa::avx2_fma);
  add("avx512", zp::isa::avx2_fma | zp::isa::avx512);
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
      for (const variant& v : variants()) {
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
  for (const variant& v : variants()) {
    CAPTURE(v.name);
    for (float& s : sum) s = 0;
    v.multiply(2, 1, x, 2, w.data(), sum.data());
    for (const float s : sum) REQUIRE(s == 0);
  }
}
