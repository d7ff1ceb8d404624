// The row loops of every instruction set that runs here against the scalar definitions of math/:
// the same bits at every length, beside every tie, for every scale, and not one byte outside.
#include <zeropoint/kernels/row_registry.hpp>
#include <zeropoint/math/statistics.hpp>

#include <cfloat>

#include "math/reference.hpp"
#include "support/guarded.hpp"

namespace zp = zeropoint;

namespace {

using loops = zp::kernels::row_loops;

std::vector<const loops*> loops_here() {
  std::vector<const loops*> here;
  for (const loops* l : zp::kernels::all_rows()) {
    if (zp::contains(zp::cpu_features(), l->needs)) here.push_back(l);
  }
  return here;
}

std::vector<zp::params> some_params() {
  std::vector<zp::params> all;
  for (const float scale : {1.0f, 0.1f, 0.00214854861f, 3.0f, 0x1p-126f, 0x1.8p-120f, 0x1p-100f,
                            0x1.fffffep99f, 0x1.8p125f, 0x1p126f, 0x1.8p126f, 0x1.8p127f}) {
    all.push_back({scale, 0, -127, 127});
    all.push_back({scale, -128, -128, 127});
    all.push_back({scale, 17, -128, 127});
    all.push_back({scale, 0, -8, 7});
    all.push_back({scale, 3, 0, 255});
    all.push_back({scale, 128, 1, 255});
    all.push_back({scale, 255, 0, 255});
  }
  return all;
}

/// Every tie of the grid and beyond, the floats around it, and what is no number.
std::vector<float> around_ties(float scale) {
  std::vector<float> x;
  for (int k = -520; k <= 520; ++k) {
    float v = static_cast<float>(0.5 * k * static_cast<double>(scale));
    for (int ulp = 0; ulp < 3; ++ulp) v = std::nextafter(v, -INFINITY);
    for (int ulp = 0; ulp < 7; ++ulp, v = std::nextafter(v, INFINITY)) x.push_back(v);
  }
  for (const float odd : {NAN, -NAN, INFINITY, -INFINITY, 3e38f, -3e38f, 1e-45f, -0.0f}) {
    x.push_back(odd);
  }
  return x;
}

struct outcome {
  std::vector<std::int32_t> codes;
  zp::range_counts counts;
};

template <class Rounding>
outcome defined(std::span<const float> x, const zp::params& p) {
  const zp::quantizer<Rounding> q(p);
  zp::range_counter counter;
  outcome o;
  for (const float v : x) o.codes.push_back(q(v));
  counter.add(x.data(), nullptr, o.codes.data(), x.size(), false, q);
  o.counts = counter.result();
  return o;
}

template <class T, class Rounding>
outcome computed(const loops& l, std::span<const float> x, const zp::params& p, bool front) {
  const test::guarded<float> in(x.size(), front);
  const test::guarded<T> out(x.size(), front);
  std::copy(x.begin(), x.end(), in.data());
  zp::kernels::range_events events;
  zp::kernels::quantize_job job;
  job.x = in.data();
  job.n = x.size();
  job.scale = p.scale;
  job.divide = std::is_same_v<typename Rounding::scaling, zp::divide>;
  job.inverse = 1.0f / p.scale;
  job.low = p.qmin - p.zero_point;
  job.high = p.qmax - p.zero_point;
  job.zero_point = p.zero_point;
  job.is_signed = std::is_signed_v<T>;
  job.codes = out.data();
  job.from_memory = front;  // asks for what lies behind the row, and behind the guard page
  outcome o;
  l.quantize(job);  // without counting: the same codes
  o.codes.assign(out.data(), out.data() + x.size());
  job.events = &events;
  l.quantize(job);
  if (!std::equal(o.codes.begin(), o.codes.end(), out.data())) o.codes.clear();
  o.counts = {x.size(), events.low, events.high, events.nan, events.infinite};
  return o;
}

template <class Rounding>
void compare(const loops& l, std::span<const float> x, const zp::params& p, bool front) {
  const outcome expected = defined<Rounding>(x, p);
  const outcome found = p.qmin < 0 ? computed<std::int8_t, Rounding>(l, x, p, front)
                                   : computed<std::uint8_t, Rounding>(l, x, p, front);
  REQUIRE((found.codes == expected.codes));
  REQUIRE((found.counts == expected.counts));
}

void compare_both(const loops& l, std::span<const float> x, const zp::params& p, bool front) {
  INFO(l.name << ", " << x.size() << " values, scale " << p.scale << ", zero point " << p.zero_point
              << ", codes " << p.qmin << " .. " << p.qmax);
  compare<zp::rounding<>>(l, x, p, front);
  compare<zp::rounding<zp::ties_to_even, zp::reciprocal>>(l, x, p, front);
}

/// The statistics of x [n] in runs of two calls, as the scalar definition and as `l` have them.
template <class Rounding, class T>
void damage(const loops& l, std::span<const float> x, const zp::params& p, bool front) {
  constexpr std::size_t block = zp::statistics_accumulator::block;
  const zp::quantizer<Rounding> q(p);
  const test::guarded<float> in(x.size(), front);
  const test::guarded<T> codes(x.size(), front);
  std::copy(x.begin(), x.end(), in.data());
  for (std::size_t i = 0; i < x.size(); ++i) codes[i] = static_cast<T>(q(x[i]));
  zp::statistics_accumulator expected, found;
  for (std::size_t i = 0; i < x.size(); i += block) {
    const std::size_t n = std::min(block, x.size() - i);
    float values[block] = {}, steps[block] = {};
    for (std::size_t k = 0; k < n; ++k) values[k] = x[i + k];
    for (std::size_t k = 0; k < n; ++k) steps[k] = q.steps(x[i + k]);
    expected.add(values, steps, codes.data() + i, n, false, q);
  }
  const std::size_t cut = std::min(block, x.size());
  for (const auto& [first, count] : {std::pair{std::size_t{0}, cut}, {cut, x.size() - cut}}) {
    zp::kernels::damage_job job;
    job.x = in.data() + first;
    job.n = count;
    job.codes = codes.data() + first;
    job.is_signed = std::is_signed_v<T>;
    job.divide = std::is_same_v<typename Rounding::scaling, zp::divide>;
    job.scale = p.scale;
    job.inverse = 1.0f / p.scale;
    job.zero_point = p.zero_point;
    job.low_edge = q.low_edge();
    job.high_edge = q.high_edge();
    job.sums = &found.sums_of(count);
    l.damage(job);
  }
  REQUIRE((found.result() == expected.result()));
}

}  // namespace

