// Products of codes against the multiply-add peak, the streaming read and the other libraries.
#include <algorithm>

#include "against.hpp"
#include "regimes.hpp"

namespace bench {

namespace {

/// Bytes from which the floor of M >= 128 is lower: no second-level cache holds a good part of them.
constexpr std::size_t large_weights = 10'000'000;

/// What one int8 product and its peers did.
struct outcome {
  double of_peak = 0, of_read = 0;  ///< time of the limit over ours: the longer one is the limit
  std::vector<peer_ratio> against;
};

outcome race_int8(const settings& o, limits& limit, findings& found, const shape& s, std::size_t m,
                  bool cold) {
  const auto& kernel = zp::kernels::best();
  product to_f32(m, s, kernel, output::f32, cold), to_s32(m, s, kernel, output::s32, cold);
  product to_s8(m, s, kernel, output::s8, cold);
  std::unique_ptr<product> from_u8;
  // Beyond the second-level cache the weights come from further away in the first call of a slot; a
  // long one makes little of that.
  race r(o, cold || s.k * s.n > large_weights);
  r.enter(
      "f32", [&] { to_f32.run(zp::serial{}); }, to_f32.copies());
  r.enter(
      "s32", [&] { to_s32.run(zp::serial{}); }, to_s32.copies());
  r.enter(
      "s8", [&] { to_s8.run(zp::serial{}); }, to_s8.copies());
  limit.enter_peak(r, to_f32.operations());
  limit.enter_read(r, to_f32.bytes(), cold);
  our_entries ours = {{"s8s8s32", "s32"}, {"s8s8s8", "s8"}};
  // A product that lives by reading reads four times the bytes in f32: beyond the caches while ours are
  // within, that is another regime. From memory, a row is what lives by reading in both.
  const bool same_regime = cold ? m == 1 : m >= 32 || 4 * s.k * s.n <= zp::last_level_cache();
  if (same_regime) ours["f32"] = "f32";
  if (has_peers("u8s8s32")) {
    from_u8 = std::make_unique<product>(m, s, kernel, output::u8_s32, cold);
    r.enter(
        "u8", [&] { from_u8->run(zp::serial{}); }, from_u8->copies());
    ours["u8s8s32"] = "u8";
  }
  const bool floats = ours.count("f32") != 0 && has_peers("f32") && limit.has_fma();
  if (floats) limit.enter_fma(r, to_f32.operations());
  const opponents others(r, {m, s.k, s.n, to_s32.copies(), to_s32.a(), to_s32.w()}, to_s32.result(),
                         ours);
  r.run();
  outcome result;
  if (limit.has_peak()) result.of_peak = r.ratio("peak", "f32");
  result.of_read = r.ratio("read", "f32");
  const std::size_t before = found.peers.size();
  result.against = others.results(s.name + (cold ? ", cold" : ""), found);
  for (std::size_t i = before; floats && i < found.peers.size(); ++i) {
    auto& row = found.peers[i];
    if (row["mode"] == "f32")
      row["of_peak"] = r.ratio("fma", row["peer"].get<std::string>() + " f32");
  }
  return result;
}

/// Fractions and ratios of several products in one number each.
struct summary {
  std::vector<double> of_peak, of_read, of_limit;
  contests against;
  void take(const outcome& one) {
    of_peak.push_back(one.of_peak), of_read.push_back(one.of_read);
    of_limit.push_back(std::max(one.of_peak, one.of_read));
    against.take(one.against);
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

/// 17 MB, what the last-level cache of a server holds and no other.
const shape up{"up", 2048, 8192}, down{"down", 8192, 2048};

}  // namespace

void int8_hot(const settings& o, limits& limit, findings& found) {
  summary large, medium, small;
  std::vector<double> worst[2];  // of weights up to 10 MB, and beyond
  const auto race_large = [&](const shape& s, std::size_t m) {
    const outcome one = race_int8(o, limit, found, s, m, false);
    large.take(one);
    worst[s.k * s.n > large_weights ? 1 : 0].push_back(one.of_peak);
  };
  for (const shape& s : shapes(o)) {
    race_large(s, 128);
    if (!o.quick) race_large(s, 512);
    medium.take(race_int8(o, limit, found, s, 32, false));
    if (s.k * s.n <= 2'500'000) small.take(race_int8(o, limit, found, s, 8, false));
  }
  if (o.quick) race_large(up, 128);
  if (limit.has_peak()) {
    const std::string name = "int8, M >= 128, worst shape, weights ";
    found.add(name + "up to 10 MB", "of dot peak", 0.85, 0.92,
              *std::min_element(worst[0].begin(), worst[0].end()));
    found.add(name + "beyond 10 MB", "of dot peak", 0.80, 0.92,
              *std::min_element(worst[1].begin(), worst[1].end()));
    found.add("int8, M >= 128, geometric mean", "of dot peak", 0.85, 0.92,
              geometric_mean(large.of_peak), geometric_mean(large.of_limit));
    found.add("int8, M = 32", "of dot peak", 0.88, 0.93, geometric_mean(medium.of_peak),
              geometric_mean(medium.of_limit));
    found.add("int8, M = 8, weights in cache", "of dot peak", 0.85, 0.91,
              geometric_mean(small.of_peak), geometric_mean(small.of_limit));
  }
  large.against.add_to(found, "int8, M >= 128", "s8s8s32",
                       {{"oneDNN", 1.0, 1.0}, {"AOCL-DLP", 1.0, 1.0}});
  large.against.add_to(found, "int8, M >= 128", "u8s8s32", {{"FBGEMM", 1.0, 1.0}});
  large.against.add_to(found, "int8, M >= 128", "f32", {{"", 4.0, 4.0}});
  medium.against.add_to(found, "int8, M = 32", "s8s8s32",
                        {{"oneDNN", 1.05, 1.05}, {"AOCL-DLP", 1.0, 1.0}});
  small.against.add_to(found, "int8, M = 8", "s8s8s32",
                       {{"oneDNN", 1.25, 1.25}, {"AOCL-DLP", 1.05, 1.05}});
  small.against.add_to(found, "int8, M = 8", "u8s8s32", {{"FBGEMM", 1.0, 1.0}});
}

void int8_last_level(const settings& o, limits& limit, findings& found) {
  if (up.k * up.n * 5 / 4 > zp::last_level_cache()) return;
  summary one_row, small;
  for (const shape& s : o.quick ? std::vector<shape>{up} : std::vector<shape>{up, down}) {
    one_row.take(race_int8(o, limit, found, s, 1, false));
    small.take(race_int8(o, limit, found, s, 8, false));
  }
  const std::string weights = ", 17 MB of weights in cache";
  found.add("int8, M = 1" + weights, "of read bandwidth", 0.92, 0.97,
            geometric_mean(one_row.of_read), geometric_mean(one_row.of_limit));
  if (limit.has_peak()) {
    found.add("int8, M = 8" + weights, "of dot peak", no_target, no_target,
              geometric_mean(small.of_peak), geometric_mean(small.of_limit));
  }
  one_row.against.add_to(found, "int8, M = 1" + weights, "s8s8s32",
                         {{"oneDNN", 1.2, 1.2}, {"AOCL-DLP", 1.0, 1.0}});
  small.against.add_to(found, "int8, M = 8" + weights, "s8s8s32", {{"AOCL-DLP", 1.15, 1.15}});
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
              floor, goal, geometric_mean(by_m[m].of_read), geometric_mean(by_m[m].of_limit));
  };
  read(1, 0.92, 0.97), read(4, 0.85, 0.92), read(8, 0.80, 0.90);
  if (limit.has_peak()) {
    found.add("int8, M = 16, weights from memory", "of dot peak", 0.62, 0.67,
              geometric_mean(by_m[16].of_peak), geometric_mean(by_m[16].of_limit));
    found.add("int8, M = 32, weights from memory", "of dot peak", 0.75, 0.80,
              geometric_mean(by_m[32].of_peak), geometric_mean(by_m[32].of_limit));
  }
  const auto against = [&](std::size_t m, const std::vector<peer_target>& targets) {
    by_m[m].against.add_to(found, "int8, M = " + std::to_string(m) + " from memory", "s8s8s32",
                           targets);
  };
  against(1, {{"oneDNN", 1.2, 1.2}, {"AOCL-DLP", 1.0, 1.0}});
  by_m[1].against.add_to(found, "int8, M = 1 from memory", "f32", {{"", 3.7, 3.7}});
  against(4, {{"AOCL-DLP", 1.0, 1.0}});
  against(8, {{"oneDNN", 1.45, 1.45}, {"AOCL-DLP", 1.3, 1.3}});
  against(16, {{"AOCL-DLP", 1.3, 1.3}});
  against(32, {{"AOCL-DLP", 1.1, 1.1}});
}

void int4(const settings& o, limits& limit, findings& found) {
  const auto& kernel = zp::kernels::best();
  std::vector<double> over_int8, of_read, of_peak;
  std::map<std::size_t, summary> from_memory;
  for (const shape& s : {shape{"qkv", 768, 2304}, shape{"q", 2048, 2048}}) {
    product four(1, s, kernel, output::int4, true), eight(1, s, kernel, output::f32, true);
    race r(o, true);
    r.enter(
        "int4", [&] { four.run(zp::serial{}); }, four.copies());
    r.enter(
        "int8", [&] { eight.run(zp::serial{}); }, eight.copies());
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
    for (const std::size_t m : {8u, 32u}) {
      if (!limit.has_peak()) continue;
      product p(m, s, kernel, output::int4, true);
      race cold(o, true);
      cold.enter(
          "int4", [&] { p.run(zp::serial{}); }, p.copies());
      limit.enter_peak(cold, p.operations());
      limit.enter_read(cold, p.bytes(), true);
      cold.run();
      from_memory[m].take({cold.ratio("peak", "int4"), cold.ratio("read", "int4"), {}});
    }
  }
  found.add("int4 g32 x int8, M = 1, against own int8", "x", 1.45, 1.65, geometric_mean(over_int8));
  found.add("int4 g32 x int8, M = 1", "of read bandwidth", 0.9, 0.9, geometric_mean(of_read));
  if (limit.has_peak()) {
    found.add("int4 g32 x int8, M >= 8", "of dot peak", 0.60, 0.70, geometric_mean(of_peak));
    for (const auto& [m, all] : from_memory) {
      found.add("int4 g32 x int8, M = " + std::to_string(m) + ", weights from memory",
                "of dot peak", no_target, no_target, geometric_mean(all.of_peak),
                geometric_mean(all.of_limit));
    }
  }
}

}  // namespace bench
