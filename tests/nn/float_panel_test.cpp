// Every float_panel variant against its specification, bit for bit: that is the promise that lets
// weight_only_linear give the same results on every processor.
#include <support/guarded.hpp>
#include <support/test.hpp>

#include <zeropoint/base/aligned_buffer.hpp>
#include <zeropoint/nn/float_panel.hpp>

#include <bit>
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

/// The same bits; any NaN for a NaN, whose payload no definition has.
bool same(const float* a, const float* b, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) {
    if (a[i] != a[i] && b[i] != b[i]) continue;
    if (std::bit_cast<std::uint32_t>(a[i]) != std::bit_cast<std::uint32_t>(b[i])) return false;
  }
  return true;
}

/// Operands of one segment, guarded at both ends; x has NaN between its rows.
struct problem {
  std::size_t depth, rows, panels, stride;
  test::guarded<float> x, w, scale;
  std::vector<float> start;

  problem(std::size_t k, std::size_t m, std::size_t p, bool front)
      : depth(k),
        rows(m),
        panels(p),
        stride(k + m % 3),
        x((m - 1) * stride + k, front),
        w(p * k * panel::width, front),
        scale(p * panel::width, front),
        start(m * p * panel::width) {
    for (std::size_t i = 0; i < (m - 1) * stride + k; ++i) {
      x[i] = std::numeric_limits<float>::quiet_NaN();
    }
  }
  template <class X>
  void fill(test::generator& g, X&& x_of) {
    for (std::size_t i = 0; i < rows; ++i) {
      for (std::size_t k = 0; k < depth; ++k) x[i * stride + k] = x_of(i, k);
    }
    for (std::size_t i = 0; i < panels * depth * panel::width; ++i) {
      w[i] = static_cast<float>(g() % 511) - 255;
    }
    for (std::size_t j = 0; j < panels * panel::width; ++j)
      scale[j] = test::uniform(g, 0.01f, 0.02f);
    for (float& s : start) s = test::normal(g);
  }
  [[nodiscard]] panel::panel_job job(float* sum) const {
    return {depth, rows, panels, x.data(), stride, w.data(), scale.data(), sum};
  }
  [[nodiscard]] std::vector<float> expected() const {
    std::vector<float> sum = start;
    panel::specification(job(sum.data()));
    return sum;
  }
  [[nodiscard]] bool holds(const panel::variant& v, bool front) const {
    const test::guarded<float> sum(start.size(), front);
    std::copy(start.begin(), start.end(), sum.data());
    v.multiply(job(sum.data()));
    return same(sum.data(), expected().data(), start.size());
  }
};

}  // namespace

TEST_CASE("float_panel: every variant has the bits of the specification and touches nothing else") {
  const auto seed = test::seed(21);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  for (const bool front : {false, true}) {
    for (const std::size_t k : {0u, 1u, 2u, 3u, 31u, 128u}) {
      for (const std::size_t rows : {1u, 2u, 3u, 4u, 5u, 7u, 8u, 11u, 12u, 13u, 25u, 33u}) {
        for (const std::size_t panels : {1u, 2u, 3u, 4u}) {
          problem p(k, rows, panels, front);
          p.fill(g, [&](std::size_t, std::size_t) { return test::normal(g); });
          for (const panel::variant& v : variants()) {
            CAPTURE(v.name, k, rows, panels, front);
            REQUIRE(p.holds(v, front));
          }
        }
      }
    }
  }
}

TEST_CASE("float_panel: subnormals, infinities and NaN as in the specification") {
  const auto seed = test::seed(22);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  const float inf = std::numeric_limits<float>::infinity();
  const float special[] = {inf, -inf, std::numeric_limits<float>::quiet_NaN(), 0x1.fffffep127f};
  for (int round = 0; round < 20; ++round) {
    problem p(40, 13, 3, false);
    p.fill(g, [&](std::size_t i, std::size_t k) {
      if (i % 4 == 0) return std::ldexp(test::normal(g), -145);  // subnormal
      if (i % 4 == 1) return std::ldexp(test::normal(g), static_cast<int>(g() % 250) - 125);
      if (i % 4 == 2 && k == g() % 40) return special[g() % 4];
      return test::normal(g);
    });
    for (std::size_t j = 0; j < 48; ++j) {
      if (j % 3 == 0) p.scale[j] = std::ldexp(p.scale[j], -130);
      if (j % 5 == 0) p.start[j] = std::ldexp(p.start[j], -140);
    }
    for (const panel::variant& v : variants()) {
      CAPTURE(v.name, round);
      REQUIRE(p.holds(v, false));
    }
  }
}

TEST_CASE("float_panel: a term is not rounded before it is added") {
  // (1 + 2^-12)^2 = 1 + 2^-11 + 2^-24; minus (1 + 2^-11) leaves 2^-24, where a rounded product
  // would leave 0.
  const float x[2] = {1.0f, 1.0f + 0x1p-12f};
  zp::aligned_buffer<float> w(2 * panel::width), sum(panel::width), ones(panel::width);
  for (std::size_t j = 0; j < panel::width; ++j) {
    ones[j] = 1;
    w[j] = -(1.0f + 0x1p-11f);
    w[panel::width + j] = 1.0f + 0x1p-12f;
  }
  const panel::panel_job job{2, 1, 1, x, 2, w.data(), ones.data(), sum.data()};
  panel::specification(job);
  for (const float v : sum) REQUIRE(v == 0x1p-24f);
  for (const panel::variant& v : variants()) {
    CAPTURE(v.name);
    for (float& s : sum) s = 0;
    v.multiply(job);
    for (const float s : sum) REQUIRE(s == 0x1p-24f);
  }
}

