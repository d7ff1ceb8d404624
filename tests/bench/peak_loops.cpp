// Instantiates every loop of bench/peaks.hpp, for peak_loops.awk to read.
#include <bench/peaks.hpp>

std::vector<bench::named_peak> every_peak() {
  auto all = bench::all_peaks();
  for (const char* kernel : {"avx512_vnni", "avx_vnni", "avx2", "sse41"}) {
    all.push_back({kernel, bench::peak_of(kernel)});
  }
  return all;
}
