// Other libraries in a race: that they compute the same numbers, and how many times as fast we are.
#pragma once

#include <map>

#include "findings.hpp"
#include "peers/peer.hpp"
#include "race.hpp"

namespace bench {

/// Whether a library that computes this was found.
[[nodiscard]] bool has_peers(const std::string& mode);

/// Which of our entries in a race a mode is compared with; peers of other modes stay out of it.
using our_entries = std::map<std::string, std::string>;

struct best_peer {
  std::string name;
  double ratio = 0;  ///< how many times as fast we are
};

/// The peers in one race, on one problem.
class opponents {
 public:
  /// Makes and enters them. Ends the program where one does not compute `sums`, the exact a * w^T, as
  /// its mode says.
  opponents(race& r, const peer_problem& problem, const zp::matrix_view<std::int32_t>& sums,
            const our_entries& ours);
  /// After the race: a row for each into `found`, and the best of each mode.
  [[nodiscard]] std::map<std::string, best_peer> results(const std::string& shape,
                                                         findings& found) const;

 private:
  struct opponent {
    peer from;
    std::unique_ptr<peer_product> product;
    [[nodiscard]] std::string entry() const { return from.name + ' ' + from.mode; }
  };
  race& race_;
  peer_problem problem_;
  our_entries ours_;
  std::vector<opponent> all_;
};

/// The best peers of several races.
class strongest {
 public:
  void take(const best_peer& one) {
    ratios_.push_back(one.ratio);
    ++wins_[one.name];
  }
  /// Adds the geometric mean; the unit names who was best, most often first. Nothing without races.
  void add_to(findings& found, const std::string& name, double floor, double goal) const;

 private:
  std::vector<double> ratios_;
  std::map<std::string, int> wins_;
};

}  // namespace bench