TEST_CASE("float_panel: expanding is exact for all codes and zero points, and stays inside") {
  for (const bool front : {false, true}) {
    for (const std::size_t k : {0u, 1u, 2u, 3u, 129u, 256u}) {
      for (const std::size_t step : {panel::width, 4 * panel::width}) {
        const test::guarded<std::int8_t> codes(k == 0 ? 0 : (k - 1) * step + panel::width, front);
        const test::guarded<float> zero(panel::width, front);
        for (std::size_t i = 0; i < k * panel::width; ++i) {
          codes[i / panel::width * step + i % panel::width] =
              static_cast<std::int8_t>(i / panel::width);
        }
        for (std::size_t j = 0; j < panel::width; ++j) zero[j] = static_cast<float>(j) * 17 - 128;
        for (const panel::variant& v : variants()) {
          CAPTURE(v.name, front, k, step);
          const test::guarded<float> w(k * panel::width, front);
          v.expand(k, codes.data(), step, zero.data(), w.data());
          std::size_t wrong = 0;
          for (std::size_t i = 0; i < k * panel::width; ++i) {
            const std::size_t j = i % panel::width;
            const float code = codes[i / panel::width * step + j];
            wrong += w[i] == code - zero[j] ? 0u : 1u;
          }
          REQUIRE(wrong == 0);
        }
      }
    }
  }
}

TEST_CASE("float_panel: a row over packed codes has the bits of the definition and stays inside") {
  const auto seed = test::seed(25);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  struct shape {
    std::size_t panels, in, group;
  };
  for (const bool front : {false, true}) {
    for (const auto& [panels, in, group] :
         {shape{1, 1, 1}, shape{1, 6, 4}, shape{3, 7, 3}, shape{4, 64, 64}, shape{5, 100, 32},
          shape{9, 257, 257}, shape{4, 513, 128}, shape{8, 330, 50}, shape{7, 300, 200}}) {
      const std::size_t groups = (in + group - 1) / group, params = panels * groups * panel::width;
      const test::guarded<float> x(in, front), scale(params, front), zero(params, front);
      const test::guarded<std::int8_t> codes(panels * in * panel::width, front);
      for (std::size_t i = 0; i < in; ++i) x[i] = test::normal(g);
      for (std::size_t i = 0; i < params; ++i) scale[i] = test::uniform(g, 0.01f, 0.02f);
      for (std::size_t i = 0; i < params; ++i) zero[i] = static_cast<float>(g() % 256) - 128;
      for (std::size_t i = 0; i < panels * in * panel::width; ++i) {
        codes[i] = test::integer<std::int8_t>(g);
      }
      for (const bool zeros : {false, true}) {
        std::vector<float> expected(panels * panel::width);
        for (std::size_t j = 0; j < expected.size(); ++j) {
          const std::size_t p = j / panel::width, column = j % panel::width;
          float total = 0;
          for (std::size_t k = 0; k < in;) {
            const std::size_t end = std::min({in, (k / 128 + 1) * 128, (k / group + 1) * group});
            const std::size_t at = panel::unit_place(p, panels, groups, k / group) + column;
            float acc = 0;
            for (; k < end; ++k) {
              const float code = codes[panel::unit_place(p, panels, in, k) + column];
              acc = std::fma(x[k], zeros ? code - zero[at] : code, acc);
            }
            total = std::fma(scale[at], acc, total);
          }
          expected[j] = total;
        }
        for (const panel::variant& v : variants()) {
          if (v.row == nullptr) continue;
          CAPTURE(v.name, front, zeros, panels, in, group);
          const test::guarded<float> sum(panels * panel::width, front);
          v.row({panels, in, group, x.data(), codes.data(), scale.data(),
                 zeros ? zero.data() : nullptr, sum.data()});
          REQUIRE(same(sum.data(), expected.data(), expected.size()));
        }
      }
    }
  }
}

TEST_CASE("float_panel: units of four panels, the last ones alone, without gaps") {
  for (const std::size_t panels : {1u, 3u, 4u, 6u, 9u}) {
    std::vector<int> used(panels * 5, 0);
    for (std::size_t p = 0; p < panels; ++p) {
      for (std::size_t i = 0; i < 5; ++i) {
        ++used.at(panel::unit_place(p, panels, 5, i) / panel::width);
      }
    }
    REQUIRE(used == std::vector<int>(panels * 5, 1));
  }
  REQUIRE(panel::unit_place(1, 5, 10, 1) == 5 * panel::width);  // beside panel 0's
  REQUIRE(panel::unit_place(4, 5, 10, 1) == 41 * panel::width);
}

TEST_CASE("float_panel: the choice respects what is allowed") {
  REQUIRE(&panel::choose(zp::isa::baseline) == &panel::baseline::table);
  for (const panel::variant& v : variants()) {
    REQUIRE(std::string(panel::choose(v.needs).name) == v.name);
  }
}
