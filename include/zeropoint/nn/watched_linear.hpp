// A static W8A8 layer that notices when its calibration no longer holds. It counts the activations
// outside its grid, window by window; once a window has too many, the layer changes to a scale per
// token, computed on the fly, for good:
//
//   outside / count of a window > limit      =>      dynamic_linear, with the same packed weights
//
// The call that closes that window is computed again, so that no caller gets a result that the layer
// has just rejected.
#pragma once

#include <zeropoint/nn/static_linear.hpp>

#include <mutex>
#include <string>

namespace zeropoint::inline ZP_BASELINE {

struct watch_options {
  double limit = 0.005;          ///< share outside the grid that is still accepted, 0 to 1
  std::uint64_t window = 65536;  ///< least number of activations to judge by, at least 1
};

namespace detail {

/// The window that fills up, and what came of it. Calls from any thread; a copy has its own.
class range_watch {
 public:
  struct state {
    activation_counts window;  ///< of this window, or of the one that demoted
    std::uint64_t seen = 0;    ///< activations until now, or until the demotion
    bool demoted = false;
  };

  explicit range_watch(const watch_options& o) : options_(o) {
    ZP_REQUIRE(o.limit >= 0 && o.limit <= 1, "watched_linear: limit ", o.limit,
               ", expected 0 to 1");
    ZP_REQUIRE(o.window > 0, "watched_linear: a window of ", o.window,
               " activations, expected at least 1");
  }
  range_watch(const range_watch& other) : options_(other.options_), state_(other.read()) {}
  range_watch& operator=(const range_watch& other) {
    const state copy = other.read();
    const std::lock_guard lock(mutex_);
    options_ = other.options_;
    state_ = copy;
    return *this;
  }

  /// Adds a call; true when the layer is demoted, by this call or before.
  bool add(const activation_counts& call) {
    const std::lock_guard lock(mutex_);
    if (state_.demoted) return true;
    if (state_.window.count >= options_.window) state_.window = {};
    state_.window.merge(call);
    state_.seen += call.count;
    state_.demoted =
        state_.window.count >= options_.window && state_.window.outside_fraction() > options_.limit;
    return state_.demoted;
  }
  [[nodiscard]] state read() const {
    const std::lock_guard lock(mutex_);
    return state_;
  }
  [[nodiscard]] const watch_options& options() const noexcept { return options_; }

 private:
  watch_options options_;
  mutable std::mutex mutex_;
  state state_;
};

}  // namespace detail

/// Windows follow one another: each ends with the call that brings it to watch_options::window
/// activations. Any number of threads may call; one after another in the same order, the same call
/// demotes. A range from a percentile leaves its share outside by design: set the limit above it.
class watched_linear : public static_linear {
 public:
  /// As static_linear's. Throws `error` also for a limit outside 0 .. 1 and an empty window.
  template <class Weight>  // a weight, or a quantized_weight
  watched_linear(const Weight& w, std::span<const float> bias, value_range range,
                 const watch_options& watch = {}, const static_linear_options& options = {})
      : static_linear(w, bias, range, options), watch_(watch) {}

  /// y [m, out] from x [m, in]: static_linear's result until the demotion, dynamic_linear's per
  /// token from the call on that causes it; counts() has that call twice.
  template <executor Executor = serial>
  void operator()(matrix_view<const float> x, matrix_view<float> y, const Executor& ex = {}) const {
    const bool is_static = !demoted();
    if (is_static) {
      const params p = activation_params();
      if (!watch_.add(run(x, y, blocks_of(x, per_tensor), &p, ex))) return;
    }
    run(x, y, blocks_of(x, per_token), nullptr, ex);
  }

  /// The twin (simulation.hpp) of what the next call computes, if that does not demote.
  template <executor Executor = serial>
  void simulate(matrix_view<const float> x, const simulated& result,
                const Executor& ex = {}) const {
    if (demoted()) return simulate_dynamic(x, 1, result, ex);
    static_linear::simulate(x, result, ex);
  }
  template <executor Executor = serial>
  void simulate(matrix_view<const float> x, matrix_view<float> y, const Executor& ex = {}) const {
    simulate(x, simulated{y, {}}, ex);
  }

  [[nodiscard]] bool demoted() const { return watch_.read().demoted; }
  /// How many activations the layer had seen when it was demoted; until then, has seen.
  [[nodiscard]] std::uint64_t static_activations() const { return watch_.read().seen; }
  /// Of the window that demoted the layer; until then, of the latest one.
  [[nodiscard]] activation_counts window() const { return watch_.read().window; }
  /// One line: "scale per token since activation 65536: 812 of 65536 outside -1.5 .. 1.5, limit
  /// 0.5 %", or "static: 3 of 4096 outside -1.5 .. 1.5, limit 0.5 %".
  [[nodiscard]] std::string status() const {
    const detail::range_watch::state s = watch_.read();
    const value_range grid = activation_params().representable();
    std::ostringstream text;
    if (s.demoted) {
      text << "scale per token since activation " << s.seen;
    } else {
      text << "static";
    }
    text << ": " << s.window.outside() << " of " << s.window.count << " outside " << grid.min
         << " .. " << grid.max << ", limit " << 100 * watch_.options().limit << " %";
    return text.str();
  }

 private:
  mutable detail::range_watch watch_;
};

}  // namespace zeropoint::inline ZP_BASELINE
