// Writes the names of the kernels that run on this processor to a file, one a line, so that
// tests/run.sh can run the suite under each: list_kernels FILE.
#include <zeropoint/kernels/registry.hpp>

#include <fstream>
#include <iostream>

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: list_kernels FILE\n";
    return 2;
  }
  std::ofstream file(argv[1]);
  for (const auto* kernel : zeropoint::kernels::all()) {
    if (!zeropoint::kernels::runs_here(*kernel)) continue;
    file << kernel->name << '\n';
    std::cout << kernel->name << '\n';
  }
  return file.flush() ? 0 : 1;
}
