// Executors that try to catch a dependence on threads or on the order of tasks.
#pragma once

#include <cstddef>

namespace test {

/// Pretends to be several threads and runs the tasks on one, the last first.
struct backwards {
  std::size_t threads = 3;
  [[nodiscard]] std::size_t concurrency() const { return threads; }
  template <class F>
  void operator()(std::size_t tasks, F&& f) const {
    while (tasks-- > 0) f(tasks);
  }
};

}  // namespace test
