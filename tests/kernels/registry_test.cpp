#include <zeropoint/kernels/registry.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <set>

#include "support/test.hpp"

namespace zk = zeropoint::kernels;

TEST_CASE("the list ends with the scalar kernel, names are unique") {
  std::set<std::string> names;
  for (const auto* kernel : zk::all()) {
    REQUIRE(names.insert(kernel->name).second);
    REQUIRE(kernel->format_count >= 1);
    for (std::size_t f = 0; f < kernel->format_count; ++f) {
      REQUIRE(kernel->formats[f].multiply != nullptr);
      REQUIRE(kernel->formats[f].nr <= zeropoint::detail::max_nr);
    }
  }
  REQUIRE(std::string(zk::all().back()->name) == "scalar");
  REQUIRE(zk::runs_here(*zk::all().back()));
}

TEST_CASE("an unset name chooses the first that runs here, a set one itself") {
  const zk::kernel* first = nullptr;
  for (const auto* kernel : zk::all()) {
    if (first == nullptr && zk::runs_here(*kernel)) first = kernel;
  }
  REQUIRE(&zk::choose(nullptr) == first);
  REQUIRE(&zk::choose("") == first);
  for (const auto* kernel : zk::all()) {
    if (zk::runs_here(*kernel)) {
      REQUIRE(&zk::choose(kernel->name) == kernel);
      REQUIRE(&zk::named(kernel->name) == kernel);
    } else {
      REQUIRE_THROWS_WITH(zk::choose(kernel->name), Catch::Contains("lacks"));
    }
  }
}

TEST_CASE("an unknown name is refused with the names there are") {
  for (const auto* kernel : zk::all()) {
    REQUIRE_THROWS_WITH(zk::named("mmx"),
                        Catch::Contains("\"mmx\"") && Catch::Contains(kernel->name));
  }
}

TEST_CASE("the environment of this run decides best()") {
  const char* forced = std::getenv("ZP_KERNEL");
  REQUIRE(&zk::best() == &zk::choose(forced));
  if (forced != nullptr && *forced != '\0') REQUIRE(std::string(zk::best().name) == forced);
}

TEST_CASE("print the active kernel", "[.active]") {
  std::printf("active kernel: %s\n", zk::best().name);
}

// A process of its own per name: best() asks the environment once.
#if ZP_X86
TEST_CASE("a kernel forced through ZP_KERNEL is the active one in a fresh process") {
  char self[4096] = {};
  REQUIRE(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
  const auto run = [&](const std::string& name) {
    const std::string command = "ZP_KERNEL=" + name + " '" + self + "' '[.active]' 2>&1";
    std::string output;
    FILE* pipe = popen(command.c_str(), "r");
    REQUIRE(pipe != nullptr);
    for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) {
      output += static_cast<char>(c);
    }
    const int status = pclose(pipe);
    return std::pair(WIFEXITED(status) && WEXITSTATUS(status) == 0, output);
  };
  for (const auto* kernel : zk::all()) {
    const auto [passed, output] = run(kernel->name);
    INFO(output);
    REQUIRE(passed == zk::runs_here(*kernel));
    if (passed) {
      REQUIRE_THAT(output, Catch::Contains(std::string("active kernel: ") + kernel->name + "\n"));
    }
  }
  const auto [passed, output] = run("abacus");
  REQUIRE_FALSE(passed);
  REQUIRE_THAT(output, Catch::Contains("abacus") && Catch::Contains("scalar"));
}
#endif
