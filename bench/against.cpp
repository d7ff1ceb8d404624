#include "against.hpp"

#include <zeropoint/math/requantize.hpp>

namespace bench {

namespace {

/// Exactly, or requantized to int8 exactly, or in f32 as k additions can round: each by 2^-24 of a
/// partial sum, and those are below 4 standard deviations of the whole, 73^2 sqrt(k).
void require_same(const peer& other, peer_product& theirs, std::size_t k,
                  const zp::matrix_view<std::int32_t>& c) {
  const double depth = static_cast<double>(k);
  const float multiplier = requantization_multiplier(k);
  const zp::params int8{1, 0, -128, 127};
  const double near = depth * 0x1p-24 * 4 * 73 * 73 * std::sqrt(depth);
  for (std::size_t i = 0; i < c.rows(); ++i) {
    for (std::size_t j = 0; j < c.cols(); ++j) {
      const double exact =
          other.mode == "s8s8s8" ? zp::requantize(c(i, j), multiplier, int8) : c(i, j);
      const bool floats = other.mode == "f32" || other.mode == "f32s8";
      expect_near(other, i, j, theirs.at(i, j), exact, floats ? near : 0);
    }
  }
}

}  // namespace

bool has_peers(const std::string& mode) {
  return std::any_of(peers().begin(), peers().end(),
                     [&](const peer& one) { return one.mode == mode; });
}

void expect_near(const peer& from, std::size_t i, std::size_t j, double got, double expected,
                 double within) {
  if (std::fabs(got - expected) <= within) return;
  std::cerr << "zp-regimes: " << from.name << ' ' << from.mode << " gives " << got << " at (" << i
            << ", " << j << "), expected " << expected;
  if (within > 0) std::cerr << " to " << within;
  std::cerr << '\n';
  std::exit(1);
}

opponents::opponents(race& r, const peer_problem& problem, const check& require_same,
                     const our_entries& ours)
    : race_(r), problem_(problem), ours_(ours) {
  for (const peer& other : peers()) {
    if (ours.count(other.mode) == 0) continue;
    peer_problem theirs = problem;
    if (other.mode == "f32" && problem.copies > 1) {
      theirs.copies = cold_copies(sizeof(float) * problem.k * problem.n);
    }
    auto product = other.make(theirs);
    product->run();
    require_same(other, *product);
    all_.push_back({other, std::move(product)});
    r.enter(
        all_.back().entry(), [run = all_.back().product.get()] { run->run(); }, theirs.copies);
  }
}

opponents::opponents(race& r, const peer_problem& problem,
                     const zp::matrix_view<std::int32_t>& sums, const our_entries& ours)
    : opponents(
          r, problem,
          [&](const peer& from, peer_product& done) { require_same(from, done, problem.k, sums); },
          ours) {}

std::vector<peer_ratio> opponents::results(const std::string& shape, findings& found) const {
  std::vector<peer_ratio> all;
  for (const opponent& one : all_) {
    const double ratio = race_.ratio(one.entry(), ours_.at(one.from.mode));
    all.push_back({one.from.name, one.from.mode, ratio});
    found.peers.push_back({{"shape", shape},
                           {"m", problem_.m},
                           {"k", problem_.k},
                           {"n", problem_.n},  // 0: nothing is multiplied
                           {"mode", one.from.mode},
                           {"peer", one.from.name},
                           {"ratio", ratio}});
  }
  return all;
}

void contests::add_to(findings& found, const std::string& regime, const std::string& mode,
                      const std::vector<peer_target>& targets) const {
  for (const auto& [library, floor, goal] : targets) {
    std::vector<double> ratios;
    std::map<std::string, int> wins;
    for (const std::vector<peer_ratio>& one : races_) {
      const peer_ratio* best = nullptr;
      for (const peer_ratio& r : one) {
        if (r.mode != mode || r.name.rfind(library, 0) != 0) continue;
        if (best == nullptr || r.ratio < best->ratio) best = &r;
      }
      if (best == nullptr) continue;
      ratios.push_back(best->ratio);
      ++wins[best->name];
    }
    if (ratios.empty()) continue;
    std::vector<std::pair<int, std::string>> order;
    for (const auto& [peer, times] : wins) order.emplace_back(-times, peer);
    std::sort(order.begin(), order.end());
    std::string unit;
    for (const auto& [times, peer] : order) unit += (unit.empty() ? "x " : ", ") + peer;
    const std::string who = library.empty() ? "the best of " + mode : library;
    found.add(regime + " against " + who, unit, floor, goal, geometric_mean(ratios));
  }
}

}  // namespace bench