TEST_CASE("quantize: every tie and its neighbours, any scale and zero point") {
  for (const loops* l : loops_here()) {
    for (const zp::params& p : some_params()) compare_both(*l, around_ties(p.scale), p, false);
  }
}

TEST_CASE("quantize: ties and their neighbours for random scales") {
  const auto seed = test::seed(60);
  INFO(test::seed_text(seed));
  for (const loops* l : loops_here()) {
    test::generator g(seed);
    for (int round = 0; round < 150; ++round) {
      const float scale = test::uniform(g, 1.0f, 2.0f);
      const auto x = around_ties(scale);
      compare_both(*l, x, {scale, 0, 0, 255}, false);
      compare_both(*l, x, {scale, 127, -128, 127}, false);
    }
  }
}

TEST_CASE("quantize: a million random values per set of params") {
  const auto seed = test::seed(61);
  INFO(test::seed_text(seed));
  for (const loops* l : loops_here()) {
    test::generator g(seed);
    for (const zp::params& p : {zp::params{0.0173f, 0, -127, 127}, zp::params{0.31f, 77, 0, 255},
                                zp::params{1e-30f, -5, -128, 127}}) {
      std::vector<float> x(1000000);
      for (float& v : x) v = test::normal(g) * 60 * p.scale;
      compare_both(*l, x, p, false);
    }
  }
}

TEST_CASE("quantize: every length, between two guard pages") {
  const auto seed = test::seed(62);
  INFO(test::seed_text(seed));
  for (const loops* l : loops_here()) {
    test::generator g(seed);
    for (std::size_t n = 0; n <= 200; ++n) {
      const std::vector<float> x = test::nasty(g, n, 0.5f, 20);
      for (const bool front : {false, true}) {
        compare_both(*l, x, {0.25f, 0, -127, 127}, front);
        compare_both(*l, x, {0.3f, 100, 0, 255}, front);
      }
    }
  }
}

