// Units of several -march in one program: those of the same flags share their code, no others do.
#include "march_unit.hpp"

#include <cstring>
#include <iostream>

#define ZP_UNIT(name) extern const march_report name;
ZP_UNITS
#undef ZP_UNIT

int main() {
#define ZP_UNIT(name) &name,
  const march_report* const units[] = {ZP_UNITS};
  int faults = 0, pairs = 0;
  for (const march_report* a : units) {
    std::cout << a->unit << ": " << a->march << ' ' << a->baseline << '\n';
    for (const march_report* b : units) {
      if (a == b) continue;
      ++pairs;
      const bool alike = std::strcmp(a->march, b->march) == 0;
      const bool one_name = std::strcmp(a->baseline, b->baseline) == 0;
      const bool one_function = a->function == b->function;
      if (one_name == alike && one_function == alike) continue;
      std::cerr << a->unit << " and " << b->unit << ": names " << a->baseline << " and "
                << b->baseline << ", " << (one_function ? "one function" : "two functions") << '\n';
      ++faults;
    }
  }
  return pairs >= 12 && faults == 0 ? 0 : 1;
}
