// bit_budget against all combinations of small problems, and its bound where it thins.
#include <nn/reference.hpp>

#include <zeropoint/nn/bit_budget.hpp>

#include <functional>

namespace zp = zeropoint;

namespace {

using problem = std::vector<std::vector<zp::bit_option>>;

/// Calls f(bytes, damage) for every combination; damages are added in order of layers.
void for_all(const problem& layers, std::size_t l, std::uint64_t bytes, double damage,
             const std::function<void(std::uint64_t, double)>& f) {
  if (l == layers.size()) return f(bytes, damage);
  for (const auto& o : layers[l]) for_all(layers, l + 1, bytes + o.bytes, damage + o.damage, f);
}

problem random_problem(test::generator& g, std::size_t layers, std::size_t options,
                       std::uint64_t sizes, bool anything) {
  problem p(layers);
  for (auto& layer : p) {
    const std::uint64_t size = 1 + g() % sizes;
    for (std::size_t o = 0; o < options; ++o) {
      const int bits = static_cast<int>(2 + o);
      const auto damage = static_cast<double>(test::uniform(g, 0.5f, 1.5f)) *
                          std::pow(4.0, -static_cast<double>(o));
      layer.push_back({bits, anything ? g() % sizes : size * static_cast<std::uint64_t>(bits),
                       anything ? static_cast<double>(test::normal(g)) : damage});
    }
  }
  return p;
}

/// The choice is a real one and its totals are those of its options.
void check_totals(const problem& layers, const zp::bit_choice& c) {
  REQUIRE(c.options.size() == layers.size());
  std::uint64_t bytes = 0;
  double damage = 0;
  for (std::size_t l = 0; l < layers.size(); ++l) {
    const zp::bit_option& o = layers[l].at(c.options[l]);
    bytes += o.bytes, damage += o.damage;
  }
  REQUIRE(c.bytes == bytes);
  REQUIRE(c.damage == damage);
}

}  // namespace

TEST_CASE("bit_budget finds the best of all combinations") {
  const auto seed = test::seed(201);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  for (int round = 0; round < 60; ++round) {
    CAPTURE(round);
    const problem layers =
        random_problem(g, 1 + g() % 5, 1 + g() % 5, round % 3 == 0 ? 5 : 1000, round % 2 == 0);
    const zp::bit_budget budget(layers);
    std::vector<std::pair<std::uint64_t, double>> all;
    for_all(layers, 0, 0, 0, [&](std::uint64_t b, double d) { all.emplace_back(b, d); });
    for (int question = 0; question < 10; ++question) {
      const auto& [bytes, damage] = all[g() % all.size()];
      double least = 1e300;
      std::uint64_t fewest = ~std::uint64_t{0};
      for (const auto& [b, d] : all) {
        if (b <= bytes) least = std::min(least, d);
        if (d <= damage) fewest = std::min(fewest, b);
      }
      const zp::bit_choice a = budget.within_bytes(bytes), b = budget.within_damage(damage);
      check_totals(layers, a);
      check_totals(layers, b);
      REQUIRE((a.damage == least && a.bytes <= bytes && a.is_optimal && a.bound == least));
      REQUIRE((b.bytes == fewest && b.damage <= damage));
      REQUIRE((b.is_optimal && b.bound == static_cast<double>(fewest)));
    }
    for (std::size_t i = 1; i < budget.size(); ++i) {
      REQUIRE(budget[i - 1].bytes < budget[i].bytes);
      REQUIRE(budget[i - 1].damage > budget[i].damage);
    }
  }
}

