// Where a pass through a model spends its time, on the clock of the thread that makes it: what other
// threads do meanwhile belongs to the stage that waits for them.
#pragma once

#include <chrono>

namespace lab {

/// Seconds, or shares of a whole.
struct stage_times {
  double linears = 0;     ///< the layers of the blocks, with what they do to their inputs
  double attention = 0;   ///< keys and values into the cache, both products, softmax
  double activation = 0;  ///< GELU, ReLU, or SiLU and the product with the gate
  double head = 0;
  double others = 0;  ///< embedding, norms, positions, sums
};
/// In the order of a table.
inline constexpr double stage_times::*stages[] = {&stage_times::linears, &stage_times::attention,
                                                  &stage_times::activation, &stage_times::head,
                                                  &stage_times::others};

/// Adds the time since the last lap to a stage; with null it does nothing.
class stage_clock {
 public:
  explicit stage_clock(stage_times* to) : to_(to) {
    if (to_ != nullptr) last_ = clock::now();
  }
  void lap(double stage_times::*stage) {
    if (to_ == nullptr) return;
    const auto now = clock::now();
    to_->*stage += std::chrono::duration<double>(now - last_).count();
    last_ = now;
  }

 private:
  using clock = std::chrono::steady_clock;
  stage_times* to_;
  clock::time_point last_{};
};

}  // namespace lab
