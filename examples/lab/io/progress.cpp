// The estimate is elapsed * (total - done) / done: the steps of a job are taken as equal.
#include <lab/io/error.hpp>
#include <lab/io/progress.hpp>

#include <cmath>
#include <iostream>
#include <utility>

#include <unistd.h>

namespace lab {
namespace {

constexpr auto silence = std::chrono::seconds(2);
constexpr auto interval = std::chrono::milliseconds(200);

}  // namespace

progress::progress(std::string what, std::uint64_t total)
    : progress(std::move(what), total, std::cerr, ::isatty(STDERR_FILENO) == 1,
               [] { return clock::now(); }) {}

progress::progress(std::string what, std::uint64_t total, std::ostream& out, bool shown,
                   std::function<clock::time_point()> now)
    : what_(printable(what, 60)),
      total_(total),
      out_(&out),
      shown_(shown),
      now_(std::move(now)),
      begin_(now_()),
      next_(begin_ + silence) {}

progress::~progress() {
  if (visible_) *out_ << "\r\x1b[K" << std::flush;
}

void progress::at(std::uint64_t done) {
  done_ = done;
  if (!shown_ || done == 0 || total_ == 0) return;
  const auto now = now_();
  if (now < next_) return;
  next_ = now + interval;
  visible_ = true;
  const double fraction = std::min(1.0, static_cast<double>(done) / static_cast<double>(total_));
  const double elapsed = std::chrono::duration<double>(now - begin_).count();
  *out_ << '\r' << what_ << ": " << static_cast<int>(100 * fraction) << " %, about "
        << duration_text(elapsed * (1 - fraction) / fraction) << " left\x1b[K" << std::flush;
}

std::string duration_text(double seconds) {
  const auto whole = static_cast<std::uint64_t>(std::ceil(std::fmin(std::fmax(seconds, 0), 1e9)));
  const auto two = [](std::uint64_t a, const char* unit_a, std::uint64_t b, const char* unit_b) {
    const std::string first = std::to_string(a) + unit_a;
    return b == 0 ? first : first + " " + std::to_string(b) + unit_b;
  };
  if (whole < 60) return std::to_string(whole) + " s";
  if (whole < 3600) return two(whole / 60, " min", whole % 60, " s");
  return two(whole / 3600, " h", whole / 60 % 60, " min");
}

}  // namespace lab