TEST_CASE("bit_budget with thinned sums stays within its bound, and close to the optimum") {
  const auto seed = test::seed(202);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  int thinned = 0;
  for (int round = 0; round < 20; ++round) {
    const problem layers = random_problem(g, 14, 5, 100000, round % 2 == 0);
    const zp::bit_budget exact(layers, std::size_t{1} << 20), thin(layers, 100);
    REQUIRE(thin.size() <= 100);
    const std::uint64_t low = exact[0].bytes, high = exact[exact.size() - 1].bytes;
    const double spread = exact[0].damage - exact[exact.size() - 1].damage;
    for (std::uint64_t part = 0; part <= 10; ++part) {
      const std::uint64_t bytes = low + (high - low) * part / 10;
      const zp::bit_choice best = exact.within_bytes(bytes), near = thin.within_bytes(bytes);
      CAPTURE(round, part, best.damage, near.damage, near.bound, spread);
      check_totals(layers, near);
      REQUIRE(best.is_optimal);
      thinned += near.is_optimal ? 0 : 1;
      REQUIRE(near.bytes <= bytes);
      REQUIRE(near.damage >= best.damage);
      REQUIRE(near.bound <= best.damage + 1e-12);
      REQUIRE(near.damage - best.damage <= 0.1 * spread);

      const zp::bit_choice small = exact.within_damage(near.damage),
                           other = thin.within_damage(near.damage);
      check_totals(layers, other);
      REQUIRE(other.damage <= near.damage);
      REQUIRE(other.bytes >= small.bytes);
      REQUIRE(other.bound <= static_cast<double>(small.bytes) * (1 + 1e-12));
    }
  }
  REQUIRE(thinned >= 110);  // random damages leave few trades, those that fall with the bits many
}

TEST_CASE("bit_budget on a model of equal layers is exact, however many") {
  problem layers;
  for (int l = 0; l < 200; ++l) {
    layers.emplace_back();
    for (int bits = 2; bits <= 8; ++bits) {
      layers.back().push_back({bits, static_cast<std::uint64_t>(bits * (l % 3 == 0 ? 4096 : 1024)),
                               (1 + l % 7) * std::pow(4.0, -bits)});
    }
  }
  const zp::bit_choice c = zp::bit_budget(layers).within_bytes(200 * 2048 * 4);
  check_totals(layers, c);
  REQUIRE(c.is_optimal);
  REQUIRE(c.bytes <= 200 * 2048 * 4);
  // Layers of one size and more damage never get fewer bits.
  for (std::size_t a = 0; a < 200; ++a) {
    for (std::size_t b = 0; b < 200; ++b) {
      if (a % 3 == 0 || b % 3 == 0 || a % 7 <= b % 7) continue;
      REQUIRE(c.options[a] >= c.options[b]);
    }
  }
}

TEST_CASE("bit_budget decides ties by order, and refuses what makes no sense") {
  const problem twins{{{4, 10, 1}, {5, 10, 1}}, {{4, 10, 1}, {5, 10, 1}, {6, 10, 2}}};
  const zp::bit_choice tie = zp::bit_budget(twins).within_bytes(20);
  REQUIRE(tie.options == std::vector<std::size_t>{0, 0});
  REQUIRE(zp::bit_budget(twins).size() == 1);

  const zp::bit_budget nothing{problem{}};
  REQUIRE((nothing.within_bytes(0).options.empty() && nothing.within_damage(0).bytes == 0));

  const auto refusal = [](const problem& p, std::size_t limit = 100) {
    return test::error_of([&] { zp::bit_budget(p, limit); });
  };
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  REQUIRE(test::contains(refusal({{{4, 1, 0}}, {}}), "layer 1 has 0 options"));
  REQUIRE(test::contains(refusal({{{4, 1, nan}}}), "damage nan of layer 0 at 4 bits"));
  REQUIRE(test::contains(refusal({{{4, 1, -HUGE_VAL}}}), "damage -inf"));
  REQUIRE(test::contains(refusal({{{4, 1, 0}}, {{4, ~std::uint64_t{0}, 0}}}), "bytes of layer 1"));
  REQUIRE(test::contains(refusal({{{4, 1, 0}}}, 1), "limit 1"));
  const zp::bit_budget one{problem{{{4, 7, 0.5}}}};
  REQUIRE(test::contains(test::error_of([&] { (void)one.within_bytes(6); }),
                         "the smallest choice has 7 bytes, the budget is 6"));
  REQUIRE(test::contains(test::error_of([&] { (void)one.within_damage(0.25); }),
                         "a damage of 0.5, the budget is 0.25"));
  REQUIRE(test::contains(test::error_of([&] { (void)one.within_damage(nan); }), "budget is nan"));
  REQUIRE(test::contains(test::error_of([&] { (void)one[1]; }), "trade 1 of 1"));
  REQUIRE(one.within_damage(0.5).bytes == 7);
}
