// Layers with floats in and out beside libraries that quantize the activations of each call as we do,
// with weights in blocks of 32: 8 bits against our int8 layer, 4 bits against our int4 layer.
#include <zeropoint/nn/int4_linear.hpp>
#include <zeropoint/nn/linear.hpp>

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

template <class Layer>
std::vector<peer_ratio> race_layer(const settings& o, findings& found, const std::string& mode,
                                   const shape& s, std::size_t m, bool cold) {
  constexpr bool four = std::is_same_v<Layer, zp::int4_linear>;
  const auto a = codes(m * s.k, 127), w = codes(s.n * s.k, four ? 7 : 127);
  const std::vector<float> x(a.begin(), a.end()), weights(w.begin(), w.end());
  const zp::linear_weight floats{{weights.data(), s.n, s.k}};
  const std::size_t bytes = four ? s.n * s.k * 9 / 16 : s.n * s.k;
  const std::vector<Layer> layers(cold ? cold_copies(bytes) : 1, Layer(floats));
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
  const opponents others(r, {m, s.k, s.n, layers.size(), a.data(), w.data()}, c, {{mode, "layer"}});
  r.run();
  if (!std::equal(sums.span().begin(), sums.span().end(), y.span().begin())) {
    throw std::runtime_error("our own layer of " + mode + " is not exact");
  }
  return others.results(s.name + (cold ? ", cold" : ""), found);
}

template <class Layer>
void race_layers(const settings& o, findings& found, const std::string& mode,
                 const std::string& name, const peer_target& one_row,
                 const peer_target& many_rows) {
  if (!has_peers(mode)) return;
  contests one, many;
  for (const shape& s : {shape{"qkv", 768, 2304}, shape{"q", 2048, 2048}}) {
    one.take(race_layer<Layer>(o, found, mode, s, 1, true));
    for (const std::size_t m : {8u, 32u, 128u}) {
      many.take(race_layer<Layer>(o, found, mode, s, m, false));
    }
  }
  one.add_to(found, name + ", M = 1 from memory", mode, {one_row});
  many.add_to(found, name + ", M >= 8", mode, {many_rows});
}

}  // namespace

void blocks(const settings& o, findings& found) {
  race_layers<zp::dynamic_linear>(o, found, "q8_0", "dynamic W8A8 layer", {"ggml", 1.3, 1.3},
                                  {"ggml", 7, 7});
  race_layers<zp::int4_linear>(o, found, "q4_0", "int4 layer", {"ggml", 1.3, 1.5},
                               {"ggml", 2.3, 2.6});
}

}  // namespace bench
