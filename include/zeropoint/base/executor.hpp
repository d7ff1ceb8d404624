// Who runs the loops. An executor is called with a number of tasks and a function of the task's
// index; it may run them in any order and on any thread, and returns when all are done. The library
// starts no thread that nobody asked for (thread_team.hpp has an executor of its own), and no result
// depends on the executor: tasks write disjoint outputs and every reduction over tasks has a fixed shape.
#pragma once

#include <zeropoint/base/error.hpp>

#include <concepts>

#if defined(_OPENMP)
#include <omp.h>
#endif

namespace zeropoint::inline ZP_BASELINE {

/// `ex(count, f)` runs f(0) ... f(count - 1); `ex.concurrency()` is how many may run at the same
/// time (>= 1).
template <class E>
concept executor = requires(const E& ex, std::size_t count, void (*f)(std::size_t)) {
  { ex.concurrency() } -> std::convertible_to<std::size_t>;
  ex(count, f);
};

/// One after another on the calling thread: the default everywhere.
struct serial {
  [[nodiscard]] constexpr std::size_t concurrency() const noexcept { return 1; }
  template <class F>
  constexpr void operator()(std::size_t count, F&& f) const {
    for (std::size_t i = 0; i < count; ++i) f(i);
  }
};

#if defined(_OPENMP)
/// OpenMP threads, where the caller's translation unit has OpenMP. threads = 0 means
/// omp_get_max_threads(). Tasks must not throw (an exception cannot leave a parallel region).
class openmp {
 public:
  explicit openmp(int threads = 0) : threads_(threads > 0 ? threads : omp_get_max_threads()) {}
  [[nodiscard]] std::size_t concurrency() const noexcept {
    return static_cast<std::size_t>(threads_);
  }
  template <class F>
  void operator()(std::size_t count, F&& f) const {
    if (count <= 1 || threads_ == 1) return serial{}(count, f);
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads_)
    for (std::size_t i = 0; i < count; ++i) f(i);
  }

 private:
  int threads_;
};
#endif

}  // namespace zeropoint::inline ZP_BASELINE
