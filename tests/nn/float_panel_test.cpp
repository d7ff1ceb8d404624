// Every float_panel variant against its specification, bit for bit: that is the promise that lets
// weight_only_linear give the same results on every processor.
#include <support/guarded.hpp>
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

TEST_CASE("float_panel: a row over packed codes has the bits of expanded blocks") {
  const auto seed = test::seed(22);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  struct shape {
    std::size_t panels, in, group, block;
  };
  for (const auto& [panels, in, group, block] :
       {shape{1, 1, 1, 1}, shape{3, 7, 3, 5}, shape{4, 64, 64, 128}, shape{5, 100, 32, 33},
        shape{9, 257, 257, 128}, shape{8, 130, 16, 64}}) {
    const std::size_t groups = (in + group - 1) / group;
    std::vector<float> x(in);
    std::vector<std::int8_t> codes(panels * in * panel::width);
    zp::aligned_buffer<float> scale(panels * groups * panel::width), zero(scale.size());
    for (float& v : x) v = test::normal(g);
    for (auto& c : codes) c = test::integer<std::int8_t>(g);
    for (float& s : scale) s = test::uniform(g, 0.01f, 0.02f);
    for (float& z : zero) z = static_cast<float>(g() % 21) - 10;
    std::vector<float> expected(panels * panel::width, 0.0f);
    for (std::size_t p = 0; p < panels; ++p) {
      for (std::size_t first = 0; first < in; first += block) {
        const std::size_t depth = std::min(block, in - first);
        std::vector<float> w(depth * panel::width);
        for (std::size_t i = 0; i < w.size(); ++i) {
          const std::size_t k = first + i / panel::width, j = i % panel::width;
          const std::size_t at = (p * groups + k / group) * panel::width + j;
          w[i] =
              scale[at] * (static_cast<float>(codes[(p * in + k) * panel::width + j]) - zero[at]);
        }
        panel::specification(depth, 1, x.data() + first, in, w.data(),
                             expected.data() + p * panel::width);
      }
    }
    for (const panel::variant& v : variants()) {
      if (v.row == nullptr) continue;
      CAPTURE(v.name, panels, in, group, block);
      zp::aligned_buffer<float> sum(panels * panel::width);
      v.row({panels, in, group, block, x.data(), codes.data(), scale.data(), zero.data(),
             sum.data()});
      REQUIRE(std::memcmp(sum.data(), expected.data(), sum.size() * sizeof(float)) == 0);
    }
  }
}

TEST_CASE("float_panel: multiplying touches nothing outside") {
  const auto seed = test::seed(23);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  for (const bool front : {false, true}) {
    for (const std::size_t k : {0u, 1u, 2u, 5u, 128u}) {
      for (const std::size_t rows : {1u, 3u, 4u, 5u, 9u}) {
        const std::size_t stride = k + rows % 3;
        const test::guarded<float> x((rows - 1) * stride + k, front), w(k * panel::width, front);
        for (std::size_t i = 0; i < (rows - 1) * stride + k; ++i) x[i] = test::normal(g);
        for (std::size_t i = 0; i < k * panel::width; ++i) w[i] = test::normal(g);
        std::vector<float> expected(rows * panel::width, 0.5f);
        panel::specification(k, rows, x.data(), stride, w.data(), expected.data());
        for (const panel::variant& v : variants()) {
          CAPTURE(v.name, front, k, rows);
          const test::guarded<float> sum(rows * panel::width, front);
          std::fill_n(sum.data(), expected.size(), 0.5f);
          v.multiply(k, rows, x.data(), stride, w.data(), sum.data());
          REQUIRE(std::memcmp(sum.data(), expected.data(), expected.size() * sizeof(float)) == 0);
        }
      }
    }
  }
}

