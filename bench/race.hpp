// Competitors that take turns, among them the limits of the machine: what a ratio is taken from.
#pragma once

#include <algorithm>
#include <functional>
#include <stdexcept>

#include "measure.hpp"

namespace bench {

struct settings {
  bool quick = false;
  [[nodiscard]] int rounds() const { return quick ? 5 : 11; }
  [[nodiscard]] double slot(bool cold) const { return (quick ? 0.6 : 1.0) * (cold ? 0.03 : 0.012); }
};

/// Competitors in turn, round by round.
class race {
 public:
  race(const settings& s, bool cold, double (*clock)() = &thread_seconds)
      : rounds_(s.rounds()), slot_(s.slot(cold)), clock_(clock) {}
  /// Calls `run` beforehand as often as there are copies of its weights: no copy is read for the first
  /// time with the clock running, when its pages may not be where they will be.
  void enter(const std::string& name, std::function<void()> run, std::size_t copies = 0) {
    for (std::size_t i = 0; i < copies; ++i) run();
    entries_.push_back({name, std::move(run), {}});
  }
  void run() {
    for (int round = 0; round < rounds_; ++round) {
      for (std::size_t i = 0; i < entries_.size(); ++i) {
        entry& e = entries_[(i + static_cast<std::size_t>(round)) % entries_.size()];
        e.seconds.push_back(timed(clock_, slot_, e.run));
      }
    }
  }
  /// Median over rounds of seconds of `slow` over seconds of `fast`.
  [[nodiscard]] double ratio(const std::string& slow, const std::string& fast) const {
    const auto &a = of(slow), &b = of(fast);
    std::vector<double> ratios(a.size());
    for (std::size_t i = 0; i < a.size(); ++i) ratios[i] = a[i] / b[i];
    return median(ratios);
  }
  /// Median over rounds of the seconds of one call.
  [[nodiscard]] double seconds(const std::string& name) const { return median(of(name)); }

 private:
  struct entry {
    std::string name;
    std::function<void()> run;
    std::vector<double> seconds;
  };
  [[nodiscard]] const std::vector<double>& of(const std::string& name) const {
    const auto found = std::find_if(entries_.begin(), entries_.end(),
                                    [&](const entry& e) { return e.name == name; });
    if (found == entries_.end()) throw std::logic_error("no entry \"" + name + "\" in a race");
    return found->seconds;
  }
  int rounds_;
  double slot_;
  double (*clock_)();
  std::vector<entry> entries_;
};

/// The limits of this machine as competitors: multiply-adds of the kernel in use, those of floats, and
/// reading memory.
class limits {
 public:
  /// Memory that was never written is one page of zeros, many times: it would be read from cache.
  limits() : peak_(peak_of(zp::kernels::best().name)), read_(std::size_t{192} << 20) {
    std::fill(read_.begin(), read_.end(), std::byte{1});
  }
  [[nodiscard]] bool has_peak() const { return peak_.run != nullptr; }
  [[nodiscard]] bool has_fma() const { return fma_.run != nullptr; }
  /// Enters "peak": a loop of as many multiply-adds as the product (rounded up to whole rounds).
  void enter_peak(race& r, double operations) { enter(r, "peak", peak_, operations); }
  /// Enters "fma": as many multiply-adds of floats.
  void enter_fma(race& r, double operations) { enter(r, "fma", fma_, operations); }
  /// Enters "read": a streaming read of as many bytes, the next ones each time when cold.
  void enter_read(race& r, std::size_t bytes, bool cold, const std::string& name = "read") {
    bytes = std::min(bytes, read_.size());
    const auto read = [this, bytes, cold](read_loop loop) {
      if (!cold || at_ + bytes > read_.size()) at_ = 0;
      loop(read_.data() + at_, bytes);
      at_ += bytes;
    };
    r.enter(name, [read, loop = fastest_read(read)] { read(loop); });
  }

 private:
  static void enter(race& r, const char* name, const peak_loop& loop, double operations) {
    if (loop.run == nullptr) return;  // and no operations to divide by
    const auto rounds = static_cast<std::size_t>(operations / loop.operations) + 1;
    r.enter(name, [loop, rounds] { loop.run(rounds); });
  }
  peak_loop peak_, fma_ = fma_peak();
  zp::aligned_buffer<std::byte> read_;
  std::size_t at_ = 0;
};

}  // namespace bench
