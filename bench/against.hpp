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

/// What one peer did in one race.
struct peer_ratio {
  std::string name, mode;
  double ratio = 0;  ///< how many times as fast we are
};

/// What a regime wants of the ratio to a library, or to the best one of a mode (no name).
struct peer_target {
  std::string library;  ///< as names begin: "oneDNN" means all its versions
  double floor = 0, goal = 0;
};

/// Ends the program, naming the element, unless the two are at most `within` apart.
void expect_near(const peer& from, std::size_t i, std::size_t j, double got, double expected,
                 double within);

/// The peers in one race, on one problem.
class opponents {
 public:
  /// Ends the program where a peer has not computed what its mode says.
  using check = std::function<void(const peer& from, peer_product& done)>;

  /// Makes and enters them. Cold weights of f32 are fewer copies: as many bytes in all as ours.
  opponents(race& r, const peer_problem& problem, const check& require_same,
            const our_entries& ours);
  /// Of products: `sums` are the exact a * w^T.
  opponents(race& r, const peer_problem& problem, const zp::matrix_view<std::int32_t>& sums,
            const our_entries& ours);
  /// After the race: what each did; also a row for each into `found`.
  [[nodiscard]] std::vector<peer_ratio> results(const std::string& shape, findings& found) const;

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

/// The races of one regime.
class contests {
 public:
  void take(const std::vector<peer_ratio>& one) { races_.push_back(one); }
  /// Adds a row for each target that a peer of the mode was there for: the geometric mean over races of
  /// the ratio to the best of the peers meant. The unit names them, the most frequent best first.
  void add_to(findings& found, const std::string& regime, const std::string& mode,
              const std::vector<peer_target>& targets) const;

 private:
  std::vector<std::vector<peer_ratio>> races_;
};

}  // namespace bench
