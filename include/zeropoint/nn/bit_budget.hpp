// How many bits for which layer: one option per layer, so that the bytes fit and the damage is
// least, or the other way round. Damages of layers add up; so do bytes:
//
//   minimise sum of damage(l, o_l)   subject to   sum of bytes(l, o_l) <= budget
//
// Layers are joined one after another, and of all sums so far only those are kept that no other
// beats in both bytes and damage. That is exact. Layers of few different sizes give few different
// sums; when there are more than `limit`, the sums are thinned to that many, and the choice says
// how far from the optimum it can be, by the lower convex hull (the linear relaxation).
#pragma once

#include <zeropoint/base/error.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

namespace zeropoint::inline ZP_BASELINE {

/// One way to store a layer. Damage in any unit that adds up over layers (loss, KL, squared error);
/// measured damages may be negative.
struct bit_option {
  int bits = 8;
  std::uint64_t bytes = 0;
  double damage = 0;
};

struct bit_choice {
  std::vector<std::size_t> options;  ///< index of the option of each layer
  std::uint64_t bytes = 0;
  double damage = 0;
  bool is_optimal = true;
  double bound = 0;  ///< no choice has less: damage for within_bytes(), bytes for within_damage()
};

/// All best trades of bytes against damage for some layers.
class bit_budget {
 public:
  /// Throws `error` for a layer without options, a damage that is not finite, bytes beyond 2^53, a
  /// limit below 2. Memory: 24 bytes * limit per layer at most.
  explicit bit_budget(std::span<const std::vector<bit_option>> layers,
                      std::size_t limit = std::size_t{1} << 14) {
    ZP_REQUIRE(limit >= 2 && limit < std::size_t{1} << 32, "bit_budget: limit ", limit,
               ", expected 2 to 2^32 - 1");
    steps_.push_back({sum{}});
    hull_.push_back({});
    for (std::size_t l = 0; l < layers.size(); ++l) {
      require_options(layers[l], l);
      join(layers[l], limit);
      join_hull(layers[l]);
    }
    walk_hull();
  }

  /// The choice of least damage with at most that many bytes. Throws `error` when none is so small.
  [[nodiscard]] bit_choice within_bytes(std::uint64_t budget) const {
    const std::vector<sum>& sums = steps_.back();
    ZP_REQUIRE(sums.front().bytes <= budget, "bit_budget: the smallest choice has ",
               sums.front().bytes, " bytes, the budget is ", budget);
    const auto after =
        std::upper_bound(sums.begin(), sums.end(), budget,
                         [](std::uint64_t bytes, const sum& s) { return bytes < s.bytes; });
    bit_choice choice = trace(static_cast<std::size_t>(after - sums.begin()) - 1);
    choice.bound = is_exact_ ? choice.damage : hull_damage(static_cast<double>(budget));
    return choice;
  }
  /// The choice of fewest bytes with at most that much damage. Throws `error` when none is so good.
  [[nodiscard]] bit_choice within_damage(double budget) const {
    const std::vector<sum>& sums = steps_.back();
    ZP_REQUIRE(sums.back().damage <= budget, "bit_budget: the best choice has a damage of ",
               sums.back().damage, ", the budget is ", budget);
    const auto first = std::partition_point(sums.begin(), sums.end(),
                                            [&](const sum& s) { return s.damage > budget; });
    bit_choice choice = trace(static_cast<std::size_t>(first - sums.begin()));
    choice.bound = is_exact_ ? static_cast<double>(choice.bytes) : hull_bytes(budget);
    return choice;
  }

  /// How many trades there are, from the smallest and worst to the largest and best.
  [[nodiscard]] std::size_t size() const noexcept { return steps_.back().size(); }
  [[nodiscard]] bit_choice operator[](std::size_t i) const {
    ZP_REQUIRE(i < size(), "bit_budget: trade ", i, " of ", size());
    bit_choice choice = trace(i);
    choice.bound = is_exact_ ? choice.damage : hull_damage(static_cast<double>(choice.bytes));
    return choice;
  }

 private:
  /// Bytes and damage of the layers so far, and how they came about.
  struct sum {
    std::uint64_t bytes = 0;
    double damage = 0;
    std::uint32_t parent = 0, option = 0;
  };
  struct point {
    double bytes = 0, damage = 0;
  };

  void require_options(const std::vector<bit_option>& options, std::size_t l) {
    ZP_REQUIRE(!options.empty() && options.size() < std::size_t{1} << 32, "bit_budget: layer ", l,
               " has ", options.size(), " options, expected at least 1");
    std::uint64_t most = 0;
    for (const bit_option& o : options) {
      ZP_REQUIRE(std::isfinite(o.damage), "bit_budget: damage ", o.damage, " of layer ", l, " at ",
                 o.bits, " bits, expected finite ones");
      most = std::max(most, o.bytes);
    }
    constexpr std::uint64_t exact = std::uint64_t{1} << 53;
    ZP_REQUIRE(most <= exact - most_bytes_, "bit_budget: ", most, " bytes of layer ", l, " after ",
               most_bytes_, ", expected at most ", exact, " together");
    most_bytes_ += most;
  }

