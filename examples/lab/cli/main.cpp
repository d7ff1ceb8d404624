// zp-lab, the laboratory of zeropoint. Everything is in the library zp_lab, so that tests reach it.
#include <lab/cli/commands.hpp>

int main(int argc, char** argv) {
  return lab::cli::run(argc, argv);
}
