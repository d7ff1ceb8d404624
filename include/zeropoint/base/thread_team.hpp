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
#include <exception>
#include <thread>

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#include <signal.h>  // pthread_sigmask, which <csignal> does not promise
#define ZP_HAS_PTHREADS 1
#else
#define ZP_HAS_PTHREADS 0
#endif
#if ZP_X86
#include <immintrin.h>
#endif

namespace zeropoint::inline ZP_BASELINE {

namespace detail {

/// While it lives, threads that this one makes leave the program's signals to the program's own
/// threads: its handlers run there. But for those that a thread gets for what it does itself, which kill
/// the process where they are blocked, handler or not, and the one that profilers sample with.
class signals_blocked {
 public:
  signals_blocked(const signals_blocked&) = delete;
  signals_blocked& operator=(const signals_blocked&) = delete;
#if ZP_HAS_PTHREADS
  signals_blocked() {
    sigset_t most;
    sigfillset(&most);
    for (const int own : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT, SIGPROF}) {
      sigdelset(&most, own);
    }
    pthread_sigmask(SIG_BLOCK, &most, &before_);
  }
  ~signals_blocked() {
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

 private:
  sigset_t before_;
#else
  signals_blocked() = default;
#endif
};

/// The threads behind all teams of a process, made when they are first needed, never ended: they sleep
/// when the process ends. One job at a time. All of it is static memory without constructor and
/// destructor: threads outlive the destructors of static objects, and fork() finds it in any state.
///
/// Who is about to sleep marks the word that it waits for, and who changes this word exchanges it and so
/// learns of the mark. The changes of one word have one order. Where the mark comes first, the change
/// finds it, and notifies; where the change comes first, the mark is not set (a worker) or shows the end
/// (the caller), and nobody sleeps. Between mark and sleep no change is missed either: wait() compares the
/// word with the mark. That libstdc++ keeps this promise takes an exchange, not a store: its notify()
/// enters the system only where its count of waiters is not zero, so the change must be visible before the
/// count is read, and only a sequentially consistent exchange keeps that order (on x86: lock or xchg).
///
/// The words have 32 bits, as futexes do. On wider ones libstdc++ makes all waiters of a process share 16
/// stand-ins and wake for each other's notifications. And every worker has a word of its own: those that
/// a job does not need sleep on.
class workers {
 public:
  using task = void (*)(const void* context, std::size_t i);
  static constexpr std::size_t most = 1023;

  constexpr workers() = default;

  /// f(context, i) for i < count on this thread and up to `helpers` others. Where they are busy, be it
  /// with the job that this call is a task of, this thread does everything itself. An exception from a
  /// task reaches the caller when all threads have left the job; tasks not yet begun are left out.
  void run(std::size_t helpers, std::size_t count, task f, const void* context) {
    if (inside() || !follows_forks() || busy_.exchange(true, std::memory_order_acquire)) {
      for (std::size_t i = 0; i < count; ++i) f(context, i);
      return;
    }
    helpers = hire(helpers < count - 1 ? helpers : count - 1);
    std::exception_ptr thrown;
    f_ = f, context_ = context, count_ = count, thrown_ = &thrown;
    next_.store(0, std::memory_order_relaxed);
    failed_.store(false, std::memory_order_relaxed);
    at_work_.store(static_cast<std::uint32_t>(helpers), std::memory_order_relaxed);
    for (std::size_t i = 0; i < helpers; ++i) {
      if (seats_[i].word.exchange(called) == asleep) seats_[i].word.notify_one();
    }
    inside() = true;
    take_tasks();
    inside() = false;
    wait_for_helpers();
    busy_.store(false, std::memory_order_release);
    if (thrown) std::rethrow_exception(thrown);
  }

 private:
  /// A worker's word: it is awake and looks for work, it has been called, it sleeps.
  enum : std::uint32_t { awake, called, asleep };
  struct alignas(64) seat {
    std::atomic<std::uint32_t> word{awake};
  };
  /// In at_work_, beside the number of helpers: the caller sleeps.
  static constexpr std::uint32_t caller_asleep = std::uint32_t{1} << 31;

  /// Whether this thread is in a task.
  static bool& inside() {
    thread_local bool answer = false;
    return answer;
  }
  /// Looks at done() for 2 to 20 microseconds, as long as 500 pauses take.
  template <class Done>
  static bool soon(Done&& done) {
    for (int i = 0; i < 500; ++i) {
      if (done()) return true;
#if ZP_X86
      _mm_pause();
#elif ZP_AARCH64
      __asm__ volatile("yield");
#endif
    }
    return false;
  }