  /// Every sum so far with every option; of equals the earlier sum, then the earlier option stays.
  void join(const std::vector<bit_option>& options, std::size_t limit) {
    const std::vector<sum>& before = steps_.back();
    std::vector<sum> all;
    all.reserve(before.size() * options.size());
    const auto smaller = [](const sum& a, const sum& b) {
      return a.bytes != b.bytes ? a.bytes < b.bytes : a.damage < b.damage;
    };
    for (std::size_t o = 0; o < options.size(); ++o) {
      const auto middle = static_cast<std::ptrdiff_t>(all.size());
      for (std::size_t i = 0; i < before.size(); ++i) {
        all.push_back({before[i].bytes + options[o].bytes, before[i].damage + options[o].damage,
                       static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(o)});
      }
      std::inplace_merge(all.begin(), all.begin() + middle, all.end(), smaller);
    }
    std::vector<sum> kept;
    for (const sum& s : all) {
      if (kept.empty() || s.damage < kept.back().damage) kept.push_back(s);
    }
    if (kept.size() > limit) thin(kept, limit);
    steps_.push_back(std::move(kept));
  }

  /// The smallest, and the best of each of limit - 1 equal ranges of bytes.
  void thin(std::vector<sum>& sums, std::size_t limit) {
    is_exact_ = false;
    const std::uint64_t low = sums.front().bytes, range = sums.back().bytes - low;
    const auto part = [&](const sum& s) {
      const double share = static_cast<double>(s.bytes - low) / static_cast<double>(range);
      return std::min(limit - 2, static_cast<std::size_t>(share * static_cast<double>(limit - 1)));
    };
    std::size_t kept = 1;
    for (std::size_t i = 1; i < sums.size(); ++i) {
      if (i + 1 == sums.size() || part(sums[i]) != part(sums[i + 1])) sums[kept++] = sums[i];
    }
    sums.resize(kept);
  }

  /// The steps down the lower convex hull of one layer; the first point joins the start.
  void join_hull(const std::vector<bit_option>& options) {
    std::vector<point> points;
    for (const bit_option& o : options) points.push_back({static_cast<double>(o.bytes), o.damage});
    std::sort(points.begin(), points.end(), [](const point& a, const point& b) {
      return a.bytes != b.bytes ? a.bytes < b.bytes : a.damage < b.damage;
    });
    std::vector<point> hull;
    for (const point& p : points) {
      if (!hull.empty() && p.damage >= hull.back().damage) continue;
      while (hull.size() >= 2 && !steeper(hull[hull.size() - 2], hull.back(), p)) hull.pop_back();
      hull.push_back(p);
    }
    hull_[0].bytes += hull[0].bytes, hull_[0].damage += hull[0].damage;
    for (std::size_t i = 1; i < hull.size(); ++i) {
      hull_.push_back({hull[i].bytes - hull[i - 1].bytes, hull[i].damage - hull[i - 1].damage});
    }
  }
  /// Whether a to b falls faster than b to c.
  [[nodiscard]] static bool steeper(const point& a, const point& b, const point& c) {
    return (b.damage - a.damage) * (c.bytes - b.bytes) <
           (c.damage - b.damage) * (b.bytes - a.bytes);
  }
  /// All steps, the best damage per byte first, become the corners of the hull of all layers.
  void walk_hull() {
    std::sort(hull_.begin() + 1, hull_.end(), [](const point& a, const point& b) {
      return a.damage / a.bytes < b.damage / b.bytes;
    });
    for (std::size_t i = 1; i < hull_.size(); ++i) {
      hull_[i].bytes += hull_[i - 1].bytes, hull_[i].damage += hull_[i - 1].damage;
    }
  }
  [[nodiscard]] double hull_damage(double bytes) const {
    std::size_t i = 0;
    while (i < hull_.size() && hull_[i].bytes <= bytes) ++i;
    if (i == hull_.size()) return hull_.back().damage;
    const point &a = hull_[i - 1], &b = hull_[i];
    return a.damage + (bytes - a.bytes) / (b.bytes - a.bytes) * (b.damage - a.damage);
  }
  [[nodiscard]] double hull_bytes(double damage) const {
    std::size_t i = 0;
    while (i + 1 < hull_.size() && hull_[i].damage > damage) ++i;
    if (i == 0 || hull_[i].damage > damage) return hull_[i].bytes;
    const point &a = hull_[i - 1], &b = hull_[i];
    return a.bytes + (damage - a.damage) / (b.damage - a.damage) * (b.bytes - a.bytes);
  }

  /// The choice behind sum i of the last step.
  [[nodiscard]] bit_choice trace(std::size_t i) const {
    bit_choice choice;
    choice.bytes = steps_.back()[i].bytes;
    choice.damage = steps_.back()[i].damage;
    choice.is_optimal = is_exact_;
    choice.options.resize(steps_.size() - 1);
    for (std::size_t l = choice.options.size(); l-- > 0;) {
      const sum& s = steps_[l + 1][i];
      choice.options[l] = s.option;
      i = s.parent;
    }
    return choice;
  }

  std::vector<std::vector<sum>> steps_;  ///< after 0, 1, ... layers: bytes up, damage down
  std::vector<point> hull_;              ///< corners: bytes up, damage down
  std::uint64_t most_bytes_ = 0;
  bool is_exact_ = true;
};

}  // namespace zeropoint::inline ZP_BASELINE
