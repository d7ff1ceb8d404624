// Loops over windows: the library's thread team, with exceptions carried out of it and scratch objects
// that are made once per thread.
#pragma once

#include <zeropoint/base/thread_team.hpp>

#include <algorithm>
#include <exception>
#include <memory>
#include <mutex>
#include <vector>

namespace lab {

/// The library's executor with so many threads. Not OpenMP's: where other programs run, its waiting
/// threads made decoding twenty times slower.
[[nodiscard]] inline zeropoint::thread_team executor_of(std::size_t threads) {
  return zeropoint::thread_team(std::clamp<std::size_t>(threads, 1, 1024));
}

/// Runs f(0) ... f(count - 1) on `threads` threads. When some throw, the exception of the lowest
/// index is thrown on, after all have ended.
template <class F>
void parallel_for(std::size_t threads, std::size_t count, F&& f) {
  std::mutex guard;
  std::size_t failed = count;
  std::exception_ptr problem;
  const auto task = [&](std::size_t i) {
    try {
      f(i);
    } catch (...) {
      const std::lock_guard lock(guard);
      if (i < failed) {
        failed = i;
        problem = std::current_exception();
      }
    }
  };
  executor_of(threads)(count, task);
  if (problem) std::rethrow_exception(problem);
}

/// Objects that tasks borrow: as many as run at the same time are made.
template <class T>
class pool {
 public:
  template <class Make>
  [[nodiscard]] std::unique_ptr<T> take(Make&& make) {
    {
      const std::lock_guard lock(guard_);
      if (!free_.empty()) {
        auto one = std::move(free_.back());
        free_.pop_back();
        return one;
      }
    }
    return std::make_unique<T>(make());
  }
  void give_back(std::unique_ptr<T> one) {
    const std::lock_guard lock(guard_);
    free_.push_back(std::move(one));
  }

 private:
  std::mutex guard_;
  std::vector<std::unique_ptr<T>> free_;
};

}  // namespace lab
