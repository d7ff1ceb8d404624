// An executor of threads that wait politely: for a moment awake, because the next parallel piece of a
// layer is microseconds away, then asleep in the system. OpenMP's threads (executor.hpp) stay awake for
// milliseconds by default; on a machine that does other work too, they then take the processor from
// the thread that they are waiting for. Needs no compiler flag, only threads to link with.
//
//   const thread_team two(2);      cheap: all teams of files with the same -march share their workers
//   gemm(a, w, c, two);
#pragma once

#include <zeropoint/base/platform.hpp>

#include <atomic>
#include <cstdint>
#include <mutex>
#include <system_error>
#include <thread>

#if defined(__unix__)
#include <pthread.h>
#endif
#if ZP_X86
#include <immintrin.h>
#endif

namespace zeropoint::inline ZP_BASELINE {

namespace detail {

/// The threads behind all teams of a process, made when they are first needed, never ended: they sleep
/// when the process ends. One job at a time.
class workers {
 public:
  using task = void (*)(const void* context, std::size_t i);

  /// The workers of this process; a forked child has none of its parent's threads and makes its own.
  static workers& here() { return *slot().load(std::memory_order_acquire); }

  /// f(context, i) for i < count on this thread and up to `helpers` others. Where they are busy, be it
  /// with the job that this call is a task of, this thread does everything itself.
  void run(std::size_t helpers, std::size_t count, task f, const void* context) {
    std::unique_lock alone(busy_, std::defer_lock);
    if (inside() || !alone.try_lock()) {
      for (std::size_t i = 0; i < count; ++i) f(context, i);
      return;
    }
    if (helpers > count - 1) helpers = count - 1;
    helpers = hire(helpers);
    f_ = f, context_ = context, count_ = count;
    next_.store(0, std::memory_order_relaxed);
    at_work_.store(helpers, std::memory_order_relaxed);
    const std::uint64_t job = (job_.load(std::memory_order_relaxed) >> 16) + 1;
    job_.store(job << 16 | helpers, std::memory_order_release);
    if (helpers != 0) job_.notify_all();
    inside() = true;
    take_tasks();
    inside() = false;
    await(at_work_, [](std::size_t left) { return left == 0; });
  }

 private:
  static std::atomic<workers*>& slot() {
    static std::atomic<workers*> current{new workers};
#if defined(__unix__)
    static const int registered =
        pthread_atfork(nullptr, nullptr, [] { slot().store(new workers); });
    static_cast<void>(registered);
#endif
    return current;
  }
  /// Whether this thread is in a task.
  static bool& inside() {
    thread_local bool answer = false;
    return answer;
  }
  static void pause() {
#if ZP_X86
    _mm_pause();
#elif ZP_AARCH64
    __asm__ volatile("yield");
#endif
  }
  /// Until done(value): awake for 2 to 20 microseconds, as long as 500 pauses take, then asleep between
  /// changes.
  template <class T, class Done>
  static T await(const std::atomic<T>& value, Done&& done) {
    for (int i = 0; i < 500; ++i) {
      const T v = value.load(std::memory_order_acquire);
      if (done(v)) return v;
      pause();
    }
    for (;;) {
      const T v = value.load(std::memory_order_acquire);
      if (done(v)) return v;
      value.wait(v, std::memory_order_acquire);
    }
  }

  /// At least so many workers, or as many as the system gives.
  std::size_t hire(std::size_t wanted) {
    while (hired_ < wanted && hired_ < 0xffff) {
      try {
        std::thread([this, i = hired_, seen = job_.load(std::memory_order_relaxed)] {
          work(i, seen);
        }).detach();
      } catch (const std::system_error&) {
        return hired_;
      }
      ++hired_;
    }
    return wanted < hired_ ? wanted : hired_;
  }
  void work(std::size_t index, std::uint64_t seen) {
    inside() = true;  // what a task runs in parallel, this thread does alone
    for (;;) {
      seen = await(job_, [&](std::uint64_t now) { return now != seen; });
      if (index >= (seen & 0xffff)) continue;  // not for this one: it does not look at the job
      take_tasks();
      if (at_work_.fetch_sub(1, std::memory_order_acq_rel) == 1) at_work_.notify_one();
    }
  }
  void take_tasks() {
    for (std::size_t i = 0; (i = next_.fetch_add(1, std::memory_order_relaxed)) < count_;) {
      f_(context_, i);
    }
  }

  std::mutex busy_;
  std::size_t hired_ = 0;
  alignas(64) std::atomic<std::uint64_t> job_{0};  ///< its number, and how many help with it
  alignas(64) std::atomic<std::size_t> next_{0};
  alignas(64) std::atomic<std::size_t> at_work_{0};
  task f_ = nullptr;
  const void* context_ = nullptr;
  std::size_t count_ = 0;
};

}  // namespace detail

/// `threads` threads, the caller's among them; 0 means one per processor. Tasks must not throw. A call
/// from within a task runs on its thread alone, as does one while another thread's call is running.
class thread_team {
 public:
  explicit thread_team(std::size_t threads = 0)
      : threads_(threads != 0 ? threads : std::thread::hardware_concurrency()) {
    if (threads_ == 0) threads_ = 1;
  }
  [[nodiscard]] std::size_t concurrency() const noexcept { return threads_; }

  template <class F>
  void operator()(std::size_t count, F&& f) const {
    if (count <= 1 || threads_ == 1) {
      for (std::size_t i = 0; i < count; ++i) f(i);
      return;
    }
    const auto call = [&f](std::size_t i) { f(i); };
    detail::workers::here().run(
        threads_ - 1, count,
        [](const void* context, std::size_t i) {
          (*static_cast<const decltype(call)*>(context))(i);
        },
        &call);
  }

 private:
  std::size_t threads_;
};

}  // namespace zeropoint::inline ZP_BASELINE
