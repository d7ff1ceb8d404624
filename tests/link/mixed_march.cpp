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

struct field {
  const char* name;
  std::uint64_t product_report::*hash;
};
constexpr field fields[] = {{"integers", &product_report::integers},
                            {"floats", &product_report::floats},
                            {"activations", &product_report::activations},
                            {"codes", &product_report::codes},
                            {"int4", &product_report::int4},
                            {"weight_only", &product_report::weight_only},
                            {"rows", &product_report::rows}};

void print(const char* unit, const product_report& r) {
  std::cout << unit << ": " << r.baseline << std::hex;
  for (const field& f : fields) std::cout << ' ' << f.name << ' ' << r.*f.hash;
  std::cout << std::dec << '\n';
}

}  // namespace

int main() {
  const product_report a = product_units::plain();
  print("plain", a);
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
  print("wide", b);
  const bool apart = std::strcmp(a.baseline, b.baseline) != 0 && a.function != b.function;
  if (!apart) std::cerr << "both units run the same code\n";
  bool same = true;
  for (const field& f : fields) {
    if (a.*f.hash == b.*f.hash) continue;
    std::cerr << "the units disagree: " << f.name << '\n';
    same = false;
  }
  return apart && same ? 0 : 1;
}
