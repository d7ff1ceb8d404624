// A line on the terminal that says how far a long job is and how long it will still take:
//
//   tokenize: 43 %, about 12 s left
//
// Nothing appears during the first two seconds, nor when standard error is not a terminal.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <string>

namespace lab {

class progress {
 public:
  using clock = std::chrono::steady_clock;

  /// A job of `total` equal steps. Use from one thread at a time.
  progress(std::string what, std::uint64_t total);
  /// The same on any stream with any clock; shows nothing when `shown` is false.
  progress(std::string what, std::uint64_t total, std::ostream& out, bool shown,
           std::function<clock::time_point()> now);
  progress(const progress&) = delete;
  progress& operator=(const progress&) = delete;
  /// Wipes the line.
  ~progress();

  /// `done` steps of the total are done; cheap enough for an inner loop of microseconds.
  void at(std::uint64_t done);
  void advance(std::uint64_t steps = 1) { at(done_ + steps); }

 private:
  std::string what_;
  std::uint64_t total_;
  std::uint64_t done_ = 0;
  std::ostream* out_;
  bool shown_;
  bool visible_ = false;
  std::function<clock::time_point()> now_;
  clock::time_point begin_;
  clock::time_point next_;
};

/// "45 s", "3 min 20 s", "2 h 5 min"; rounded to what a reader wants.
[[nodiscard]] std::string duration_text(double seconds);

}  // namespace lab
