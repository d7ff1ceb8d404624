// Progress with a clock of its own: when it speaks and what it says.
#include <lab/io/progress.hpp>

#include "support/test.hpp"

#include <sstream>

namespace {

struct hand_clock {
  lab::progress::clock::time_point now{};
  std::function<lab::progress::clock::time_point()> read() {
    return [this] { return now; };
  }
  void wait(int milliseconds) { now += std::chrono::milliseconds(milliseconds); }
};

}  // namespace

TEST_CASE("silent for two seconds, then an estimate, then wiped") {
  hand_clock clock;
  std::ostringstream out;
  {
    lab::progress shown("work", 100, out, true, clock.read());
    clock.wait(1999);
    shown.at(10);
    CHECK(out.str().empty());
    clock.wait(1);
    shown.at(20);
    CHECK(out.str() == "\rwork: 20 %, about 8 s left\x1b[K");
    out.str("");
    clock.wait(100);
    shown.at(21);
    CHECK(out.str().empty());  // not more often than five times a second
    clock.wait(17900);
    shown.advance(4);
    CHECK(out.str() == "\rwork: 25 %, about 1 min left\x1b[K");
    out.str("");
  }
  CHECK(out.str() == "\r\x1b[K");
}

TEST_CASE("nothing is written when it is not shown, or when the job is short or empty") {
  hand_clock clock;
  std::ostringstream out;
  {
    lab::progress hidden("work", 100, out, false, clock.read());
    lab::progress quick("work", 100, out, true, clock.read());
    lab::progress empty("work", 0, out, true, clock.read());
    quick.at(99);
    clock.wait(10000);
    hidden.at(50);
    empty.at(0);
  }
  CHECK(out.str().empty());
}

TEST_CASE("more than all is still 100 %") {
  hand_clock clock;
  std::ostringstream out;
  lab::progress shown("w", 10, out, true, clock.read());
  clock.wait(3000);
  shown.at(20);
  CHECK(out.str() == "\rw: 100 %, about 0 s left\x1b[K");
}

TEST_CASE("durations") {
  CHECK(lab::duration_text(0) == "0 s");
  CHECK(lab::duration_text(0.2) == "1 s");
  CHECK(lab::duration_text(59) == "59 s");
  CHECK(lab::duration_text(80) == "1 min 20 s");
  CHECK(lab::duration_text(3600) == "1 h");
  CHECK(lab::duration_text(7500) == "2 h 5 min");
  CHECK(lab::duration_text(-1) == "0 s");
  CHECK(lab::duration_text(std::numeric_limits<double>::infinity()) == "277777 h 46 min");
}
