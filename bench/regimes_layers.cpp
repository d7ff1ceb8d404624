// Layers and row loops against the multiply-add peak and the streaming read.
#include <zeropoint/base/thread_team.hpp>
#include <zeropoint/nn/linear.hpp>

#include <map>

#include "regimes.hpp"

namespace bench {

namespace {

/// The compiler must assume that it is used.
template <class T>
void keep(const T& value) {
  __asm__ volatile("" ::"r"(&value) : "memory");
}

}  // namespace

void layers(const settings& o, limits& limit, findings& found) {
  std::vector<double> fused, weight_only, four_bits, four_to_eight, seven_bits;
  std::map<std::size_t, std::vector<double>> threads;  // by m
  for (const shape& s : read_shapes(ZP_BENCH_SHAPES "/gpt2.txt")) {
    const auto weights = normal_floats(s.k * s.n);
    const zp::linear_weight w{{weights.data(), s.n, s.k}};
    const zp::dynamic_linear dynamic(w);
    for (const std::size_t m : {32u, 128u}) {
      const auto x = normal_floats(m * s.k);
      std::vector<float> y(m * s.n);
      race r(o, false);
      r.enter("layer", [&] { dynamic({x.data(), m, s.k}, {y.data(), m, s.n}); });
      limit.enter_peak(r, 2.0 * static_cast<double>(m * s.k * s.n));
      const zp::dynamic_linear narrow(w, {}, {.activations = zp::symmetric.with_bits(7)});
      const bool certified = &narrow.kernel() != &dynamic.kernel();
      if (certified) r.enter("narrow", [&] { narrow({x.data(), m, s.k}, {y.data(), m, s.n}); });
      r.run();
      if (limit.has_peak()) fused.push_back(r.ratio("peak", "layer"));
      if (certified) seven_bits.push_back(r.ratio("layer", "narrow"));
    }
    const std::vector<zp::weight_only_linear> floats(cold_copies(s.k * s.n),
                                                     zp::weight_only_linear(w));
    const zp::weight_only_linear nibbles(
        zp::quantized_weight::with_half_scales(w, zp::per_group{32}, zp::symmetric.with_bits(4)));
    const std::vector<zp::weight_only_linear> fours(cold_copies(nibbles.weight_bytes()), nibbles);
    const auto x = normal_floats(s.k);
    std::vector<float> y(s.n);
    race r(o, true);
    const auto enter = [&](const char* name, const std::vector<zp::weight_only_linear>& copies) {
      r.enter(
          name,
          [&, next = std::size_t{0}]() mutable {
            copies[next++ % copies.size()]({x.data(), 1, s.k}, {y.data(), 1, s.n});
          },
          copies.size());
    };
    enter("layer", floats);
    enter("fours", fours);
    limit.enter_read(r, s.k * s.n, true);
    r.run();
    weight_only.push_back(r.ratio("read", "layer"));
    four_bits.push_back(r.ratio("read", "fours") * static_cast<double>(nibbles.weight_bytes()) /
                        static_cast<double>(s.k * s.n));
    four_to_eight.push_back(r.ratio("layer", "fours"));
    for (const std::size_t m : {128u, 512u}) {
      product p(m, s, zp::kernels::best(), output::f32, false);
      race both(o, true, &wall_seconds);
      both.enter("one", [&] { p.run(zp::serial{}); });
      both.enter("two", [&] { p.run(zp::thread_team(2)); });
      both.run();
      threads[m].push_back(both.ratio("one", "two"));
    }
  }
  if (limit.has_peak()) {
    found.add("dynamic W8A8 layer, f32 in and out, M >= 32", "of dot peak", 0.80, 0.90,
              geometric_mean(fused));
  }
  if (!seven_bits.empty()) {  // only a kernel with a twin for certified weights gains by it
    found.add("dynamic layer, 7-bit activations, against 8 bits, M >= 32", "x", 1.0, 1.2,
              geometric_mean(seven_bits));
  }
  found.add("W8 layer, f32 activations, M = 1, weights from memory", "of read bandwidth", 0.75,
            0.90, geometric_mean(weight_only));
  found.add("W4 g32 layer, f32 activations, M = 1, weights from memory", "of read bandwidth", 0.55,
            0.75, geometric_mean(four_bits));
  found.add("W4 g32 layer, f32 activations, M = 1, against W8", "x", 1.15, 1.4,
            geometric_mean(four_to_eight));
  for (const auto& [m, ratios] : threads) {
    found.add("two threads, M = " + std::to_string(m), "x one thread", 1.75, 1.9,
              geometric_mean(ratios));
  }
}

void row_loops(const settings& o, findings& found) {
  const std::size_t columns = 768;
  for (const bool in_cache : {true, false}) {
    const std::size_t rows = in_cache ? 21 : (o.quick ? 21'000 : 84'000), n = rows * columns;
    const std::string size = in_cache ? "64 KB" : o.quick ? "64 MB" : "256 MB";
    const std::vector<float> x = normal_floats(n);
    std::vector<std::int8_t> codes(n);
    std::vector<float> back(n), scales(rows);
    const zp::matrix_view<const float> in(x.data(), rows, columns);
    const zp::matrix_view<std::int8_t> to(codes.data(), rows, columns);
    const zp::params p = zp::fit({-2, 2}, zp::symmetric);
    race r(o, !in_cache);
    r.enter("static", [&] { zp::quantize_into(in, p, to); });
    r.enter("dynamic", [&] {
      zp::quantize_into(in, zp::per_token, zp::symmetric, to, std::span<float>(scales), {});
    });
    r.enter("back", [&] {
      zp::dequantize_row(std::span<const std::int8_t>(codes), p, std::span<float>(back));
    });
    // What observers and the damage of a quantization cost.
    const std::span<const float> all(x);
    r.enter("absmax", [&] { keep(zp::elementwise::absmax(all)); });
    r.enter("min max", [&] { keep(zp::elementwise::min_max(all)); });
    r.enter("damage", [&] {
      zp::quantization_statistics damage;
      zp::quantize_row(all, p, std::span<std::int8_t>(codes), damage);
      keep(damage.signal);
    });
    const auto read = [&](read_loop loop) {
      loop(reinterpret_cast<const std::byte*>(x.data()), n * sizeof(float));
    };
    r.enter("read", [&, loop = fastest_read(read)] { read(loop); });
    r.run();
    found.add("quantize f32 to s8, " + size, "of read bandwidth", 0.60, in_cache ? 0.75 : 0.72,
              r.ratio("read", "static"));
    found.add("dynamic quantization by row, " + size, "of read bandwidth", in_cache ? 0.33 : 0.55,
              in_cache ? 0.40 : 0.62, r.ratio("read", "dynamic"));
    found.add("dequantize s8 to f32, " + size, "of read bandwidth", in_cache ? 0.70 : 0.65,
              in_cache ? 0.75 : 0.90, r.ratio("read", "back"));
    const auto watch = [&](const std::string& name, const char* entry) {
      found.add(name + ", " + size, "of read bandwidth", no_target, no_target,
                r.ratio("read", entry));
    };
    watch("largest absolute value of f32", "absmax");
    watch("smallest and largest value of f32", "min max");
    watch("quantize f32 to s8 with statistics", "damage");
  }
}

}  // namespace bench
