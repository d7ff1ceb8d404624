// Chooses among the compiled variants of the float kernels by what the processor can do.
#include <lab/io/error.hpp>
#include <lab/models/float_kernels.hpp>
#include <zeropoint/base/cpu.hpp>

#include <cstdlib>

namespace lab {

extern const float_kernels float_kernels_baseline;
#if ZP_LAB_X86_VARIANTS
extern const float_kernels float_kernels_avx2, float_kernels_avx512;
#endif

std::vector<const float_kernels*> runnable_float_kernels() {
  std::vector<const float_kernels*> found;
#if ZP_LAB_X86_VARIANTS
  using zeropoint::isa;
  const isa cpu = zeropoint::cpu_features();
  if (contains(cpu, isa::avx512 | isa::avx2_fma)) found.push_back(&float_kernels_avx512);
  if (contains(cpu, isa::avx2_fma)) found.push_back(&float_kernels_avx2);
#endif
  found.push_back(&float_kernels_baseline);
  return found;
}

namespace {

const float_kernels& chosen() {
  const auto all = runnable_float_kernels();
  const char* wanted = std::getenv("ZP_LAB_FLOAT");
  if (wanted == nullptr || *wanted == '\0') return *all.front();
  std::string names;
  for (const float_kernels* k : all) {
    if (std::string_view(wanted) == k->name) return *k;
    names += (names.empty() ? "" : ", ") + std::string(k->name);
  }
  throw input_error("ZP_LAB_FLOAT=" + in_quotes(wanted) + ": this machine runs " + names);
}

}  // namespace

const float_kernels& best_float_kernels() {
  static const float_kernels& best = chosen();
  return best;
}

}  // namespace lab