  /// Before anything here is changed, so that no child can find it changed and not have forgotten it. Two
  /// threads may both see to that, and a child of a fork in between once more: no harm.
  bool follows_forks();
  /// At least so many workers, or as many as the system gives. They have the processors that this thread
  /// may run on at the time: who wants them elsewhere changes its affinity after the first job.
  std::size_t hire(std::size_t wanted);
  void hire_one();

  [[noreturn]] void work(seat& own) {
    inside() = true;  // what a task runs in parallel, this thread does alone
    for (;;) {
      wait_for_call(own.word);
      own.word.store(awake,
                     std::memory_order_relaxed);  // before it leaves the job: after, a call is lost
      take_tasks();
      if (at_work_.fetch_sub(1) == (caller_asleep | 1)) at_work_.notify_one();
    }
  }
  static void wait_for_call(std::atomic<std::uint32_t>& word) {
    const auto is_called = [&] { return word.load(std::memory_order_acquire) == called; };
    if (soon(is_called)) return;
    std::uint32_t expected = awake;
    if (!word.compare_exchange_strong(expected, asleep)) return;  // called
    while (!is_called()) word.wait(asleep, std::memory_order_acquire);
  }
  void wait_for_helpers() {
    const auto left = [&] { return at_work_.load(std::memory_order_acquire) & ~caller_asleep; };
    if (soon([&] { return left() == 0; })) return;
    std::uint32_t now = at_work_.fetch_or(caller_asleep) | caller_asleep;
    while (now != caller_asleep) {  // woken by the last helper, not by each
      at_work_.wait(now, std::memory_order_acquire);
      now = at_work_.load(std::memory_order_acquire);
    }
  }
  void take_tasks() {
#if defined(__cpp_exceptions)
    try {
      call_tasks();
    } catch (...) {
      next_.store(count_, std::memory_order_relaxed);
      if (!failed_.exchange(true, std::memory_order_relaxed)) *thrown_ = std::current_exception();
    }
#else
    call_tasks();
#endif
  }
  void call_tasks() {
    for (std::size_t i = 0; (i = next_.fetch_add(1, std::memory_order_relaxed)) < count_;) {
      f_(context_, i);
    }
  }

  /// In a forked child, which has none of its parent's threads: it makes its own. Only stores, into what
  /// needs no initialisation: another thread of the parent may have been anywhere.
  void forget() {
    hired_ = 0;
    at_work_.store(0, std::memory_order_relaxed);
    busy_.store(false, std::memory_order_relaxed);
  }

  std::atomic<bool> busy_{false};
  std::atomic<bool> follows_forks_{false};
  std::size_t hired_ = 0;
  task f_ = nullptr;
  const void* context_ = nullptr;
  std::size_t count_ = 0;
  std::exception_ptr* thrown_ = nullptr;
  std::atomic<bool> failed_{false};
  alignas(64) std::atomic<std::size_t> next_{0};
  alignas(64) std::atomic<std::uint32_t> at_work_{0};
  seat seats_[most];
};

/// The workers of this process.
inline constinit workers workers_here;

inline bool workers::follows_forks() {
#if ZP_HAS_PTHREADS
  if (!follows_forks_.load(std::memory_order_acquire)) {
    if (pthread_atfork(nullptr, nullptr, [] { workers_here.forget(); }) != 0) return false;
    follows_forks_.store(true, std::memory_order_release);
  }
#endif
  return true;
}

inline std::size_t workers::hire(std::size_t wanted) {
  if (wanted > most) wanted = most;
  if (wanted <= hired_) return wanted;
  const signals_blocked here;
#if defined(__cpp_exceptions)
  try {
    while (hired_ < wanted) hire_one();
  } catch (const std::exception&) {
    return hired_;  // no more threads, or no memory for one
  }
#else
  while (hired_ < wanted) hire_one();
#endif
  return wanted;
}

inline void workers::hire_one() {
  seat& next = seats_[hired_];
  next.word.store(awake, std::memory_order_relaxed);
  std::thread([&next] { workers_here.work(next); }).detach();
  ++hired_;
}

}  // namespace detail

/// `threads` threads, the caller's among them; 0 means one per processor. An exception that a task
/// throws reaches the caller, the first one of several, and no further task is begun. A call from
/// within a task runs on its thread alone, as does one while another thread's call is running. A forked
/// child has a team of new threads; if it was forked within a task, it must not return from that.
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
    detail::workers_here.run(
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
