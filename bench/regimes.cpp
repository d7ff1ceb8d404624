// zp-regimes: each regime of quantized inference against its floor and goal, and against the other
// libraries that were found, in one process.
//
//   zp-regimes [--quick] [--json FILE] [--markdown FILE]
//
// In every round all competitors take a slot in turn, the peak loops and the streaming read among
// them; a number is the median over rounds of the ratio within one round. One thread is timed by its
// processor time; two threads by the clock on the wall. Exit code 0 whether or not a floor is met:
// this reports, tests assert.
#include <zeropoint/math/requantize.hpp>
#include <zeropoint/nn/linear.hpp>

#include <CLI/CLI.hpp>
#include <cmath>
#include <map>

#include "findings.hpp"
#include "peers/peer.hpp"
#include "race.hpp"

namespace {

using namespace bench;

/// What one int8 product and its peers did.
struct outcome {
  double of_peak = 0, of_read = 0;
  std::map<std::string, double> against;  ///< by mode, the best peer: how many times as fast we are
};

/// The same numbers out of another library: exactly, or requantized to int8 exactly, or in f32 as k
/// additions can round: each by 2^-24 of a partial sum, and those are below 4 standard deviations of
/// the whole, 73^2 sqrt(k).
void require_same(const peer& other, peer_product& theirs, std::size_t k,
                  const zp::matrix_view<std::int32_t>& c) {
  theirs.run();
  const double depth = static_cast<double>(k);
  const float multiplier = requantization_multiplier(k);
  const zp::params int8{1, 0, -128, 127};
  const double near = depth * 0x1p-24 * 4 * 73 * 73 * std::sqrt(depth);
  for (std::size_t i = 0; i < c.rows(); ++i) {
    for (std::size_t j = 0; j < c.cols(); ++j) {
      const double exact =
          other.mode == "s8s8s8" ? zp::requantize(c(i, j), multiplier, int8) : c(i, j);
      const double got = theirs.at(i, j);
      const bool same = other.mode == "f32" ? std::fabs(got - exact) <= near : got == exact;
      if (same) continue;
      std::cerr << "zp-regimes: " << other.name << ' ' << other.mode << " gives " << got << " at ("
                << i << ", " << j << "), expected " << exact << '\n';
      std::exit(1);
    }
  }
}

outcome race_int8(const settings& o, limits& limit, findings& found, const shape& s, std::size_t m,
                  bool cold) {
  const auto& kernel = zp::kernels::best();
  product to_f32(m, s, kernel, output::f32, cold), to_s32(m, s, kernel, output::s32, cold);
  race r(o, cold);
  r.enter("f32", [&] { to_f32.run(zp::serial{}); });
  r.enter("s32", [&] { to_s32.run(zp::serial{}); });
  limit.enter_peak(r, to_f32.operations());
  limit.enter_read(r, to_f32.bytes(), cold);
  std::vector<std::pair<peer, std::unique_ptr<peer_product>>> others;
  to_s32.run(zp::serial{});
  for (const peer& other : peers()) {
    if (cold && other.mode == "f32") continue;  // four times the bytes: another regime
    auto theirs = other.make({m, s.k, s.n, to_s32.copies(), to_s32.a(), to_s32.w()});
    require_same(other, *theirs, s.k, to_s32.result());
    others.emplace_back(other, std::move(theirs));
    r.enter(other.name + other.mode, [p = others.back().second.get()] { p->run(); });
  }
  r.run();
  outcome result;
  if (limit.has_peak()) result.of_peak = r.ratio("peak", "f32");
  result.of_read = r.ratio("read", "f32");
  for (const auto& [other, theirs] : others) {
    const double ratio = r.ratio(other.name + other.mode, other.mode == "f32" ? "f32" : "s32");
    double& best = result.against[other.mode];
    best = best == 0 ? ratio : std::min(best, ratio);
    found.peers.push_back({{"shape", s.name + (cold ? ", cold" : "")},
                           {"m", m},
                           {"k", s.k},
                           {"n", s.n},
                           {"mode", other.mode},
                           {"peer", other.name},
                           {"ratio", ratio}});
  }
  return result;
}

/// Fractions and ratios of several products in one number each.
struct summary {
  std::vector<double> of_peak, of_read;
  std::map<std::string, std::vector<double>> against;
  void take(const outcome& one) {
    of_peak.push_back(one.of_peak), of_read.push_back(one.of_read);
    for (const auto& [mode, ratio] : one.against) against[mode].push_back(ratio);
  }
  void add_against(findings& found, const std::string& name, const char* mode, double goal) const {
    const auto at = against.find(mode);
    if (at == against.end()) return;
    const std::string other = mode == std::string("f32") ? "best f32" : "best int8 peer";
    found.add(name + " against the " + other, "x", goal, goal, geometric_mean(at->second));
  }
};

std::vector<shape> shapes(const settings& o) {
  const std::string folder = ZP_BENCH_SHAPES "/";
  std::vector<shape> all = read_shapes(folder + "gpt2.txt");
  if (o.quick) return all;
  for (const char* more : {"opt-1.3b.txt", "squares.txt"}) {
    for (const shape& s : read_shapes(folder + more)) all.push_back(s);
  }
  return all;
}

void int8_hot(const settings& o, limits& limit, findings& found) {
  summary large, medium, small;
  for (const shape& s : shapes(o)) {
    for (const std::size_t m : {std::size_t{128}, std::size_t{512}}) {
      if (!o.quick || m == 128) large.take(race_int8(o, limit, found, s, m, false));
    }
    medium.take(race_int8(o, limit, found, s, 32, false));
    if (s.k * s.n <= 2'500'000) small.take(race_int8(o, limit, found, s, 8, false));
  }
  if (limit.has_peak()) {
    found.add("int8, M >= 128, worst shape", "of dot peak", 0.85, 0.92,
              *std::min_element(large.of_peak.begin(), large.of_peak.end()));
    found.add("int8, M >= 128, geometric mean", "of dot peak", 0.85, 0.92,
              geometric_mean(large.of_peak));
    found.add("int8, M = 32", "of dot peak", 0.88, 0.93, geometric_mean(medium.of_peak));
    found.add("int8, M = 8, weights in cache", "of dot peak", 0.85, 0.91,
              geometric_mean(small.of_peak));
  }
  large.add_against(found, "int8, M >= 128", "s8s8s32", 1.0);
  large.add_against(found, "int8, M >= 128", "f32", 4.0);
  medium.add_against(found, "int8, M = 32", "s8s8s32", 1.05);
  small.add_against(found, "int8, M = 8", "s8s8s32", 1.25);
}

void int8_cold(const settings& o, limits& limit, findings& found) {
  const std::vector<shape> all = {{"qkv", 768, 2304}, {"q", 2048, 2048}};
  std::map<std::size_t, summary> by_m;
  for (const shape& s : all) {
    for (const std::size_t m : {1u, 4u, 8u, 16u, 32u}) {
      by_m[m].take(race_int8(o, limit, found, s, m, true));
    }
  }
  const auto read = [&](std::size_t m, double floor, double goal) {
    found.add("int8, M = " + std::to_string(m) + ", weights from memory", "of read bandwidth",
              floor, goal, geometric_mean(by_m[m].of_read));
  };
  read(1, 0.92, 0.97), read(4, 0.85, 0.92), read(8, 0.80, 0.90);
  if (limit.has_peak()) {
    found.add("int8, M = 16, weights from memory", "of dot peak", 0.62, 0.67,
              geometric_mean(by_m[16].of_peak));
    found.add("int8, M = 32, weights from memory", "of dot peak", 0.75, 0.80,
              geometric_mean(by_m[32].of_peak));
  }
  by_m[1].add_against(found, "int8, M = 1 from memory", "s8s8s32", 1.2);
  by_m[8].add_against(found, "int8, M = 8 from memory", "s8s8s32", 1.45);
}

void int4(const settings& o, limits& limit, findings& found) {
  const auto& kernel = zp::kernels::best();
  std::vector<double> over_int8, of_read, of_peak;
  for (const shape& s : {shape{"qkv", 768, 2304}, shape{"q", 2048, 2048}}) {
    product four(1, s, kernel, output::int4, true), eight(1, s, kernel, output::f32, true);
    race r(o, true);
    r.enter("int4", [&] { four.run(zp::serial{}); });
    r.enter("int8", [&] { eight.run(zp::serial{}); });
    limit.enter_read(r, four.bytes(), true);
    r.run();
    over_int8.push_back(r.ratio("int8", "int4"));
    of_read.push_back(r.ratio("read", "int4"));
    for (const std::size_t m : {8u, 32u, 128u}) {
      product p(m, s, kernel, output::int4, false);
      race compute(o, false);
      compute.enter("int4", [&] { p.run(zp::serial{}); });
      limit.enter_peak(compute, p.operations());
      compute.run();
      if (limit.has_peak()) of_peak.push_back(compute.ratio("peak", "int4"));
    }
  }
  found.add("int4 g32 x int8, M = 1, against own int8", "x", 1.45, 1.65, geometric_mean(over_int8));
  found.add("int4 g32 x int8, M = 1", "of read bandwidth", 0.9, 0.9, geometric_mean(of_read));
  if (limit.has_peak()) {
    found.add("int4 g32 x int8, M >= 8", "of dot peak", 0.60, 0.70, geometric_mean(of_peak));
  }
}

std::vector<float> normal_floats(std::size_t n) {
  std::mt19937_64 g(2);
  std::vector<float> x(n);
  for (float& v : x) {
    v = 0;
    for (int i = 0; i < 4; ++i) v += static_cast<float>(g() >> 40) * 0x1p-24f - 0.5f;
  }
  return x;
}

void layers(const settings& o, limits& limit, findings& found) {
  std::vector<double> fused, weight_only, threads;
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
      r.run();
      if (limit.has_peak()) fused.push_back(r.ratio("peak", "layer"));
    }
    const zp::weight_only_linear floats(w);
    const auto x = normal_floats(s.k);
    std::vector<float> y(s.n);
    race r(o, false);
    r.enter("layer", [&] { floats({x.data(), 1, s.k}, {y.data(), 1, s.n}); });
    limit.enter_read(r, s.k * s.n, false);
    r.run();
    weight_only.push_back(r.ratio("read", "layer"));
#if defined(_OPENMP)
    product p(512, s, zp::kernels::best(), output::f32, false);
    race both(o, true, &wall_seconds);
    both.enter("one", [&] { p.run(zp::serial{}); });
    both.enter("two", [&] { p.run(zp::openmp(2)); });
    both.run();
    threads.push_back(both.ratio("one", "two"));
#endif
  }
  if (limit.has_peak()) {
    found.add("dynamic W8A8 layer, f32 in and out, M >= 32", "of dot peak", 0.80, 0.90,
              geometric_mean(fused));
  }
  found.add("W8 layer, f32 activations, M = 1", "of read bandwidth", 0.75, 0.90,
            geometric_mean(weight_only));
  if (!threads.empty()) {
    found.add("two threads, M = 512", "x one thread", 1.75, 1.9, geometric_mean(threads));
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
    const bool zmm = zp::contains(zp::cpu_features(), zp::isa::avx512);
    r.enter("read", [&] {
      read_all(reinterpret_cast<const std::byte*>(x.data()), n * sizeof(float), zmm);
    });
    r.run();
    found.add("quantize f32 to s8, " + size, "of read bandwidth", 0.60, in_cache ? 0.75 : 0.72,
              r.ratio("read", "static"));
    found.add("dynamic quantization by row, " + size, "of read bandwidth", in_cache ? 0.33 : 0.55,
              in_cache ? 0.40 : 0.62, r.ratio("read", "dynamic"));
    found.add("dequantize s8 to f32, " + size, "of read bandwidth", in_cache ? 0.70 : 0.65,
              in_cache ? 0.75 : 0.90, r.ratio("read", "back"));
  }
}

}  // namespace

int main(int argc, char** argv) try {
  settings o;
  std::string json, markdown;
  CLI::App app("Regimes of quantized inference against their floors, goals and peers");
  app.add_flag("--quick", o.quick, "fewer shapes and rounds: under three minutes");
  app.add_option("--json", json, "write regimes and peers to this file");
  app.add_option("--markdown", markdown, "write the tables to this file");
  CLI11_PARSE(app, argc, argv);
  for (const std::string& one : missing_peers()) std::cerr << "skipped " << one << '\n';

  limits limit;
  findings found;
  int8_hot(o, limit, found);
  int8_cold(o, limit, found);
  int4(o, limit, found);
  layers(o, limit, found);
  row_loops(o, found);

  std::cout << machine() << "\n\n";
  write_table(std::cout, found);
  if (!json.empty()) write_json(json, found);
  if (!markdown.empty()) write_markdown(markdown, found, o.quick);
} catch (const std::exception& problem) {
  std::cerr << "zp-regimes: " << problem.what() << '\n';
  return 1;
}
