// zp-regimes: each regime of quantized inference against its floor and goal, and against the other
// libraries that were found, in one process.
//
//   zp-regimes [--quick] [--json FILE] [--markdown FILE]
//
// In every round all competitors take a slot in turn, the peak loops and the streaming read among
// them; a number is the median over rounds of the ratio within one round. One thread is timed by its
// processor time; two threads by the clock on the wall. Exit code 0 whether or not a floor is met:
// this reports, tests assert. 2 for a mistake in the arguments.
#include <CLI/CLI.hpp>

#include "peers/peer.hpp"
#include "regimes.hpp"

int main(int argc, char** argv) try {
  using namespace bench;
  settings o;
  std::string json, markdown;
  CLI::App app("Regimes of quantized inference against their floors, goals and peers");
  app.add_flag("--quick", o.quick, "fewer shapes and rounds: under three minutes");
  app.add_option("--json", json, "write regimes and peers to this file");
  app.add_option("--markdown", markdown, "write the tables to this file");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& problem) {
    return app.exit(problem) == 0 ? 0 : 2;
  }
  for (const std::string& path : {json, markdown}) {  // not after minutes of work
    if (!path.empty() && !std::ofstream(path, std::ios::app)) {
      std::cerr << "zp-regimes: " << path << ": cannot be written\n";
      return 2;
    }
  }
  for (const std::string& one : missing_peers()) std::cerr << "skipped " << one << '\n';

  limits limit;
  findings found;
  peaks(o, limit, found);
  int8_hot(o, limit, found);
  int8_last_level(o, limit, found);
  int8_cold(o, limit, found);
  int4(o, limit, found);
  layers(o, limit, found);
  blocks(o, found);
  row_loops(o, found);
  rows_against(o, found);

  std::cout << machine() << "\n\n";
  write_table(std::cout, found);
  if (!json.empty()) write_json(json, found);
  if (!markdown.empty()) write_markdown(markdown, found, o.quick);
} catch (const std::exception& problem) {
  std::cerr << "zp-regimes: " << problem.what() << '\n';
  return 1;
}