TEST_CASE("quantize: a few odd values in a row that is otherwise inside the grid") {
  const auto seed = test::seed(70);
  INFO(test::seed_text(seed));
  for (const loops* l : loops_here()) {
    test::generator g(seed);
    for (int round = 0; round < 2000; ++round) {
      const zp::params p =
          round % 2 == 0 ? zp::params{0.37f, 0, -127, 127} : zp::params{0.37f, 120, 0, 255};
      std::vector<float> x(64 + g() % 600);
      for (float& v : x) v = test::uniform(g, -100 * p.scale, 100 * p.scale);
      const float tie = (static_cast<float>(g() % 200) - 99.5f) * p.scale;
      const float odd[] = {tie,
                           std::nextafter(tie, 0.0f),
                           127.6f * p.scale,
                           -128.7f * p.scale,
                           4e4f * p.scale,
                           -4e4f * p.scale,
                           3e38f,
                           INFINITY,
                           -INFINITY,
                           NAN};
      for (std::uint64_t k = 0; k < 1 + g() % 3; ++k) x[g() % x.size()] = odd[g() % std::size(odd)];
      compare_both(*l, x, p, round % 4 < 2);
    }
  }
}

TEST_CASE("quantize: a row long enough to overflow 16-bit counters, all of it clipped") {
  for (const float value : {3.0f, -3.0f}) {  // two counts a block in every lane
    const std::vector<float> x(std::size_t{64} * 35'000 + 5, value);
    for (const loops* l : loops_here())
      compare<zp::rounding<>>(*l, x, {0.01f, 0, -127, 127}, false);
  }
}

TEST_CASE("ranges and values: every length, between two guard pages, any garbage") {
  const auto seed = test::seed(63);
  INFO(test::seed_text(seed));
  for (const loops* l : loops_here()) {
    test::generator g(seed);
    for (std::size_t n = 0; n <= 200; ++n) {
      for (const unsigned rarity : {2u, 1000u}) {
        const std::vector<float> x = test::nasty(g, n, 0.5f, rarity);
        const test::guarded<float> in(n, rarity == 2), back(n, rarity == 2);
        const test::guarded<std::uint8_t> codes(n, rarity == 2);
        std::copy(x.begin(), x.end(), in.data());
        float most = 0, least = INFINITY, greatest = -INFINITY;
        for (const float v : x) {
          if (!std::isfinite(v)) continue;
          most = std::max(most, std::fabs(v));
          least = std::min(least, v);
          greatest = std::max(greatest, v);
        }
        INFO(l->name << ", " << n << " values");
        REQUIRE(l->absmax(in.data(), n) == most);
        const auto range = l->min_max(in.data(), n);
        REQUIRE(range.min == least);
        REQUIRE(range.max == greatest);

        for (std::size_t i = 0; i < n; ++i) codes[i] = static_cast<std::uint8_t>(g());
        for (const std::int32_t zero : {0, -128, 255}) {
          l->dequantize({codes.data(), true, n, 0.3f, zero, back.data()});
          bool same = true;
          for (std::size_t i = 0; i < n; ++i) {
            same &= back[i] == 0.3f * static_cast<float>(static_cast<std::int8_t>(codes[i]) - zero);
          }
          l->dequantize({codes.data(), false, n, 0.3f, zero, back.data()});
          for (std::size_t i = 0; i < n; ++i) {
            same &= back[i] == 0.3f * static_cast<float>(codes[i] - zero);
          }
          REQUIRE(same);
        }
      }
    }
  }
}

TEST_CASE("dequantize: more values than the caches hold, beginning anywhere in a line") {
  const std::size_t cache = zp::last_level_cache();
  if (cache > (std::size_t{64} << 20)) return;  // a machine with no memory to spare for this
  std::vector<std::int8_t> codes(cache / sizeof(float) + 100);
  for (std::size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<std::int8_t>(i * 7);
  std::vector<float> back(codes.size() + 32);
  for (const loops* l : loops_here()) {
    for (const std::size_t offset : {0u, 1u, 15u, 16u}) {
      INFO(l->name << ", offset " << offset);
      float* const x = back.data() + offset;
      std::fill(back.begin(), back.end(), -1.0f);
      l->dequantize({codes.data(), true, codes.size(), 0.3f, 5, x});
      bool same = true;
      for (std::size_t i = 0; i < codes.size(); ++i) {
        same = same && x[i] == 0.3f * static_cast<float>(codes[i] - 5);
      }
      REQUIRE(same);
      REQUIRE((offset == 0 || x[-1] == -1.0f));
      REQUIRE(x[codes.size()] == -1.0f);
    }
  }
}

TEST_CASE("damage: the bits of statistics_accumulator, every length, any garbage") {
  using by_reciprocal = zp::rounding<zp::ties_to_even, zp::reciprocal>;
  const auto seed = test::seed(64);
  INFO(test::seed_text(seed));
  for (const loops* l : loops_here()) {
    test::generator g(seed);
    for (std::size_t n = 0; n <= 200; ++n) {
      for (const unsigned rarity : {3u, 30u, 1000u}) {
        const std::vector<float> x = test::nasty(g, n, 0.5f, rarity);
        for (const bool front : {false, true}) {
          INFO(l->name << ", " << n << " values, front " << front);
          damage<zp::rounding<>, std::int8_t>(*l, x, {0.01f, 0, -127, 127}, front);
          damage<zp::rounding<>, std::uint8_t>(*l, x, {0.004f, 77, 0, 255}, front);
          damage<by_reciprocal, std::int8_t>(*l, x, {0.3f, 5, -128, 127}, front);
          damage<by_reciprocal, std::uint8_t>(*l, x, {30.0f, 0, 0, 15}, front);
        }
      }
    }
  }
}

TEST_CASE("damage: whole grids and a little more, random scales") {
  using by_reciprocal = zp::rounding<zp::ties_to_even, zp::reciprocal>;
  const auto seed = test::seed(65);
  INFO(test::seed_text(seed));
  for (const loops* l : loops_here()) {
    test::generator g(seed);
    for (int round = 0; round < 40; ++round) {
      const float scale =
          std::ldexp(test::uniform(g, 1.0f, 2.0f), static_cast<int>(g() % 240) - 120);
      for (const float reach : {100.0f, 127.4f, 130.0f, 255.4f, 260.0f}) {
        std::vector<float> x(1000);
        for (float& v : x) v = test::uniform(g, -reach, reach) * scale;
        INFO(l->name << ", scale " << scale << ", reach " << reach);
        damage<zp::rounding<>, std::int8_t>(*l, x, {scale, 0, -127, 127}, false);
        damage<zp::rounding<>, std::uint8_t>(*l, x, {scale, 0, 0, 255}, false);
        damage<by_reciprocal, std::int8_t>(*l, x, {scale, -128, -128, 127}, false);
        damage<by_reciprocal, std::int8_t>(*l, x, {scale, 3, -8, 7}, false);
      }
    }
    const std::vector<float> far = {FLT_MAX, -FLT_MAX, INFINITY, -INFINITY, 0x1p127f, -0x1p-149f};
    for (const float scale : {FLT_MIN, 0x1.8p-126f, 1.0f, 0x1p126f, 0x1.fffffep127f}) {
      INFO(l->name << ", scale " << scale);
      damage<zp::rounding<>, std::int8_t>(*l, far, {scale, 0, -127, 127}, false);
      damage<by_reciprocal, std::uint8_t>(*l, far, {scale, 0, 0, 255}, false);
    }
  }
}

TEST_CASE("ZP_KERNEL lowers the row loops too") {
  const auto all = zp::kernels::all_rows();
  REQUIRE(zp::kernels::choose_rows(all, "scalar") == nullptr);
  REQUIRE(zp::kernels::choose_rows(all, "sse41") == nullptr);
  const auto here = loops_here();
  const loops* best = here.empty() ? nullptr : here.front();
  REQUIRE(zp::kernels::choose_rows(all, nullptr) == best);
  REQUIRE(zp::kernels::choose_rows(all, "") == best);
  for (const loops* l : here) REQUIRE(zp::kernels::choose_rows(all, l->name) == l);
  for (const loops* l : here) {
    if (l->name == std::string("avx2")) REQUIRE(zp::kernels::choose_rows(all, "avx_vnni") == l);
  }
  if (best != nullptr && best->name == std::string("avx512")) {
    REQUIRE(zp::kernels::choose_rows(all, "avx512_vnni") == best);
  }
}
