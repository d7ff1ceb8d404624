// Two units of different -march in one program: each keeps its own code, both give the same answers.
#include "product_unit.hpp"

#include <zeropoint/base/cpu.hpp>

#include <cstring>
#include <iostream>

namespace {

bool runs_wide() {
  using zeropoint::isa;
#if ZP_X86
  return zeropoint::contains(zeropoint::cpu_features(), isa::avx2_fma | isa::avx512);
#else
  return zeropoint::contains(zeropoint::cpu_features(), isa::neon_dot);
#endif
}

}  // namespace

int main() {
  const product_report a = product_units::plain();
  std::cout << "plain: " << a.baseline << " integers " << std::hex << a.integers << " floats "
            << a.floats << '\n';
  if (std::strcmp(a.baseline, zeropoint::baseline_name) != 0) {
    std::cerr << "the plain unit reports " << a.baseline << ", this file is "
              << zeropoint::baseline_name << '\n';
    return 1;
  }
  if (!runs_wide()) {
    std::cout << "this processor lacks the wide baseline: only the plain unit was run\n";
    return 0;
  }
  const product_report b = product_units::wide();
  std::cout << "wide:  " << b.baseline << " integers " << b.integers << " floats " << b.floats
            << '\n';
  const bool apart = std::strcmp(a.baseline, b.baseline) != 0 && a.function != b.function;
  const bool same = a.integers == b.integers && a.floats == b.floats;
  if (!apart) std::cerr << "both units run the same code\n";
  if (!same) std::cerr << "the units disagree\n";
  return apart && same ? 0 : 1;
}