TEST_CASE("float_panel: expanding touches nothing outside") {
  const auto seed = test::seed(24);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  for (const bool front : {false, true}) {
    for (const std::size_t k : {0u, 1u, 2u, 3u, 129u}) {
      const test::guarded<std::int8_t> codes(k * panel::width, front);
      const test::guarded<float> scale(panel::width, front), zero(panel::width, front);
      for (std::size_t i = 0; i < k * panel::width; ++i) codes[i] = test::integer<std::int8_t>(g);
      for (std::size_t j = 0; j < panel::width; ++j) {
        scale[j] = test::uniform(g, 0.01f, 0.02f);
        zero[j] = static_cast<float>(g() % 256) - 128;
      }
      for (const panel::variant& v : variants()) {
        CAPTURE(v.name, front, k);
        const test::guarded<float> w(k * panel::width, front);
        v.expand(k, codes.data(), scale.data(), zero.data(), w.data());
        for (std::size_t i = 0; i < k * panel::width; ++i) {
          const std::size_t j = i % panel::width;
          REQUIRE(w[i] == scale[j] * (static_cast<float>(codes[i]) - zero[j]));
        }
      }
    }
  }
}

TEST_CASE("float_panel: a row over packed codes touches nothing outside, with and without zeros") {
  const auto seed = test::seed(25);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  struct shape {
    std::size_t panels, in, group, block;
  };
  for (const bool front : {false, true}) {
    for (const auto& [panels, in, group, block] :
         {shape{1, 1, 1, 1}, shape{1, 6, 4, 128}, shape{3, 7, 3, 5}, shape{4, 64, 64, 128},
          shape{5, 100, 32, 33}, shape{4, 513, 128, 128}, shape{8, 130, 16, 64}}) {
      const std::size_t groups = (in + group - 1) / group, params = panels * groups * panel::width;
      const test::guarded<float> x(in, front), scale(params, front), zero(params, front);
      const test::guarded<std::int8_t> codes(panels * in * panel::width, front);
      for (std::size_t i = 0; i < in; ++i) x[i] = test::normal(g);
      for (std::size_t i = 0; i < params; ++i) scale[i] = test::uniform(g, 0.01f, 0.02f);
      for (std::size_t i = 0; i < params; ++i) zero[i] = static_cast<float>(g() % 21) - 10;
      for (std::size_t i = 0; i < panels * in * panel::width; ++i) {
        codes[i] = test::integer<std::int8_t>(g);
      }
      for (const bool zeros : {false, true}) {
        std::vector<float> expected(panels * panel::width, 0.0f);
        for (std::size_t j = 0; j < expected.size(); ++j) {
          const std::size_t p = j / panel::width, column = j % panel::width;
          for (std::size_t first = 0; first < in; first += block) {
            float sum = 0;
            for (std::size_t k = first; k < std::min(in, first + block); ++k) {
              const std::size_t at = (p * groups + k / group) * panel::width + column;
              const auto code = static_cast<float>(codes[(p * in + k) * panel::width + column]);
              float product = scale[at] * (zeros ? code - zero[at] : code) * x[k];
              ZP_ROUNDED(product);
              sum += product;
            }
            expected[j] += sum;
          }
        }
        for (const panel::variant& v : variants()) {
          if (v.row == nullptr) continue;
          CAPTURE(v.name, front, zeros, panels, in, group, block);
          const test::guarded<float> sum(panels * panel::width, front);
          v.row({panels, in, group, block, x.data(), codes.data(), scale.data(),
                 zeros ? zero.data() : nullptr, sum.data()});
          REQUIRE(std::memcmp(sum.data(), expected.data(), expected.size() * sizeof(float)) == 0);
        }
      }
    }
  }
}

TEST_CASE("float_panel: the choice respects what is allowed") {
  REQUIRE(&panel::choose(zp::isa::baseline) == &panel::baseline::table);
  for (const panel::variant& v : variants()) {
    REQUIRE(std::string(panel::choose(v.needs).name) == v.name);
  }
}
