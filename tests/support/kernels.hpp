// The kernels that a test can run.
#pragma once

#include <zeropoint/kernels/registry.hpp>

#include <vector>

namespace test {

/// The kernels of this build that this processor runs, scalar last.
inline std::vector<const zeropoint::kernels::kernel*> kernels_here() {
  std::vector<const zeropoint::kernels::kernel*> here;
  for (const auto* k : zeropoint::kernels::all()) {
    if (zeropoint::kernels::runs_here(*k)) here.push_back(k);
  }
  return here;
}

/// And those that packing only takes for weights with a certificate.
inline std::vector<const zeropoint::kernels::kernel*> kernels_and_twins() {
  auto kernels = kernels_here();
  for (const auto* k : kernels_here()) {
    if (k->if_certified != nullptr && zeropoint::kernels::runs_here(*k->if_certified)) {
      kernels.push_back(k->if_certified);
    }
  }
  return kernels;
}

}  // namespace test
