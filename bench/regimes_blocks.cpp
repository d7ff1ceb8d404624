// Layers with floats in and out beside other libraries. Those that quantize the activations of each
// call beside libraries that do, with weights in blocks of 32: 8 bits against our int8 layer, 4 bits
// against our int4 layer. Those that keep them in f32 beside products of f32, of f32 with int8, and
// with such blocks of 4 bits.
#include <zeropoint/nn/int4_linear.hpp>
#include <zeropoint/nn/linear.hpp>

#include <algorithm>
#include <random>

#include "against.hpp"
#include "regimes.hpp"

namespace bench {

namespace {

/// Codes from -top to top, with `top` in each block of 32: whoever finds a scale for them finds 1, and
/// the sums, integers below 2^24, are the same in floats.
std::vector<std::int8_t> codes(std::size_t n, int top) {
  std::mt19937_64 g(4);
  std::vector<std::int8_t> all(n);
  for (std::size_t i = 0; i < n; ++i) {
    const int code = static_cast<int>(g() % static_cast<unsigned>(2 * top + 1)) - top;
    all[i] = static_cast<std::int8_t>(i % 32 == 0 ? top : code);
  }
  return all;
}

/// A kind of layer, and the modes that it is compared with.
struct kind {
  std::string name;
  int top;  ///< of its codes
  std::vector<std::string> modes;
  std::string shape = "";  ///< added to the shapes of its races
};

/// make(weights) is the layer.
template <class Make>
std::vector<peer_ratio> race_layer(const settings& o, findings& found, const kind& of,
                                   const shape& s, std::size_t m, bool cold, Make&& make) {
  const auto a = codes(m * s.k, 127), w = codes(s.n * s.k, of.top);
  const std::vector<float> x(a.begin(), a.end()), weights(w.begin(), w.end());
  const auto first = make(zp::linear_weight{{weights.data(), s.n, s.k}});
  const std::vector layers(cold ? cold_copies(first.weight_bytes()) : 1, first);
  zp::aligned_buffer<float> y(m * s.n);
  zp::aligned_buffer<std::int32_t> sums(m * s.n);
  const zp::matrix_view<std::int32_t> c(sums.data(), m, s.n);
  zp::gemm(zp::matrix_view<const std::int8_t>(a.data(), m, s.k),
           zp::pack(zp::matrix_view<const std::int8_t>(w.data(), s.n, s.k)), c);
  race r(o, cold);
  std::size_t next = 0;
  r.enter(
      "layer",
      [&] {
        layers[next++ % layers.size()]({x.data(), m, s.k}, {y.data(), m, s.n});
      },
      layers.size());
  our_entries ours;
  for (const std::string& mode : of.modes) ours[mode] = "layer";
  const opponents others(r, {m, s.k, s.n, layers.size(), a.data(), w.data()}, c, ours);
  r.run();
  if (!std::equal(sums.span().begin(), sums.span().end(), y.span().begin())) {
    throw std::runtime_error("our own " + of.name + " is not exact");
  }
  return others.results(s.name + (cold ? ", cold" : "") + of.shape, found);
}

/// The races of one row with weights from memory, and of many rows.
template <class Make>
void race_layers(const settings& o, findings& found, const kind& of,
                 const std::vector<std::size_t>& rows, contests& one, contests& many, Make&& make) {
  if (std::none_of(of.modes.begin(), of.modes.end(), &has_peers)) return;
  for (const shape& s : {shape{"qkv", 768, 2304}, shape{"q", 2048, 2048}}) {
    one.take(race_layer(o, found, of, s, 1, true, make));
    for (const std::size_t m : rows) many.take(race_layer(o, found, of, s, m, false, make));
  }
}

/// Layers that quantize their activations, as those peers do.
template <class Layer>
void race_quantizing(const settings& o, findings& found, const kind& of, const peer_target& one_row,
                     const peer_target& many_rows) {
  contests one, many;
  race_layers(o, found, of, {8, 32, 128}, one, many,
              [](const zp::linear_weight& w) { return Layer(w); });
  one.add_to(found, of.name + ", M = 1 from memory", of.modes[0], {one_row});
  many.add_to(found, of.name + ", M >= 8", of.modes[0], {many_rows});
}

}  // namespace

void blocks(const settings& o, findings& found) {
  race_quantizing<zp::dynamic_linear>(o, found, {"dynamic W8A8 layer", 127, {"q8_0"}},
                                      {"ggml", 1.3, 1.3}, {"ggml", 7, 7});
  race_quantizing<zp::int4_linear>(o, found, {"int4 layer", 7, {"q4_0"}}, {"ggml", 1.3, 1.5},
                                   {"ggml", 2.3, 2.6});
  const std::string shape = ", f32 activations", regime = shape + ", M = 1 from memory";
  contests w8, w4, none;
  race_layers(o, found, {"W8 layer", 127, {"f32s8", "f32"}, shape}, {}, w8, none,
              [](const zp::linear_weight& w) { return zp::weight_only_linear(w); });
  w8.add_to(found, "W8 layer" + regime, "f32s8", {{"oneDNN", 3, 4}});
  w8.add_to(found, "W8 layer" + regime, "f32", {{"", 3, 3}});
  race_layers(o, found, {"W4 g32 layer", 7, {"q4_0"}, shape}, {}, w4, none,
              [](const zp::linear_weight& w) {
                return zp::weight_only_linear(zp::quantized_weight::with_half_scales(
                    w, zp::per_group{32}, zp::symmetric.with_bits(4)));
              });
  w4.add_to(found, "W4 g32 layer" + regime, "q4_0", {{"ggml", 1.0, 1.15}});
}

}  // namespace bench
