// Panels of codes with two to a byte: every variant has the bits of the definition and touches no
// byte outside of the records, the row and the sums.
#include <nn/reference.hpp>
#include <support/guarded.hpp>

#include <zeropoint/nn/nibble_panels.hpp>

using test::matrix;
namespace zp = zeropoint;
namespace panel = zeropoint::float_panel;

namespace {

/// The variants that run here.
std::vector<const panel::variant*> variants() {
  std::vector<const panel::variant*> list;
  for (const panel::variant* v : panel::compiled) {
    if (zp::contains(zp::cpu_features(), v->needs)) list.push_back(v);
  }
  return list;
}

struct example {
  std::size_t in, out, group;
  bool half, affine;
};
std::vector<example> examples() {
  std::vector<example> list;
  for (const bool half : {false, true}) {
    for (const bool affine : {false, true}) {
      for (const auto& [in, out] : {std::pair<std::size_t, std::size_t>{1, 1},
                                    {8, 16},
                                    {31, 64},
                                    {32, 80},
                                    {136, 210},
                                    {129, 100},
                                    {200, 200},
                                    {257, 130}}) {
        for (const std::size_t group : {8u, 32u, 64u, 128u, 160u, 1000u}) {
          list.push_back({in, out, group, half, affine});
        }
      }
    }
  }
  return list;
}

zp::quantized_weight weights(test::generator& g, const example& e) {
  const matrix w = test::normal_matrix(g, e.out, e.in);
  const zp::linear_weight weight{w.view()};
  const zp::scheme s = (e.affine ? zp::affine : zp::symmetric_full).with_bits(4);
  return e.half ? zp::quantized_weight::with_half_scales(weight, zp::per_group{e.group}, s)
                : zp::quantized_weight(weight, zp::per_group{e.group}, s);
}
/// code - zero point, 0 beyond the outputs.
float steps_at(const zp::quantized_weight& q, std::size_t j, std::size_t k) {
  if (j >= q.out()) return 0;
  return static_cast<float>(q.code(j, k) - q.params_at(j, k).zero_point);
}
float scale_at(const zp::quantized_weight& q, std::size_t j, std::size_t k) {
  return j < q.out() ? q.params_at(j, k).scale : 0.0f;
}

}  // namespace

TEST_CASE("nibble_panels: a row has the bits of the definition and stays within its bytes") {
  const auto seed = test::seed(23);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  constexpr std::size_t width = panel::width;
  for (const example& e : examples()) {
    const zp::quantized_weight q = weights(g, e);
    REQUIRE(zp::nibble_panels::fits(q));
    const zp::nibble_panels kept(q);
    REQUIRE(kept.format().half_scales == e.half);
    const std::size_t panels = (e.out + width - 1) / width;
    REQUIRE(kept.bytes() == kept.format().bytes(panels));
    const auto x = test::normal_vector(g, e.in);
    std::vector<float> expected(panels * width, 0.0f);
    for (std::size_t j = 0; j < panels * width; ++j) {
      for (std::size_t k = 0; k < e.in;) {
        const std::size_t end = std::min({e.in, (k / 128 + 1) * 128, (k / e.group + 1) * e.group});
        const float scale = scale_at(q, j, k);
        float acc = 0;
        for (; k < end; ++k) acc = std::fma(x[k], steps_at(q, j, k), acc);
        expected[j] = std::fma(scale, acc, expected[j]);
      }
    }
    for (const bool front : {false, true}) {
      const test::guarded<std::byte> records(kept.bytes(), front);
      const test::guarded<float> row(e.in, front), sum(panels * width, front);
      std::memcpy(records.data(), kept.records().data(), kept.bytes());
      std::memcpy(row.data(), x.data(), e.in * sizeof(float));
      for (const panel::variant* v : variants()) {
        if (v->nibble_row == nullptr) continue;
        CAPTURE(v->name, e.in, e.out, e.group, e.half, e.affine, front);
        v->nibble_row({&kept.format(), panels, row.data(), records.data(), sum.data()});
        REQUIRE(std::memcmp(sum.data(), expected.data(), panels * width * sizeof(float)) == 0);
      }
    }
  }
}

TEST_CASE("nibble_panels: expanding is exact, from any segment on, and stays within its bytes") {
  const auto seed = test::seed(24);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  constexpr std::size_t width = panel::width;
  for (const example& e : examples()) {
    const zp::quantized_weight q = weights(g, e);
    const zp::nibble_panels kept(q);
    const std::size_t panels = (e.out + width - 1) / width;
    const test::guarded<std::byte> records(kept.bytes());
    std::memcpy(records.data(), kept.records().data(), kept.bytes());
    for (std::size_t first = 0, depth = 0; first < e.in; first += depth) {
      depth = panel::segment_end(first, e.in, kept.group_size()) - first;
      const test::guarded<float> w(depth * width), scale(width);
      for (std::size_t p = 0; p < panels; ++p) {
        const auto place = panel::nibble_panel_at(kept.format(), records.data(), panels, p);
        for (const panel::variant* v : variants()) {
          CAPTURE(v->name, e.in, e.out, e.group, e.half, e.affine, first, p);
          v->expand_nibbles(panel::segment_at(place, first, depth), w.data(), scale.data());
          std::size_t wrong = 0;
          for (std::size_t i = 0; i < depth * width; ++i) {
            wrong += w[i] != steps_at(q, p * width + i % width, first + i / width) ? 1u : 0u;
          }
          for (std::size_t j = 0; j < width; ++j) {
            wrong += scale[j] != scale_at(q, p * width + j, first) ? 1u : 0u;
          }
          REQUIRE(wrong == 0);
        }
      }
    }
  }
}

TEST_CASE("nibble_panels: what does not fit") {
  const matrix w(3, 64, 0.5f), none(3, 0);
  const auto fits = [](const matrix& values, zp::weight_granularity granularity, int bits) {
    return zp::nibble_panels::fits(zp::quantized_weight(
        zp::linear_weight{values.view()}, granularity, zp::symmetric.with_bits(bits)));
  };
  REQUIRE(fits(w, zp::per_tensor, 4));
  REQUIRE(fits(w, zp::per_output_channel, 2));
  REQUIRE(fits(w, zp::per_group{40}, 3));
  REQUIRE(fits(w, zp::per_group{100}, 4));
  REQUIRE(!fits(w, zp::per_group{12}, 4));  // a group would begin within a word
  REQUIRE(!fits(w, zp::per_group{32}, 5));
  REQUIRE(!fits(none, zp::per_tensor, 4));
}
